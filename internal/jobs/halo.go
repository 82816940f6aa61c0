package jobs

import (
	"context"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Around is what a task with a halo sees beside its extent of an input:
// elements, as many on either side as the halo is wide. What lies beyond the
// ends of the array is made up as the halo's edge says.
type Around struct{ Before, After []byte }

// sum is the digest that a receipt names it by.
func (a Around) sum() holo.Digest {
	return digest.Of(append(a.Before[:len(a.Before):len(a.Before)], a.After...))
}

// stretch are elements of an array one after the other; one of them so often; or
// zeros.
type stretch struct {
	first, count uint64
	same, zero   bool
}

// stretches cuts count elements from first on, which may lie outside of an array
// of a length, into what there is. A halo that wraps is not wider than the array
// (wire.Halo.Valid), so there are a few at most.
func stretches(first int64, count, length uint64, edge wire.Edge) (list []stretch) {
	for count > 0 {
		s := stretch{count: count}
		switch {
		case first >= 0 && uint64(first) < length:
			s.first, s.count = uint64(first), min(count, length-uint64(first))
		case edge == wire.EdgeWrap && first < 0:
			s.first, s.count = length-uint64(-first), min(count, uint64(-first))
		case edge == wire.EdgeWrap:
			s.first, s.count = uint64(first)-length, min(count, 2*length-uint64(first))
		case first < 0:
			s.count = min(count, uint64(-first))
			s.same, s.zero = edge == wire.EdgeClamp, edge == wire.EdgeZero
		default:
			s.first, s.same, s.zero = length-1, edge == wire.EdgeClamp, edge == wire.EdgeZero
		}
		list = append(list, s)
		first, count = first+int64(s.count), count-s.count
	}
	return list
}

// ReadAround reads what a task sees around its extent of an input of a type.
// read fills b with elements from first on, all of them inside of the array.
func ReadAround(t *wire.RunTask, elem holo.ElementType, read func(first uint64, b []byte) error) (a Around, err error) {
	width := uint64(t.Halo.Width)
	a = Around{make([]byte, width*elem.Size()), make([]byte, width*elem.Size())}
	for _, side := range []struct {
		first int64
		into  []byte
	}{{int64(t.First) - int64(width), a.Before}, {int64(t.First + t.Count), a.After}} {
		for _, s := range stretches(side.first, width, t.Length, t.Halo.Edge) {
			b := side.into[:s.count*elem.Size()]
			side.into = side.into[len(b):]
			if err := s.read(b, elem.Size(), read); err != nil {
				return a, err
			}
		}
	}
	return a, nil
}

// read fills b, which is zero, with the stretch.
func (s stretch) read(b []byte, size uint64, read func(first uint64, b []byte) error) error {
	switch {
	case s.zero:
		return nil
	case !s.same:
		return read(s.first, b)
	}
	if err := read(s.first, b[:size]); err != nil {
		return err
	}
	for rest := b[size:]; len(rest) > 0; {
		rest = rest[copy(rest, b[:size]):]
	}
	return nil
}

// around reads what the task sees around its extent of an input, from the homes
// of the extents beside it.
func (w *work) around(ctx context.Context, in wire.TaskArray) (Around, error) {
	a, err := w.cluster.Array(ctx, in.Array)
	if err != nil {
		return Around{}, err
	}
	return ReadAround(w.task, in.Type, func(first uint64, b []byte) error { return w.elements(ctx, a, first, b) })
}

// elements fills b with elements of an array from first on, from the homes of the
// extents that they lie in.
func (w *work) elements(ctx context.Context, a Array, first uint64, b []byte) error {
	for len(b) > 0 {
		n, err := w.inExtent(ctx, a, first, b)
		if err != nil {
			return err
		}
		first, b = first+n/a.Shape.Type.Size(), b[n:]
	}
	return nil
}

// inExtent fills b as far as its elements lie in one extent, and tells how many
// bytes that were.
func (w *work) inExtent(ctx context.Context, a Array, first uint64, b []byte) (uint64, error) {
	shape, size := a.Shape, a.Shape.Type.Size()
	extent, from := first/shape.Extent, first%shape.Extent*size
	n := min(uint64(len(b)), shape.Extent*size-from)
	page, count := from/holo.PageSize, (from+n+holo.PageSize-1)/holo.PageSize-from/holo.PageSize
	got, err := w.cluster.ReadPages(ctx, a.ID, w.cluster.Shard(a, extent), holo.PageIndex(extent*shape.ExtentPages()+page), uint32(count))
	if err != nil {
		return 0, err
	}
	if uint64(len(got.Pages)) != count {
		return 0, holo.Errorf(holo.Internal, "read %d pages of array a%d: %d came", count, uint64(a.ID), len(got.Pages))
	}
	newSource(shape.Type, count*holo.PageSize, got.Pages).read(b[:n], from%holo.PageSize)
	w.countBytes(n, got.Moved)
	return n, nil
}
