package invariant

import "testing"

// What does not hold ends in a panic that says what, and what holds in none.
func TestWhatDoesNotHoldPanics(t *testing.T) {
	for _, c := range []struct {
		holds bool
		want  any
	}{
		{true, nil},
		{false, "bug: page 7 of 3"},
	} {
		if got := said(c.holds); got != c.want {
			t.Errorf("holds %v: panics with %v, want %v", c.holds, got, c.want)
		}
	}
}

func said(holds bool) (what any) {
	defer func() { what = recover() }()
	Check(holds, "page %d of %d", 7, 3)
	return nil
}
