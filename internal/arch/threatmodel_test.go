package arch

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/mutant"
)

// rowsWanted counts the lines of the specification per kind of ID: the STRIDE
// table, the security controls, deployment, compliance.
var rowsWanted = map[string]int{"S": 3, "T": 4, "R": 2, "I": 3, "D": 3, "E": 3, "C": 20, "DEP": 12, "CO": 8}

var (
	rowStart = regexp.MustCompile(`^\| ([A-Z]+)(\d+) \|`)
	proof    = regexp.MustCompile("^`([a-z/.]+)\\.(Test\\w+)`$")
)

func TestThreatModelNamesItsProofs(t *testing.T) {
	tests, dirs := testNames(t), map[string]bool{}
	for _, p := range packages(t) {
		dirs[p.rel()] = true
	}
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "security", "threat-model.md"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		m := rowStart.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		seen[m[1]]++
		checkRow(t, m[1]+m[2], line, dirs, tests)
	}
	for kind, want := range rowsWanted {
		if seen[kind] != want {
			t.Errorf("%d rows %s, the specification has %d", seen[kind], kind, want)
		}
	}
}

// checkRow reads "| ID | line | mitigation | home | proofs |".
func checkRow(t *testing.T, id, line string, dirs, tests map[string]bool) {
	t.Helper()
	cells := strings.Split(strings.Trim(line, "|"), "|")
	if len(cells) != 5 {
		t.Errorf("%s: %d cells, want 5: %s", id, len(cells), line)
		return
	}
	home, proofs := strings.Trim(strings.TrimSpace(cells[3]), "`"), strings.Fields(cells[4])
	if home != "-" && !dirs[home] {
		t.Errorf("%s: there is no package %s", id, home)
	}
	if slices.Equal(proofs, []string{"planned"}) {
		return
	}
	if len(proofs) == 0 {
		t.Errorf("%s: neither a proof nor the word planned", id)
	}
	for _, cell := range proofs {
		m := proof.FindStringSubmatch(cell)
		if m == nil {
			t.Errorf("%s: cannot read the proof %s", id, cell)
		} else if !tests[m[1]+"."+m[2]] {
			t.Errorf("%s: there is no test %s in %s", id, m[2], m[1])
		}
	}
}

// withoutMutant are the rows that are proven and that no patch of test/threat
// takes away, each with the reason. The list only gets shorter.
var withoutMutant = map[string]string{
	"DEP2": "what an address binds is the system's doing",
}

// TestEveryProofFailsWithoutItsMitigation: a row that is not planned names
// attacks that are carried out, and some patch must show that they can succeed.
func TestEveryProofFailsWithoutItsMitigation(t *testing.T) {
	root := filepath.Join("..", "..")
	all, err := mutant.ReadAll(filepath.Join(root, "test", "threat", "mutants"))
	if err != nil {
		t.Fatal(err)
	}
	taken := map[string]bool{}
	for _, m := range all {
		for _, row := range m.Rows {
			taken[row] = true
		}
	}
	data, err := os.ReadFile(filepath.Join(root, "docs", "security", "threat-model.md"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		m := rowStart.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		id, planned := m[1]+m[2], strings.HasSuffix(strings.TrimSpace(line), "| planned |")
		why, excused := withoutMutant[id]
		switch {
		case planned && taken[id]:
			t.Errorf("%s is planned, and a mutant takes it away", id)
		case !planned && !taken[id] && !excused:
			t.Errorf("%s: no patch in test/threat/mutants has it in its row line", id)
		case excused && (planned || taken[id]):
			t.Errorf("%s needs no exception any more (%s): take it off the list", id, why)
		}
	}
}

func testNames(t *testing.T) map[string]bool {
	tests := map[string]bool{}
	for _, p := range packages(t) {
		eachFile(t, p, slices.Concat(p.TestGoFiles, p.XTestGoFiles), func(_ string, _ *token.FileSet, file *ast.File) {
			for _, d := range file.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok {
					tests[p.rel()+"."+fn.Name.Name] = true
				}
			}
		})
	}
	return tests
}
