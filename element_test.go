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
	likeSlice(t, c, number[int8])
	likeSlice(t, c, number[int16])
	likeSlice(t, c, number[int32])
	likeSlice(t, c, number[int64])
	likeSlice(t, c, number[uint8])
	likeSlice(t, c, number[uint16])
	likeSlice(t, c, number[uint32])
	likeSlice(t, c, number[uint64])
	likeSlice(t, c, number[float32])
	likeSlice(t, c, number[float64])
	likeSlice(t, c, func(n int) bool { return n%2 == 1 })
}

func number[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32 | float64](n int) T {
	return T(n)
}

// likeSlice compares after every step the stretch that it read.
func likeSlice[T holocompute.Element](t *testing.T, c *holocompute.Cluster, of func(int) T) {
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
		if err := change(t.Context(), rng, a, model, of, from, to); err != nil {
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
func change[T holocompute.Element](ctx context.Context, rng *rand.Rand, a *holocompute.Array[T], model []T, of func(int) T, from, to uint64) error {
	if rng.IntN(3) == 0 {
		value := of(rng.IntN(100))
		for i := from; i < to; i++ {
			model[i] = value
		}
		return a.Fill(ctx, from, to-from, value)
	}
	for i := from; i < to; i++ {
		model[i] = of(rng.IntN(1 << 20))
	}
	return a.Write(ctx, from, model[from:to])
}

// A bool is a byte in the cluster, and whatever another program wrote there is one
// of the two that Go knows; counting those that are true takes them for numbers.
func TestBoolsAreBytesThatAreNotZero(t *testing.T) {
	ctx, c := t.Context(), connect(t)
	bytes, err := holocompute.Create[uint8](ctx, c, "like-bytes", 5, holocompute.ArrayOptions{})
	if err == nil {
		err = bytes.Write(ctx, 0, []uint8{0, 1, 2, 255, 0})
	}
	if err != nil {
		t.Fatal(err)
	}
	a, err := holocompute.As[bool](bytes.Raw())
	if err != nil {
		t.Fatal(err)
	}
	got := make([]bool, 5)
	if err := a.Read(ctx, 0, got); err != nil || !slices.Equal(got, []bool{false, true, true, true, false}) {
		t.Errorf("%v, %v", got, err)
	}
	if err := a.Write(ctx, 0, []bool{true, false, true, true, false}); err != nil {
		t.Fatal(err)
	}
	n, err := a.CountIf(ctx, holocompute.Equal, true)
	if err != nil || n != 3 {
		t.Errorf("%d of five are true, want 3: %v", n, err)
	}
	top, err := a.Top(ctx, 1)
	if err != nil || len(top) != 1 || top[0] != (holocompute.Found[bool]{Index: 0, Value: true}) {
		t.Errorf("the first that is true: %+v, %v", top, err)
	}
	if back, err := holocompute.Values[bool](holocompute.Bytes([]bool{true, false})); err != nil || !slices.Equal(back, []bool{true, false}) {
		t.Errorf("bytes and back: %v, %v", back, err)
	}
}
