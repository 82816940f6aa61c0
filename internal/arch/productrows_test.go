package arch

import (
	"strings"
	"testing"
)

// productRows are the lines of the specification that docs/operations/rows.md must
// have, each once and in this order.
var productRows = strings.Fields(`M-01 M-02 M-03 M-04 M-05 M-06 M-07 M-08 M-09 M-10 M-11 M-12 M-13 M-14 M-15 M-16 M-17 M-18 M-19
	K-01 K-02 K-03 K-04 K-05 K-06 K-07 K-08 K-09 K-10 K-13 K-14 K-15 K-16 K-17
	N-04 N-05 N-07 N-08 N-09 N-11 N-12 T2-1 T2-2 T4-1 T4-3 I2-4 D1-3 D3-1 D3-2 E3-1 DP-2 DP-3 EX-1 EX-2 EX-3 RS-1`)

// TestProductRowsNameTheirProofs holds the page of memory and compute against the
// source, as TestRowsNameTheirProofs does its page.
func TestProductRowsNameTheirProofs(t *testing.T) {
	c := newRowCheck(t, "test/threat/mutants", "test/threat/exposed", "internal/sim/mutants")
	c.page(productRows, c.productRow, "operations", "rows.md")
}

// productRow reads "row | what is checked | tests | removals | lacks". Each has a test
// and says what it lacks; who has no removal says why: "no removal: ...".
func (c rowCheck) productRow(id string, cells []string) {
	if len(cells) != 5 || cells[1] == "" || cells[4] == "" {
		c.t.Errorf("%s: want 5 cells and none empty, have %q", id, cells)
		return
	}
	proofs, patches := quoted(cells[2]), quoted(cells[3])
	if len(proofs) == 0 {
		c.t.Errorf("%s: no test", id)
	}
	if excuse := strings.Contains(cells[4], "no removal: "); excuse != (len(patches) == 0) {
		c.t.Errorf("%s: removals %v, and %q", id, patches, cells[4])
	}
	c.there(id, proofs)
	c.taken(id, patches, proofs)
}
