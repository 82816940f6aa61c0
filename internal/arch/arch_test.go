package arch

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func rowFor(rel string) ([]string, bool) {
	if row, ok := mayImport[rel]; ok {
		return row, true
	}
	row, ok := mayImport[path.Join(path.Dir(rel), "*")]
	return row, ok
}

func allowed(row []string, rel string) bool {
	return slices.ContainsFunc(row, func(pattern string) bool {
		ok, _ := path.Match(pattern, rel)
		return ok
	})
}

func TestImportsRunOneWay(t *testing.T) {
	for _, p := range packages(t) {
		row, ok := rowFor(p.rel())
		if !ok {
			t.Errorf("%s has no row in mayImport: say where it belongs", p.rel())
		}
		for _, imp := range p.Imports {
			if to := local(p.Module.Path, imp); to != "" && !allowed(row, to) {
				t.Errorf("%s may not import %s", p.rel(), to)
			}
		}
	}
}

func TestEachLibraryHasOneImporter(t *testing.T) {
	for _, p := range packages(t) {
		for i, imp := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			for lib, only := range onlyImporter {
				if i >= len(p.Imports) && slices.Contains(attackersImport[lib], p.rel()) {
					continue
				}
				if (imp == lib || strings.HasPrefix(imp, lib+"/")) && p.rel() != only {
					t.Errorf("%s imports %s, which %s hides", p.rel(), imp, only)
				}
			}
		}
	}
}

func TestPureCodeTouchesNothing(t *testing.T) {
	for _, p := range packages(t) {
		if !p.pure() {
			continue
		}
		may := slices.Concat(pure, pureExtra[p.rel()])
		for _, imp := range p.Imports {
			std := !strings.Contains(strings.SplitN(imp, "/", 2)[0], ".")
			if std && !slices.Contains(may, imp) {
				t.Errorf("%s is pure and may not import %s", p.rel(), imp)
			}
		}
	}
}

var clock = regexp.MustCompile(`^time\.(Now|Since|Until|Sleep|After|AfterFunc|Tick|New\w+)$`)

func TestMachinesAreToldTimeAndChance(t *testing.T) {
	for _, p := range packages(t) {
		if p.generated() {
			continue
		}
		eachFile(t, p, p.GoFiles, func(rel string, fset *token.FileSet, file *ast.File) {
			ast.Inspect(file, func(n ast.Node) bool {
				if why := offence(p, rel, n); why != "" {
					t.Errorf("%s: %s", fset.Position(n.Pos()), why)
				}
				return true
			})
		})
	}
}

func offence(p pkg, rel string, n ast.Node) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		if !slices.Contains(starters, rel) {
			return "goroutines are started only in the files that own them"
		}
	case *ast.ChanType, *ast.SelectStmt:
		if p.pure() {
			return "a machine has no channel: it is called, and answers"
		}
	case *ast.SelectorExpr:
		x, ok := n.X.(*ast.Ident)
		if !ok || !p.pure() {
			return ""
		}
		if clock.MatchString(x.Name + "." + n.Sel.Name) {
			return "a machine is told the time"
		}
		if x.Name == "rand" && n.Sel.Name != "Rand" && p.rel() != "internal/key" && p.rel() != "internal/core/handshake" {
			return "a machine is given its chance"
		}
	}
	return ""
}

func TestEveryPackageSaysWhyItExists(t *testing.T) {
	for _, p := range packages(t) {
		if p.generated() || len(p.GoFiles) == 0 {
			continue
		}
		n := 0
		eachFile(t, p, p.GoFiles, func(_ string, _ *token.FileSet, file *ast.File) {
			if file.Doc != nil && strings.TrimSpace(file.Doc.Text()) != "" {
				n++
			}
		})
		if n != 1 {
			t.Errorf("%s has %d package comments, want 1", p.rel(), n)
		}
	}
}

// A mitigation is switched off only by a source patch in a test (ruling: no
// kill switch), never by a name in the product.
func TestNoSwitchWeakensAMitigation(t *testing.T) {
	names := regexp.MustCompile(weakening)
	for _, p := range packages(t) {
		if p.generated() || p.rel() == "internal/arch" {
			continue
		}
		eachFile(t, p, p.GoFiles, func(_ string, fset *token.FileSet, file *ast.File) {
			ast.Inspect(file, func(n ast.Node) bool {
				id, ok := n.(*ast.Ident)
				if ok && names.MatchString(id.Name) && exceptions[id.Name] == "" {
					t.Errorf("%s: %s sounds like a switch that weakens a mitigation", fset.Position(id.Pos()), id.Name)
				}
				return true
			})
		})
	}
}

func TestEnvironmentNamesPlacesOnly(t *testing.T) {
	for _, p := range packages(t) {
		if p.rel() == "internal/arch" {
			continue
		}
		eachFile(t, p, p.GoFiles, func(_ string, fset *token.FileSet, file *ast.File) {
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) == 0 {
					return true
				}
				sel, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || sel.Sel.Name != "Getenv" && sel.Sel.Name != "LookupEnv" {
					return true
				}
				lit, ok := call.Args[0].(*ast.BasicLit)
				name := ""
				if ok {
					name, _ = strconv.Unquote(lit.Value)
				}
				if !slices.Contains(environment, name) {
					t.Errorf("%s: the environment variable %q is not on the list", fset.Position(call.Pos()), name)
				}
				return true
			})
		})
	}
}

func TestBuildTagsNameOnlyPlatforms(t *testing.T) {
	word := regexp.MustCompile(`[a-z0-9_.]+`)
	for _, p := range packages(t) {
		eachFile(t, p, slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles), func(rel string, _ *token.FileSet, file *ast.File) {
			for _, group := range file.Comments {
				for _, c := range group.List {
					tags, ok := strings.CutPrefix(c.Text, "//go:build ")
					if !ok {
						continue
					}
					for _, tag := range word.FindAllString(tags, -1) {
						if !slices.Contains(buildTags, tag) {
							t.Errorf("%s: the build tag %q is not on the list", rel, tag)
						}
					}
				}
			}
		})
	}
}
