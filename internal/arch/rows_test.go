package arch

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/mutant"
)

// identityRows are the lines of the specification that docs/security/rows.md
// must have, each once and in this order.
var identityRows = strings.Fields(`S1-1 S1-2 S1-3 S1-4 S1-5 S1-6 S2-1 S2-2 S2-3 S2-4 S3-1 S3-2 S3-3 T1-1 T1-2 TS-1 TS-2 TS-4 TS-5
	AC-1 AC-2 AC-3 AC-4 AC-5 AC-6 E1-1 E1-2 E2-1 E2-2 E2-3 I1-1 I1-2 N-01 N-02 N-03 N-09 N-10 N-14 N-15 TB-1 TB-4 DEP-1 DEP-3 DEP-4 DX-2 DX-3`)

var (
	identityRow = regexp.MustCompile(`^\| ([A-Z]+\d*-\d+) \|`)
	eventRow    = regexp.MustCompile("`([a-z]+\\.[a-z_]+)`")
	holdsOf     = regexp.MustCompile(`^a?b?c?d?e?$`)
	lackOf      = regexp.MustCompile(`(?:^|; )no ([a-e](?:, [a-e])*): [^; ]`)
	callEvent   = regexp.MustCompile(`^(?:holo\.v1\.\w+/\w+|PUT data) +([a-z]+\.[a-z_]+) `)
)

// TestRowsNameTheirProofs holds the page against the source: what it says is
// there is, and what a row lacks it says.
func TestRowsNameTheirProofs(t *testing.T) {
	c := newRowCheck(t, "test/threat/mutants", "test/threat/exposed")
	c.events, c.reasons = auditEvents(t), reasonRows(t)
	c.page(identityRows, c.row, "security", "rows.md")
}

// page reads a page's table: its rows are those that are wanted, in their order.
func (c rowCheck) page(want []string, row func(id string, cells []string), path ...string) {
	c.t.Helper()
	var seen []string
	for line := range strings.Lines(readDoc(c.t, path...)) {
		m := identityRow.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		seen = append(seen, m[1])
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		row(m[1], cells)
	}
	if !slices.Equal(seen, want) {
		c.t.Errorf("the page has the rows %v, the specification %v", seen, want)
	}
}

func readDoc(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{"..", "..", "docs"}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// auditEvents are the names in the first column of the table of events, and those
// of the calls that leave a record each.
func auditEvents(t *testing.T) map[string]bool {
	events := map[string]bool{}
	for line := range strings.Lines(readDoc(t, "protocol", "audit.md")) {
		if strings.HasPrefix(line, "| `") {
			for _, m := range eventRow.FindAllStringSubmatch(strings.Split(line, "|")[1], -1) {
				events[m[1]] = true
			}
		}
	}
	b, err := os.ReadFile(filepath.Join("..", "door", "testdata", "calls.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if m := callEvent.FindStringSubmatch(line); m != nil {
			events[m[1]] = true
		}
	}
	return events
}

type rowCheck struct {
	t                      *testing.T
	gate                   string // .ci/run
	tests, events, reasons map[string]bool
	patches                map[string]*mutant.Mutant
}

// newRowCheck knows all tests of the source, and the patches of these folders.
func newRowCheck(t *testing.T, folders ...string) rowCheck {
	t.Helper()
	gate, err := os.ReadFile(filepath.Join("..", "..", ".ci", "run"))
	if err != nil {
		t.Fatal(err)
	}
	c := rowCheck{t: t, gate: string(gate), tests: testNames(t), patches: map[string]*mutant.Mutant{}}
	for _, folder := range folders {
		all, err := mutant.ReadAll(filepath.Join("..", "..", filepath.FromSlash(folder)))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			if c.patches[m.Name] != nil {
				t.Errorf("two patches are called %s", m.Name)
			}
			c.patches[m.Name] = m
		}
	}
	if len(c.patches) < 100 {
		t.Fatalf("only %d patches: %v", len(c.patches), slices.Sorted(maps.Keys(c.patches)))
	}
	return c
}

