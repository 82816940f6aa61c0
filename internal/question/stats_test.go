package question

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// eachType runs a test of a type for every type.
func eachType(t *testing.T, f [10]func(*testing.T, *runner)) {
	r := newRunner(t)
	for i, test := range f {
		t.Run(holo.ElementType(i+1).String(), func(t *testing.T) { test(t, &runner{t, r.programs}) })
	}
}

// most is so many bits that nothing is rounded: the largest product of f64 and
// the smallest are 4,196 bits apart. For all other types fewer will do.
const most = 4400

func bitsFor(t holo.ElementType) uint {
	if t == holo.F64 {
		return most
	}
	return 800
}

func exact(v float64) *big.Float { return new(big.Float).SetPrec(most).SetFloat64(v) }

func exactly[T element](v T) *big.Float {
	n, f := number(v), new(big.Float).SetPrec(bitsFor(typeFor[T]()))
	if i := n.Big(); i != nil {
		return f.SetInt(i)
	}
	return f.SetFloat64(n.Float64())
}

// sumOf and productOf are the exact sums, by arithmetic of another kind: big
// floats of so many bits that nothing is rounded.
func sumOf[T element](v []T) *big.Float {
	s := exactly(T(0))
	for _, x := range v {
		s.Add(s, exactly(x))
	}
	return s
}

func productOf[T element](a, b []T) *big.Float {
	s, x := exactly(T(0)), exactly(T(0))
	for i := range a {
		s.Add(s, x.Mul(exactly(a[i]), exactly(b[i])))
	}
	return s
}

func rounded(r *big.Rat) float64 {
	f, _ := r.Float64()
	return f
}

// wantNumber compares a sum with the exact one: integers in full, floats
// rounded once.
func wantNumber(t *testing.T, what string, typ holo.ElementType, got Number, want *big.Float) {
	t.Helper()
	r, _ := want.Rat(nil)
	if typ.Float() {
		if f := rounded(r); math.Float64bits(got.Float64()) != math.Float64bits(f) {
			t.Errorf("%s is %v, want %v", what, got, f)
		}
		return
	}
	if got.Big() == nil || got.Big().Cmp(r.Num()) != 0 || !r.IsInt() {
		t.Errorf("%s is %v, want %v", what, got, r)
	}
}

func checkStats[T element](t *testing.T, r *runner) {
	typ := typeFor[T]()
	for _, n := range lengths(typ) {
		v := samples[T](n, uint64(n))
		q := WholeStats(typ)
		extent := uint64(holo.PageSize / typ.Size())
		acc := r.reduce(q, extent, columnOf(v))
		got, err := q.ReadStats(typ, acc)
		if err != nil {
			t.Fatal(err)
		}
		if got.Count != uint64(n) || got.NaNs != 0 {
			t.Errorf("%d elements: %+v", n, got)
		}
		wantNumber(t, fmt.Sprintf("sum of %d", n), typ, got.Sum, sumOf(v))
		wantMoments(t, &got, v)
		if other := r.reduce(q, 3*extent, columnOf(v)); !bytes.Equal(other, acc) {
			t.Errorf("%d elements: other extents, another answer", n)
		}
		short := Sum(typ)
		less, err := short.ReadStats(typ, r.reduce(short, 2*extent, columnOf(v)))
		if err != nil || less.Sum.String() != got.Sum.String() || less.Mean != got.Mean && n > 0 || less.Min.String() != got.Min.String() || !less.Variance.None() {
			t.Errorf("%d elements: sum tells %+v, stats %+v (%v)", n, less, got, err)
		}
	}
}

// wantMoments compares mean and variances with their definitions over the
// rationals, and the extremes with those found one by one.
func wantMoments[T element](t *testing.T, got *Stats, v []T) {
	t.Helper()
	if len(v) == 0 {
		if !got.Min.None() || !got.Max.None() || !got.Mean.None() || !got.Variance.None() || !got.SampleVariance.None() {
			t.Errorf("of nothing: %+v", got)
		}
		return
	}
	n := new(big.Rat).SetInt64(int64(len(v)))
	sum, _ := sumOf(v).Rat(nil)
	squares, _ := productOf(v, v).Rat(nil)
	mean := new(big.Rat).Quo(sum, n)
	spread := new(big.Rat).Sub(squares, new(big.Rat).Mul(mean, sum)) // sum of (x-mean)^2
	wantFloat(t, "mean", got.Mean, rounded(mean))
	wantFloat(t, "variance", got.Variance, rounded(new(big.Rat).Quo(spread, n)))
	if len(v) > 1 {
		wantFloat(t, "sample variance", got.SampleVariance, rounded(new(big.Rat).Quo(spread, new(big.Rat).Sub(n, big.NewRat(1, 1)))))
	} else if !got.SampleVariance.None() {
		t.Errorf("sample variance of one element: %v", got.SampleVariance)
	}
	lo, hi := v[0], v[0]
	for _, x := range v {
		if earlier(x, lo) {
			lo = x
		}
		if earlier(hi, x) {
			hi = x
		}
	}
	if got.Min.String() != number(lo).String() || got.Max.String() != number(hi).String() {
		t.Errorf("from %v to %v, want %v to %v", got.Min, got.Max, lo, hi)
	}
}

