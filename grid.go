package holocompute

import (
	"context"
	"math/bits"

	"golang.org/x/sync/errgroup"

	"github.com/holocompute/holocompute/internal/holo"
)

// MaxDims is how many dimensions a Grid may have.
const MaxDims = 3

const (
	gridSpan  = 1 << 20  // bytes that are read at once
	gridGap   = 64 << 10 // bytes between elements that are read rather than left out
	gridRuns  = 1 << 16  // pieces that are picked out of one read
	gridCalls = 8        // reads or writes on their way at once
)

// Grid is an array seen in one to three dimensions, row by row as C and NumPy lay
// them out: element (i, j, k) is number (i*d[1]+j)*d[2]+k of the array. It is a way
// to look at an array, and the cluster knows nothing of it: other programs may see
// the same array in other dimensions.
type Grid[T Element] struct {
	array *Array[T]
	dims  []uint64
}

// Slice picks Count indices of one dimension: First, First+Step, First+2*Step and so
// on. A Step of 0 is 1.
type Slice struct{ First, Count, Step uint64 }

// Grid sees the array in the dimensions, the slowest first. They must have as many
// elements as the array.
func (a *Array[T]) Grid(dims ...uint64) (*Grid[T], error) {
	if err := CheckDims(a.raw, dims); err != nil {
		return nil, err
	}
	return &Grid[T]{array: a, dims: append([]uint64{}, dims...)}, nil
}

// CheckDims refuses dimensions that a grid of the array cannot have.
func CheckDims(r *Raw, dims []uint64) error {
	if len(dims) == 0 || len(dims) > MaxDims {
		return holo.Errorf(Invalid, "see array %s as a grid: %d dimensions, want 1 to %d", r.info.Name, len(dims), MaxDims)
	}
	if n, ok := product(dims); !ok || n != r.info.Length {
		return holo.Errorf(Invalid, "see array %s as a grid: dimensions %d do not have its %d elements", r.info.Name, dims, r.info.Length)
	}
	return nil
}

// Array is the array that is looked at.
func (g *Grid[T]) Array() *Array[T] { return g.array }

// Dims are the dimensions, the slowest first.
func (g *Grid[T]) Dims() []uint64 { return append([]uint64{}, g.dims...) }

// All picks every index of a dimension.
func (g *Grid[T]) All(dim int) Slice { return Slice{Count: g.dims[dim]} }

// Read fills dst with what the slices pick, one for each dimension, row by row. dst
// has as many elements as that is. Elements near each other are read together, and
// all of them not at one moment: seal the array where it may be written meanwhile.
func (g *Grid[T]) Read(ctx context.Context, dst []T, slices ...Slice) error {
	p, err := g.plan("read", len(dst), slices)
	if err != nil {
		return err
	}
	calls, ctx := errgroup.WithContext(ctx)
	calls.SetLimit(gridCalls)
	size := g.array.raw.typ.Size()
	for s := range p.spans(gridSpan/size, gridGap/size) {
		if ctx.Err() != nil {
			break
		}
		part := dst[:s.picked]
		dst = dst[s.picked:]
		calls.Go(func() error { return g.pick(ctx, s, part) })
	}
	return calls.Wait()
}

// pick reads a span and takes out of it what was asked for.
func (g *Grid[T]) pick(ctx context.Context, s span, dst []T) error {
	if len(s.runs) == 1 {
		return g.array.Read(ctx, s.first, dst)
	}
	all := make([]T, s.count)
	if err := g.array.Read(ctx, s.first, all); err != nil {
		return err
	}
	for _, r := range s.runs {
		n := copy(dst, all[r.first-s.first:r.first-s.first+r.count])
		dst = dst[n:]
	}
	return nil
}

// Write writes values where the slices pick, one for each dimension, row by row.
// Nothing between is touched, so elements that do not lie side by side are written
// one by one, each in a call: a Step in the last dimension costs as many calls as it
// has elements. Those before an error may be written.
func (g *Grid[T]) Write(ctx context.Context, values []T, slices ...Slice) error {
	p, err := g.plan("write", len(values), slices)
	if err != nil {
		return err
	}
	calls, ctx := errgroup.WithContext(ctx)
	calls.SetLimit(gridCalls)
	for r := range p.runs() {
		if ctx.Err() != nil {
			break
		}
		part := values[:r.count]
		values = values[r.count:]
		calls.Go(func() error { return g.array.Write(ctx, r.first, part) })
	}
	return calls.Wait()
}

// plan checks what is asked for.
func (g *Grid[T]) plan(what string, have int, slices []Slice) (plan, error) {
	name := g.array.Info().Name
	if len(slices) != len(g.dims) {
		return plan{}, holo.Errorf(Invalid, "%s array %s: %d slices of a grid of %d dimensions", what, name, len(slices), len(g.dims))
	}
	p, want := plan{}, uint64(1)
	for i, s := range slices {
		s.Step = max(s.Step, 1)
		if !s.within(g.dims[i]) {
			return plan{}, holo.Errorf(Invalid, "%s array %s: %d indices from %d on in steps of %d in dimension %d, which has %d",
				what, name, s.Count, s.First, s.Step, i, g.dims[i])
		}
		want *= s.Count // at most the elements of the array
		p.add(g.dims[i], s)
	}
	if uint64(have) != want {
		return plan{}, holo.Errorf(Invalid, "%s array %s: %d values for the %d elements of the slices", what, name, have, want)
	}
	return p, nil
}

// within reports whether all indices are less than n.
func (s Slice) within(n uint64) bool {
	if s.Count == 0 {
		return s.First <= n
	}
	high, last := bits.Mul64(s.Count-1, s.Step)
	return high == 0 && s.First < n && last < n-s.First
}

// product is false where it is more than 64 bits have.
func product(dims []uint64) (uint64, bool) {
	n := uint64(1)
	for _, d := range dims {
		high, low := bits.Mul64(n, d)
		if high > 0 {
			return 0, false
		}
		n = low
	}
	return n, true
}
