package holocompute

import (
	"math"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/question"
)

// A node of another version has other standard kernels. It is asked by the hash
// of this program's, so it answers nothing that would be read wrongly.
func TestNodeWithoutThisStandardKernelSaysSo(t *testing.T) {
	c, err := Connect(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	a, err := Create[int8](t.Context(), c, "inside/a", 3, ArrayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	q := question.Sum(I8)
	q.Module = holo.ModuleID{1}
	_, err = c.answer(t.Context(), q, a.raw)
	if KindOf(err) != NotFound || !strings.Contains(err.Error(), "holo kernel push sample:std/stats") {
		t.Errorf("%v", err)
	}
	// Something else that is not there is not taken for it.
	gone := &Raw{c: c, typ: I8, info: ArrayInfo{ID: 99_999, Name: "gone"}}
	_, err = c.answer(t.Context(), question.Sum(I8), gone)
	if KindOf(err) != NotFound || strings.Contains(err.Error(), "another version") {
		t.Errorf("%v", err)
	}
}

func TestAnswersAboutOtherElementsAreRefused(t *testing.T) {
	r := &Raw{info: ArrayInfo{Name: "x", Length: 10}}
	for _, c := range []struct {
		counters []uint64
		ok       bool
	}{
		{[]uint64{10, 0}, true}, {[]uint64{3, 3, 4}, true}, {[]uint64{9}, false}, {[]uint64{10, 1}, false}, {nil, false},
		{[]uint64{math.MaxUint64, 11}, false}, // adds up, by wrapping around
	} {
		if err := r.covered(question.Sum(I8), c.counters...); (err == nil) != c.ok || err != nil && KindOf(err) != Corrupt {
			t.Errorf("%v: %v", c.counters, err)
		}
	}
}
