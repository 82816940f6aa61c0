package holocompute_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute"
)

// inProcess is a grid in a slice of Go, picked from in the plainest way.
type inProcess struct {
	dims []uint64
	v    []float64
}

// each calls f with the place of every element that is picked, row by row.
func (p *inProcess) each(picked []holocompute.Slice, f func(at uint64)) {
	var dimension func(i int, before uint64)
	dimension = func(i int, before uint64) {
		if i == len(p.dims) {
			f(before)
			return
		}
		for n := range picked[i].Count {
			dimension(i+1, before*p.dims[i]+picked[i].First+n*max(picked[i].Step, 1))
		}
	}
	dimension(0, 0)
}

func anySlice(rng *rand.Rand, dim uint64) holocompute.Slice {
	if rng.IntN(3) == 0 {
		return holocompute.Slice{Count: dim}
	}
	s := holocompute.Slice{First: rng.Uint64N(dim + 1), Step: rng.Uint64N(4)}
	if s.First < dim {
		s.Count = rng.Uint64N((dim-s.First-1)/max(s.Step, 1) + 2)
	}
	return s
}

// Slices and strides of one, two and three dimensions, over page borders, to the last
// element and of none, read and write what plain Go does.
func TestGridsDoWhatSlicesOfGoDo(t *testing.T) {
	const n = 30 * 40 * 50
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := connect(t)
	a, err := holocompute.Create[float64](ctx, c, "grid/whole", n, holocompute.ArrayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float64, n)
	for i := range want {
		want[i] = float64(i)
	}
	if err := a.Write(ctx, 0, want); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 3))
	for round, dims := range [][]uint64{{n}, {1200, 50}, {30, 2000}, {30, 40, 50}, {50, 30, 40}, {1, n, 1}} {
		g, err := a.Grid(dims...)
		if err != nil {
			t.Fatal(err)
		}
		ref := &inProcess{dims, want}
		for i := range 12 {
			picked := make([]holocompute.Slice, len(dims))
			for d := range picked {
				picked[d] = anySlice(rng, dims[d])
			}
			compare(ctx, t, g, ref, picked)
			if i%4 == round%4 {
				rewrite(ctx, t, g, ref, picked)
			}
		}
	}
	got := make([]float64, n)
	if err := a.Read(ctx, 0, got); err != nil || !slices.Equal(got, want) {
		t.Errorf("an element that was not picked was written: %v", err)
	}
}

func compare(ctx context.Context, t *testing.T, g *holocompute.Grid[float64], ref *inProcess, picked []holocompute.Slice) {
	t.Helper()
	var want []float64
	ref.each(picked, func(at uint64) { want = append(want, ref.v[at]) })
	got := make([]float64, len(want))
	if err := g.Read(ctx, got, picked...); err != nil || !slices.Equal(got, want) {
		t.Fatalf("%d of dimensions %d: %v, or other elements", picked, ref.dims, err)
	}
}

// rewrite writes a few of the picked elements: those of a step are a call each.
func rewrite(ctx context.Context, t *testing.T, g *holocompute.Grid[float64], ref *inProcess, picked []holocompute.Slice) {
	t.Helper()
	for i := range picked {
		picked[i].Count = min(picked[i].Count, 5)
	}
	var values []float64
	ref.each(picked, func(at uint64) {
		ref.v[at] = -ref.v[at] - 1
		values = append(values, ref.v[at])
	})
	if err := g.Write(ctx, values, picked...); err != nil {
		t.Fatal(err)
	}
	compare(ctx, t, g, ref, picked)
}

func TestGridsThatCannotBeAreRefused(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := connect(t)
	a, err := holocompute.Create[int16](ctx, c, "grid/small", 12, holocompute.ArrayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, dims := range [][]uint64{nil, {3, 5}, {1, 2, 3, 2}, {1 << 63, 2, 12}} {
		if _, err := a.Grid(dims...); holocompute.KindOf(err) != holocompute.Invalid {
			t.Errorf("dimensions %d: %v", dims, err)
		}
	}
	g, err := a.Grid(3, 4)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		values int
		slices []holocompute.Slice
		says   string
	}{
		"too few slices":   {3, []holocompute.Slice{{Count: 3}}, "1 slices of a grid of 2 dimensions"},
		"beyond the end":   {2, []holocompute.Slice{{Count: 1}, {First: 3, Count: 2}}, "in dimension 1, which has 4"},
		"a step beyond":    {3, []holocompute.Slice{{Count: 1}, {Count: 3, Step: 2}}, "in steps of 2"},
		"a step around":    {3, []holocompute.Slice{{Count: 3, Step: 1 << 63}, {Count: 1}}, "in dimension 0, which has 3"},
		"nothing, outside": {0, []holocompute.Slice{{First: 4}, {Count: 1}}, "which has 3"},
		"too few values":   {5, []holocompute.Slice{{Count: 2}, {Count: 3}}, "5 values for the 6 elements"},
	} {
		for _, err := range []error{g.Read(ctx, make([]int16, c.values), c.slices...), g.Write(ctx, make([]int16, c.values), c.slices...)} {
			if holocompute.KindOf(err) != holocompute.Invalid || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if err := g.Read(ctx, nil, holocompute.Slice{First: 3}, g.All(1)); err != nil {
		t.Errorf("no rows from the end on: %v", err)
	}
}
