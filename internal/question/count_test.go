package question

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func compare[T element](c Comparison, x, value T) bool {
	return [...]bool{Equal: x == value, NotEqual: x != value, Less: x < value, AtMost: x <= value, Greater: x > value, AtLeast: x >= value}[c]
}

func checkCount[T element](t *testing.T, r *runner) {
	typ := typeFor[T]()
	extent := uint64(holo.PageSize / typ.Size())
	for _, n := range lengths(typ) {
		v := samples[T](n, uint64(n)+2)
		for i, value := range edges[T]() {
			c := Comparison(i%6) + Equal
			q, err := Count(typ, c, number(value))
			if err != nil {
				t.Fatal(err)
			}
			var want uint64
			for _, x := range v {
				if compare(c, x, value) {
					want++
				}
			}
			if got, nans, err := q.ReadCount(r.reduce(q, extent, columnOf(v))); err != nil || got != want || nans != 0 {
				t.Errorf("%d elements %s %v: %d and %d NaNs, want %d (%v)", n, c, value, got, nans, want, err)
			}
		}
	}
}

func TestCountsAreThoseOfGo(t *testing.T) {
	eachType(t, [10]func(*testing.T, *runner){
		checkCount[int8], checkCount[int16], checkCount[int32], checkCount[int64],
		checkCount[uint8], checkCount[uint16], checkCount[uint32], checkCount[uint64], checkCount[float32], checkCount[float64],
	})
}

// place is the bin of an element by the definition over the rationals: -1 below,
// bins above.
func place[T element](x, low, high T, edges []Number) int {
	if x < low {
		return -1
	}
	if x > high {
		return len(edges) - 1
	}
	at := number(x).rat()
	for i := len(edges) - 2; i >= 0; i-- {
		if at.Cmp(edges[i].rat()) >= 0 {
			return i
		}
	}
	return -1
}

func checkHistogram[T element](t *testing.T, r *runner) {
	typ := typeFor[T]()
	extent := uint64(holo.PageSize / typ.Size())
	special := edges[T]()
	for i, bins := range []int{1, 2, 3, 7, 100} {
		low, high := special[i], special[len(special)-1-i]
		if low > high {
			low, high = high, low
		}
		v := samples[T](3000, uint64(bins))
		q, edges, err := Bins(typ, number(low), number(high), bins)
		if err != nil {
			t.Fatal(err)
		}
		want := Histogram{Bins: make([]uint64, bins)}
		for _, x := range v {
			switch b := place(x, low, high, edges); b {
			case -1:
				want.Below++
			case bins:
				want.Above++
			default:
				want.Bins[b]++
			}
		}
		got, err := q.ReadHistogram(edges, r.reduce(q, extent, columnOf(v)))
		if err != nil || !slices.Equal(got.Bins, want.Bins) || got.Below != want.Below || got.Above != want.Above || got.NaNs != 0 {
			t.Errorf("%d bins from %v to %v: %+v, want %+v (%v)", bins, low, high, got, want, err)
		}
	}
}

func TestHistogramsAreThoseOfTheirDefinition(t *testing.T) {
	eachType(t, [10]func(*testing.T, *runner){
		checkHistogram[int8], checkHistogram[int16], checkHistogram[int32], checkHistogram[int64],
		checkHistogram[uint8], checkHistogram[uint16], checkHistogram[uint32], checkHistogram[uint64], checkHistogram[float32], checkHistogram[float64],
	})
}

// Edges are where the bins of a real line would begin, also where floats cannot
// say it: 64-bit integers, widths that are no whole number, the whole range.
func TestEdgesAreExact(t *testing.T) {
	for _, c := range []struct {
		t         holo.ElementType
		low, high Number
		bins      int
		want      string
	}{
		{holo.I64, Int(0), Int(10), 3, "[0 4 7 10]"},
		{holo.I8, Int(-2), Int(1), 6, "[-2 -1 -1 0 0 1 1]"},
		{holo.I64, Int(math.MinInt64), Int(math.MaxInt64), 2, "[-9223372036854775808 0 9223372036854775807]"},
		{holo.U64, Uint(1 << 53), Uint(1<<53 + 4), 4, "[9007199254740992 9007199254740993 9007199254740994 9007199254740995 9007199254740996]"},
		{holo.F64, Float(0), Float(1), 4, "[0 0.25 0.5 0.75 1]"},
		{holo.F64, Float(-math.MaxFloat64), Float(math.MaxFloat64), 2, "[-1.7976931348623157e+308 0 1.7976931348623157e+308]"},
		{holo.U8, Uint(5), Uint(5), 2, "[5 5 5]"},
	} {
		_, edges, err := Bins(c.t, c.low, c.high, c.bins)
		if err != nil || fmt.Sprint(edges) != c.want {
			t.Errorf("%s: %v, %v, want %s", c.t, edges, err, c.want)
		}
	}
	// The i-th edge of a float range is the float nearest to the real one.
	_, edges, err := Bins(holo.F64, Float(0.1), Float(0.7), 1000)
	if err != nil {
		t.Fatal(err)
	}
	from, to := new(big.Rat).SetFloat64(0.1), new(big.Rat).SetFloat64(0.7)
	for i, e := range edges {
		at := new(big.Rat).Sub(to, from)
		at.Mul(at, big.NewRat(int64(i), 1000)).Add(at, from)
		if e.Float64() != rounded(at) {
			t.Fatalf("edge %d is %v, want %v", i, e, rounded(at))
		}
	}
}

func TestComparisonsAndBinsLeaveNaNOut(t *testing.T) {
	r := newRunner(t)
	v := columnOf([]float32{float32(math.NaN()), 1, -1, float32(math.Inf(1)), float32(math.Inf(-1)), 0})
	for c, want := range map[Comparison]uint64{Equal: 1, NotEqual: 5, Less: 2, AtMost: 3, Greater: 2, AtLeast: 3} {
		q, err := Count(holo.F32, c, Float(math.Copysign(0, -1)))
		if err != nil {
			t.Fatal(err)
		}
		if got, nans, err := q.ReadCount(r.reduce(q, 8, v)); err != nil || got != want || nans != 1 {
			t.Errorf("%s -0: %d and %d NaNs, want %d (%v)", c, got, nans, want, err)
		}
	}
	q, edges, err := Bins(holo.F32, Float(-1), Float(1), 2)
	if err != nil {
		t.Fatal(err)
	}
	h, err := q.ReadHistogram(edges, r.reduce(q, 8, v))
	if err != nil || h.NaNs != 1 || h.Below != 1 || h.Above != 1 || h.Bins[0] != 1 || h.Bins[1] != 2 {
		t.Errorf("%+v, %v", h, err)
	}
}