// earlier is the order of numbers, with -0 before +0.
func earlier[T element](a, b T) bool {
	return a < b || a == b && math.Signbit(float64(a)) && !math.Signbit(float64(b))
}

func wantFloat(t *testing.T, what string, got Number, want float64) {
	t.Helper()
	if !got.fraction || math.Float64bits(got.float) != math.Float64bits(want) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// Every sum, mean and variance is the exact one rounded once, for every type,
// and to the byte the same whatever the extents.
func TestStatisticsAreExact(t *testing.T) {
	eachType(t, [10]func(*testing.T, *runner){
		checkStats[int8], checkStats[int16], checkStats[int32], checkStats[int64],
		checkStats[uint8], checkStats[uint16], checkStats[uint32], checkStats[uint64], checkStats[float32], checkStats[float64],
	})
}

func checkDot[T element](t *testing.T, r *runner) {
	typ := typeFor[T]()
	for _, n := range lengths(typ) {
		a, b := samples[T](n, uint64(n)), samples[T](n, uint64(n)+1)
		q := Dot(typ)
		extent := uint64(holo.PageSize / typ.Size())
		acc := r.reduce(q, extent, columnOf(a), columnOf(b))
		got, err := q.ReadDot(typ, acc)
		if err != nil || got.Count != uint64(n) || got.NaNs != 0 {
			t.Fatalf("%+v, %v", got, err)
		}
		wantNumber(t, fmt.Sprintf("dot of %d", n), typ, got.Sum, productOf(a, b))
		if other := r.reduce(q, 2*extent, columnOf(a), columnOf(b)); !bytes.Equal(other, acc) {
			t.Errorf("%d elements: other extents, another answer", n)
		}
		norm, err := q.ReadDot(typ, r.reduce(q, extent, columnOf(a), columnOf(a)))
		if err != nil {
			t.Fatal(err)
		}
		wantRoot(t, norm.Root, productOf(a, a))
	}
}

// wantRoot checks that a float is the one nearest to a root: the root lies
// between the middles to its neighbours, which is checked by squaring them.
func wantRoot(t *testing.T, got Number, of *big.Float) {
	t.Helper()
	f := got.Float64()
	if of.Sign() == 0 {
		if math.Float64bits(f) != 0 {
			t.Errorf("root of 0 is %v", f)
		}
		return
	}
	if math.IsInf(f, 1) { // from half a step beyond the largest float on
		limit := new(big.Float).SetPrec(2*most).SetMantExp(exact(1), 1024)
		limit.Sub(limit, new(big.Float).SetMantExp(exact(1), 970))
		if limit.Mul(limit, limit).Cmp(of) > 0 {
			t.Errorf("root of %s is %v", of.Text('g', 30), f)
		}
		return
	}
	middle := func(g float64) *big.Float {
		m := new(big.Float).SetPrec(2*most).Add(exact(f), exact(g))
		m.Quo(m, exact(2))
		return m.Mul(m, m)
	}
	if middle(math.Nextafter(f, 0)).Cmp(of) > 0 || middle(math.Nextafter(f, math.Inf(1))).Cmp(of) < 0 {
		t.Errorf("root of %s is %v, which is not the nearest", of.Text('g', 30), f)
	}
}

// Dot products are exact, and norms are their roots rounded once.
func TestDotProductsAreExact(t *testing.T) {
	eachType(t, [10]func(*testing.T, *runner){
		checkDot[int8], checkDot[int16], checkDot[int32], checkDot[int64],
		checkDot[uint8], checkDot[uint16], checkDot[uint32], checkDot[uint64], checkDot[float32], checkDot[float64],
	})
}

// What is no number is counted and left out; what is infinite is a number.
func TestWhatIsNotFinite(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	negative := math.Copysign(0, -1)
	r := newRunner(t)
	for _, c := range []struct {
		v                  []float64
		count, nans        uint64
		min, max, sum      string
		mean, variance     string
		dot, norm, product string // with itself; the numbers among the products
	}{
		{[]float64{nan}, 0, 1, "-", "-", "0", "-", "-", "0", "0", "0"},
		{[]float64{nan, 2, nan, 4}, 2, 2, "2", "4", "6", "3", "1", "20", "4.47213595499958", "2"},
		{[]float64{nan, nan, 2, 4, nan, nan}, 2, 4, "2", "4", "6", "3", "1", "20", "4.47213595499958", "2"}, // extents without a number
		{[]float64{1, inf}, 2, 0, "1", "+Inf", "+Inf", "+Inf", "NaN", "+Inf", "+Inf", "2"},
		{[]float64{-inf, 1}, 2, 0, "-Inf", "1", "-Inf", "-Inf", "NaN", "+Inf", "+Inf", "2"},
		{[]float64{-inf, inf, nan}, 2, 1, "-Inf", "+Inf", "NaN", "NaN", "NaN", "+Inf", "+Inf", "2"},
		{[]float64{0, negative}, 2, 0, "-0", "0", "0", "0", "0", "0", "0", "2"},
		{[]float64{negative, negative}, 2, 0, "-0", "-0", "0", "0", "0", "0", "0", "2"},
		{[]float64{math.MaxFloat64, math.MaxFloat64}, 2, 0, "1.7976931348623157e+308", "1.7976931348623157e+308", "+Inf", "1.7976931348623157e+308", "0", "+Inf", "+Inf", "2"},
		{[]float64{1e308, 1e308, -1e308, 1}, 4, 0, "-1e+308", "1e+308", "1e+308", "2.5e+307", "+Inf", "+Inf", "1.7320508075688772e+308", "4"},
		{[]float64{1, 1e100, 1, -1e100}, 4, 0, "-1e+100", "1e+100", "2", "0.5", "5e+199", "2e+200", "1.414213562373095e+100", "4"},
	} {
		q, d := WholeStats(holo.F64), Dot(holo.F64)
		s, err := q.ReadStats(holo.F64, r.reduce(q, 2, columnOf(c.v)))
		if err != nil || s.Count != c.count || s.NaNs != c.nans || s.Min.String() != c.min || s.Max.String() != c.max || s.Sum.String() != c.sum || s.Mean.String() != c.mean || s.Variance.String() != c.variance {
			t.Errorf("%v: %+v, %v", c.v, s, err)
		}
		p, err := d.ReadDot(holo.F64, r.reduce(d, 2, columnOf(c.v), columnOf(c.v)))
		if err != nil || p.Sum.String() != c.dot || p.Root.String() != c.norm || fmt.Sprint(p.Count) != c.product || p.NaNs != c.nans {
			t.Errorf("%v: %+v, %v", c.v, p, err)
		}
	}
	d := Dot(holo.F32)
	p, err := d.ReadDot(holo.F32, r.reduce(d, 8, columnOf([]float32{0, 1, 5}), columnOf([]float32{float32(inf), float32(inf), 2})))
	if err != nil || p.NaNs != 1 || p.Count != 2 || p.Sum.String() != "+Inf" {
		t.Errorf("0 times infinity: %+v, %v", p, err)
	}
}

// Sums go beyond 64 bits and do not wrap: as many of the extremes as a test
// can hold, and a total carried on through digits that are all ones.
func TestSumsOfIntegersDoNotWrap(t *testing.T) {
	r := newRunner(t)
	const n = 3*8192 + 5
	least, most := make([]int64, n), make([]uint64, n)
	for i := range n {
		least[i], most[i] = math.MinInt64, math.MaxUint64
	}
	q := WholeStats(holo.I64)
	s, err := q.ReadStats(holo.I64, r.reduce(q, 8192, columnOf(least)))
	want := new(big.Int).Mul(big.NewInt(n), big.NewInt(math.MinInt64))
	if err != nil || s.Sum.Big().Cmp(want) != 0 || s.Variance.String() != "0" || s.Mean.Float64() != math.MinInt64 {
		t.Errorf("%+v, %v, want sum %v", s, err, want)
	}
	q = WholeStats(holo.U64)
	s, err = q.ReadStats(holo.U64, r.reduce(q, 8192, columnOf(most)))
	want = new(big.Int).Mul(big.NewInt(n), new(big.Int).SetUint64(math.MaxUint64))
	if err != nil || s.Sum.Big().Cmp(want) != 0 || s.Variance.String() != "0" {
		t.Errorf("%+v, %v, want sum %v", s, err, want)
	}
	d := Dot(holo.U64)
	p, err := d.ReadDot(holo.U64, r.reduce(d, 8192, columnOf(most), columnOf(most)))
	if want.Mul(want, new(big.Int).SetUint64(math.MaxUint64)); err != nil || p.Sum.Big().Cmp(want) != 0 {
		t.Errorf("%+v, %v, want %v", p, err, want)
	}
}

// The digits of a sum have room for as many of the longest mantissas, at any
// place, as are added before they carry.
func TestDigitsHaveRoomUntilTheyCarry(t *testing.T) {
	r := newRunner(t)
	q, d := Sum(holo.F64), Dot(holo.F64)
	for place := range 32 {
		v := filled(8192, math.Ldexp(-0x1.fffffffffffffp0, 100+place))
		s, err := q.ReadStats(holo.F64, r.reduce(q, 8192, columnOf(v)))
		if want := v[0] * 8192; err != nil || s.Sum.Float64() != want {
			t.Errorf("place %d: %v, %v, want %v", place, s.Sum, err, want)
		}
		p, err := d.ReadDot(holo.F64, r.reduce(d, 8192, columnOf(v), columnOf(filled(8192, 1.0))))
		if err != nil || p.Sum.Float64() != v[0]*8192 {
			t.Errorf("place %d: %v, %v, want %v", place, p.Sum, err, v[0]*8192)
		}
	}
}
