package holo

import (
	"math"
	"testing"
)

func TestFoldsAreThoseOfGo(t *testing.T) {
	u := func(v int64) uint64 { return uint64(v) }
	f64, f32 := math.Float64bits, func(f float32) uint64 { return uint64(math.Float32bits(f)) }
	for _, c := range []struct {
		fold    Fold
		t       ElementType
		a, b, r uint64
	}{
		{FoldAdd, I8, 0x7f, 1, 0x80}, {FoldAdd, U8, 0xff, 2, 1}, {FoldAdd, I16, 0xffff, 0xffff, 0xfffe}, {FoldAdd, U32, 1 << 31, 1 << 31, 0},
		{FoldAdd, I64, u(-5), u(3), u(-2)}, {FoldAdd, U64, math.MaxUint64, 1, 0},
		{FoldMin, I8, 0x80, 0x7f, 0x80}, {FoldMin, U8, 0x80, 0x7f, 0x7f}, {FoldMax, I16, 0xffff, 1, 1}, {FoldMax, U16, 0xffff, 1, 0xffff},
		{FoldMin, I64, u(-1), 1, u(-1)}, {FoldMax, U64, u(-1), 1, u(-1)}, {FoldMin, I32, 0xffffffff, 5, 0xffffffff},
		{FoldAdd, F64, f64(0.1), f64(0.2), f64(0.1 + 0.2 + 0)}, {FoldAdd, F32, f32(16777216), f32(1), f32(16777216)},
		{FoldMin, F64, f64(-1), f64(2), f64(-1)}, {FoldMax, F64, f64(math.Inf(-1)), f64(-3), f64(-3)}, {FoldMax, F32, f32(2.5), f32(-2.5), f32(2.5)},
	} {
		got := c.fold.Of(c.t, c.a, c.b)
		if c.t == F64 && c.fold == FoldAdd {
			c.r = math.Float64bits(math.Float64frombits(c.a) + math.Float64frombits(c.b))
		}
		if got != c.r {
			t.Errorf("%s of %s %#x and %#x: %#x, want %#x", c.fold, c.t, c.a, c.b, got, c.r)
		}
	}
	if v := math.Float64frombits(FoldMin.Of(F64, f64(math.NaN()), f64(1))); !math.IsNaN(v) {
		t.Errorf("the minimum of NaN and 1 is %v", v)
	}
	for f := FoldAdd; f < folds; f++ {
		if got, ok := ParseFold(f.String()); !ok || got != f {
			t.Errorf("%s reads as %v", f, got)
		}
	}
	if _, ok := ParseFold("sub"); ok || Fold(0).Valid() || folds.Valid() {
		t.Error("a fold that there is not")
	}
}
