package holocompute_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/holocompute/holocompute"
)

// An array of each type does what a slice of Go does: stretches are written, filled
// and read at odd elements and unaligned ends, some of no elements, and some over
// pages and extents.
func TestArraysOfEveryTypeDoWhatSlicesDo(t *testing.T) {
	c := connect(t)
	likeSlice[int8](t, c)
	likeSlice[int16](t, c)
	likeSlice[int32](t, c)
	likeSlice[int64](t, c)
	likeSlice[uint8](t, c)
	likeSlice[uint16](t, c)
	likeSlice[uint32](t, c)
	likeSlice[uint64](t, c)
	likeSlice[float32](t, c)
	likeSlice[float64](t, c)
}

// likeSlice compares after every step the stretch that it read.
func likeSlice[T holocompute.Element](t *testing.T, c *holocompute.Cluster) {
	t.Helper()
	const extent, length = 65536, 2*65536 + 4321
	name := fmt.Sprintf("like-%T", *new(T))
	a, err := holocompute.Create[T](t.Context(), c, name, length, holocompute.ArrayOptions{Extent: extent})
	if err != nil {
		t.Fatal(err)
	}
	rng, model := rand.New(rand.NewPCG(1, 2)), make([]T, length)
	for step := range 30 {
		from, to := stretch(rng, length)
		if err := change(t.Context(), rng, a, model, from, to); err != nil {
			t.Fatalf("%s, step %d: %v", name, step, err)
		}
		from, to = stretch(rng, length)
		got := make([]T, to-from)
		if err := a.Read(t.Context(), from, got); err != nil || !slices.Equal(got, model[from:to]) {
			t.Fatalf("%s, step %d: elements %d to %d are others than those of the slice: %v", name, step, from, to, err)
		}
	}
}

// stretch chooses elements: a few, none, or up to all.
func stretch(rng *rand.Rand, length uint64) (from, to uint64) {
	from = rng.Uint64N(length + 1)
	most := length - from
	if rng.IntN(2) == 0 {
		most = min(most, 5)
	}
	return from, from + rng.Uint64N(most+1)
}

// change writes or fills a stretch of the array and of the slice.
func change[T holocompute.Element](ctx context.Context, rng *rand.Rand, a *holocompute.Array[T], model []T, from, to uint64) error {
	if rng.IntN(3) == 0 {
		value := T(rng.IntN(100))
		for i := from; i < to; i++ {
			model[i] = value
		}
		return a.Fill(ctx, from, to-from, value)
	}
	for i := from; i < to; i++ {
		model[i] = T(rng.IntN(1 << 20))
	}
	return a.Write(ctx, from, model[from:to])
}
