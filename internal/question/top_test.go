package question

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func checkTop[T element](t *testing.T, r *runner) {
	typ := typeFor[T]()
	extent := uint64(holo.PageSize / typ.Size())
	for _, n := range lengths(typ) {
		v := samples[T](n, uint64(n)+3)
		order := make([]int, n) // of the largest first
		for i := range order {
			order[i] = i
		}
		for _, smallest := range []bool{false, true} {
			slices.SortFunc(order, func(i, j int) int {
				ahead := earlier(v[j], v[i])
				behind := earlier(v[i], v[j])
				if smallest {
					ahead, behind = behind, ahead
				}
				switch {
				case ahead:
					return -1
				case behind:
					return 1
				}
				return cmp.Compare(i, j)
			})
			for _, k := range []int{1, 5, 1000} {
				q, err := Top(k, smallest)
				if err != nil {
					t.Fatal(err)
				}
				got, nans, err := q.ReadTop(typ, r.reduce(q, extent, columnOf(v)))
				if err != nil || nans != 0 || len(got) != min(k, n) {
					t.Fatalf("%d of %d elements: %d came, %d NaNs, %v", k, n, len(got), nans, err)
				}
				for i, p := range got {
					if p.Index != uint64(order[i]) || p.Value.String() != number(v[order[i]]).String() {
						t.Fatalf("%d of %d elements: number %d is %+v, want %v at %d", k, n, i, p, v[order[i]], order[i])
					}
				}
			}
		}
	}
}

// The largest and smallest are those of sorting all, and of equal ones the first.
func TestTopIsThatOfSorting(t *testing.T) {
	eachType(t, [10]func(*testing.T, *runner){
		checkTop[int8], checkTop[int16], checkTop[int32], checkTop[int64],
		checkTop[uint8], checkTop[uint16], checkTop[uint32], checkTop[uint64], checkTop[float32], checkTop[float64],
	})
}

func TestTopLeavesNaNOutAndKnowsInfinityAndZeros(t *testing.T) {
	r := newRunner(t)
	nan, inf := math.NaN(), math.Inf(1)
	v := columnOf([]float64{nan, 0, math.Copysign(0, -1), inf, -inf, nan, 3})
	q, err := Top(5, false)
	if err != nil {
		t.Fatal(err)
	}
	got, nans, err := q.ReadTop(holo.F64, r.reduce(q, 2, v))
	want := []uint64{3, 6, 1, 2, 4}
	if err != nil || nans != 2 || len(got) != 5 {
		t.Fatalf("%+v, %d, %v", got, nans, err)
	}
	for i, p := range got {
		if p.Index != want[i] {
			t.Errorf("number %d is %+v, want that at %d", i, p, want[i])
		}
	}
	if got[3].Value.String() != "-0" || got[0].Value.String() != "+Inf" {
		t.Errorf("%+v", got)
	}
}
