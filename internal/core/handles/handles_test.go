package handles

import (
	"math"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func table(t *testing.T) *Table {
	t.Helper()
	tab, err := New([]Grant{
		{Array: 7, Type: holo.I64, First: 100, Count: 10, Right: Read, Budget: 160},
		{Array: 8, Type: holo.F32, First: 5, Count: 4, Right: Write, Budget: 15},
	})
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// Each thing that is not granted has its status, off by one on either side, and
// takes nothing from the budget.
func TestWhatIsNotGrantedIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		ask  Ask
		want Status
	}{
		"all of it":           {Ask{ReadOp, 0, 0, 80}, Done},
		"the last":            {Ask{ReadOp, 0, 9, 8}, Done},
		"one behind the last": {Ask{ReadOp, 0, 10, 8}, BadRange},
		"one too many":        {Ask{ReadOp, 0, 1, 80}, BadRange},
		"before the first":    {Ask{ReadOp, 0, math.MaxUint64, 8}, BadRange},
		"an offset that wraps": {
			Ask{ReadOp, 0, math.MaxUint64 - 99, 8}, BadRange},
		"an unknown handle":   {Ask{ReadOp, 2, 0, 8}, NoHandle},
		"a forged handle":     {Ask{ReadOp, math.MaxUint32, 0, 8}, NoHandle},
		"its length":          {Ask{Length, 2, 0, 0}, NoHandle},
		"a write to an input": {Ask{WriteOp, 0, 0, 8}, NoRight},
		"a read of an output": {Ask{ReadOp, 1, 0, 4}, NoRight},
		"half an element":     {Ask{ReadOp, 0, 0, 12}, BadLength},
		"nothing":             {Ask{ReadOp, 0, 0, 0}, BadLength},
		"more than a MiB":     {Ask{ReadOp, 0, 0, MaxBytes + 8}, BadLength},
		"a byte over budget":  {Ask{WriteOp, 1, 0, 16}, NoBudget},
		"within the budget":   {Ask{WriteOp, 1, 0, 12}, Done},
	} {
		tab := table(t)
		if _, got := tab.Decide(c.ask); got != c.want || (got == Done) != (got.Reason() == "") {
			t.Errorf("%s: %d (%s), want %d", name, got, got.Reason(), c.want)
		}
		if c.want != Done && (tab.left[0] != 160 || tab.left[1] != 15) {
			t.Errorf("%s: it was refused and left %v", name, tab.left)
		}
	}
}

// A budget is used up to the byte, and a range that was read is not given again
// for nothing.
func TestABudgetOfAHandleIsExact(t *testing.T) {
	tab := table(t)
	for n, want := range []Status{Done, Done, NoBudget} {
		if _, got := tab.Decide(Ask{ReadOp, 0, 0, 80}); got != want {
			t.Errorf("read %d: %d, want %d", n, got, want)
		}
	}
	if n, s := tab.Decide(Ask{Op: Length}); n != 10 || s != Done {
		t.Errorf("length %d, %d", n, s)
	}
}

// The number of questions ends at its limit, to one.
func TestAFloodOfAsksEndsAtItsLimit(t *testing.T) {
	tab := table(t)
	for range MaxAsks {
		if tab.Flooded() {
			t.Fatal("too early")
		}
	}
	if !tab.Flooded() {
		t.Errorf("%d asks were answered", MaxAsks+1)
	}
}

func TestGrantsThatAreNoneAreRefused(t *testing.T) {
	good := Grant{Type: holo.I8, Right: Read, Count: 1}
	for name, grants := range map[string][]Grant{
		"no right":     {{Type: holo.I8, Count: 1}},
		"both rights":  {{Type: holo.I8, Count: 1, Right: Read | Write}},
		"no type":      {{Right: Read, Count: 1}},
		"beyond 2^64":  {{Type: holo.I8, Right: Read, First: math.MaxUint64, Count: 1}},
		"one too many": make17(good),
	} {
		if _, err := New(grants); holo.KindOf(err) != holo.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(make17(good)[:MaxGrants]); err != nil {
		t.Error(err)
	}
}

func make17(g Grant) (list []Grant) {
	for range MaxGrants + 1 {
		list = append(list, g)
	}
	return list
}
