package arch

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	reasonName  = regexp.MustCompile(`^[rR]eason[A-Z]`)
	reasonValue = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	reasonRow   = regexp.MustCompile("^\\| `([a-z0-9_]+)` \\|")
)

// TestEveryReasonIsExplained holds the reasons in the source (constants named
// so, groups of constants introduced so, and strings given to Refuse) against the page for operators: each has its
// row, and no row is of a reason that is gone.
func TestEveryReasonIsExplained(t *testing.T) {
	used := map[string]string{}
	for _, p := range packages(t) {
		if p.generated() || strings.HasPrefix(p.rel(), "internal/sim") || strings.HasPrefix(p.rel(), "internal/attack") {
			continue
		}
		eachFile(t, p, p.GoFiles, func(rel string, fset *token.FileSet, file *ast.File) {
			ast.Inspect(file, func(n ast.Node) bool {
				for _, reason := range reasonsOf(n) {
					used[reason] = fset.Position(n.Pos()).String()
				}
				return true
			})
		})
	}
	if len(used) < 50 {
		t.Fatalf("only %d reasons found: the check would pass for the wrong reason", len(used))
	}
	explained := reasonRows(t)
	for reason, at := range used {
		if !explained[reason] {
			t.Errorf("%s: the reason %s has no row in docs/operations/reasons.md", at, reason)
		}
	}
	for reason := range explained {
		if used[reason] == "" {
			t.Errorf("docs/operations/reasons.md explains %s, which nothing refuses for", reason)
		}
	}
}

// reasonsOf are the reasons that a node of the syntax tree names.
func reasonsOf(n ast.Node) (out []string) {
	switch n := n.(type) {
	case *ast.GenDecl:
		if n.Tok == token.CONST && strings.HasPrefix(n.Doc.Text(), "Reasons ") {
			for _, spec := range n.Specs {
				for _, v := range spec.(*ast.ValueSpec).Values {
					out = append(out, literals(v)...)
				}
			}
		}
	case *ast.ValueSpec:
		for i, name := range n.Names {
			if reasonName.MatchString(name.Name) && i < len(n.Values) {
				out = append(out, literals(n.Values[i])...)
			}
		}
	case *ast.CallExpr:
		if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Refuse" && len(n.Args) > 1 {
			out = append(out, literals(n.Args[1])...)
		}
	}
	return out
}

func literals(e ast.Expr) []string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return nil
	}
	s, err := strconv.Unquote(lit.Value)
	if err != nil || !reasonValue.MatchString(s) {
		return nil
	}
	return []string{s}
}

func reasonRows(t *testing.T) map[string]bool {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations", "reasons.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		if m := reasonRow.FindStringSubmatch(line); m != nil {
			if rows[m[1]] {
				t.Errorf("docs/operations/reasons.md explains %s twice", m[1])
			}
			rows[m[1]] = true
		}
	}
	return rows
}