// row reads "row | tests | event and reason | patches | holds | lacks".
func (c rowCheck) row(id string, cells []string) {
	if len(cells) != 6 {
		c.t.Errorf("%s: %d cells, want 6", id, len(cells))
		return
	}
	proofs, event, patches, holds, lacks := quoted(cells[1]), quoted(cells[2]), quoted(cells[3]), cells[4], cells[5]
	if !holdsOf.MatchString(holds) || !strings.Contains(holds, "a") {
		c.t.Errorf("%s: holds %q", id, holds)
	}
	if got, want := excused(lacks), missing(holds); got != want {
		c.t.Errorf("%s holds %s: %q gives a reason for missing %q, want one for just %q", id, holds, lacks, got, want)
	}
	if strings.Contains(holds, "e") != (len(patches) > 0) {
		c.t.Errorf("%s holds %s, with the patches %v", id, holds, patches)
	}
	c.there(id, proofs)
	c.event(id, event, holds)
	c.taken(id, patches, proofs)
}

// there wants each proof to be a test of the source, or a program of scripts/ that
// the gate runs.
func (c rowCheck) there(id string, proofs []string) {
	for _, p := range proofs {
		if !c.tests[p] && !c.isScript(p) {
			c.t.Errorf("%s: there is no %s", id, p)
		}
	}
}

// missing are the letters that a row does not hold.
func missing(holds string) (letters string) {
	for _, l := range "abcde" {
		if !strings.ContainsRune(holds, l) {
			letters += string(l)
		}
	}
	return letters
}

// excused are the letters for which a cell says why they cannot be, each once and in
// order: "no b, c: nothing is refused".
func excused(cell string) string {
	var letters []string
	for _, m := range lackOf.FindAllStringSubmatch(cell, -1) {
		letters = append(letters, strings.Split(m[1], ", ")...)
	}
	slices.Sort(letters)
	return strings.Join(letters, "")
}

func TestReasonsAreForTheLettersThatAreMissing(t *testing.T) {
	for cell, want := range map[string]string{
		"-": "", "no reason": "", "no b, c: ": "", "no b c: nothing": "", "no f: nothing": "", "there is no b: nothing": "",
		"no b, c: nothing is refused": "bc", "no e: x; no b: y": "be", "further words; no d: nobody": "d", "no b: x; no b: y": "bb",
	} {
		if got := excused(cell); got != want {
			t.Errorf("%q excuses %q, want %q", cell, got, want)
		}
	}
	if got := missing("ade"); got != "bc" {
		t.Errorf("ade misses %q", got)
	}
}

// quoted are the words of a cell without its quotes; a dash stands for none.
func quoted(cell string) []string {
	return strings.Fields(strings.Trim(strings.ReplaceAll(cell, "`", ""), "-"))
}

func (c rowCheck) isScript(name string) bool {
	_, err := os.Stat(filepath.Join("..", "..", filepath.FromSlash(name)))
	short, ok := strings.CutPrefix(strings.TrimSuffix(name, ".sh"), "scripts/")
	return ok && err == nil && strings.Contains(c.gate, short)
}

func (c rowCheck) event(id string, event []string, holds string) {
	switch {
	case len(event) == 0:
		if strings.ContainsAny(holds, "bc") {
			c.t.Errorf("%s holds %s of no event", id, holds)
		}
	case len(event) != 2 || !c.events[event[0]] || !c.reasons[event[1]]:
		c.t.Errorf("%s: %v is no event of docs/protocol/audit.md with a reason of docs/operations/reasons.md", id, event)
	}
}

// taken wants each patch to name the row and to fail a test of it.
func (c rowCheck) taken(id string, patches, proofs []string) {
	for _, name := range patches {
		m := c.patches[name]
		if m == nil {
			c.t.Errorf("%s: there is no patch %s", id, name)
			continue
		}
		if !slices.Contains(m.Rows, id) {
			c.t.Errorf("%s: the patch %s has the rows %v", id, name, m.Rows)
		}
		if proof := cmp.Or(m.Script, m.Package+"."+m.Test); !slices.Contains(proofs, proof) {
			c.t.Errorf("%s: the patch %s fails %s, which the row does not name", id, name, proof)
		}
	}
}
