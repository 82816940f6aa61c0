package history

import "testing"

// op writes a value, or read it.
type op struct {
	call, done int64
	write      bool
	value      int
}

func (o op) Span() (int64, int64) { return o.call, o.done }

func (o op) Step(s int) (int, bool) {
	if o.write {
		return o.value, true
	}
	return s, s == o.value
}

func TestHistoriesWithAndWithoutAnOrder(t *testing.T) {
	for _, k := range []struct {
		why  string
		ops  []op
		want bool
	}{
		{"one after the other", []op{{1, 2, true, 7}, {3, 4, false, 7}}, true},
		{"a read of what was overwritten", []op{{1, 2, true, 7}, {3, 4, true, 8}, {5, 6, false, 7}}, false},
		{"a read beside a write sees either", []op{{1, 9, true, 7}, {2, 3, false, 0}, {4, 5, false, 7}}, true},
		{"but not the new one and then the old", []op{{1, 9, true, 7}, {2, 3, false, 7}, {4, 5, false, 0}}, false},
		{"what was not answered may take effect late", []op{{1, Never, true, 7}, {2, 3, true, 8}, {4, 5, false, 8}, {6, 7, false, 7}}, true},
		{"or never", []op{{1, Never, true, 7}, {2, 3, false, 0}, {4, 5, false, 0}}, true},
		{"a value from nowhere", []op{{1, 2, false, 9}}, false},
	} {
		if got := Linearizable(0, k.ops); got != k.want {
			t.Errorf("%s: %t", k.why, got)
		}
	}
}
