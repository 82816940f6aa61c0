package memory

import (
	"bytes"
	"context"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

// extentsAtOnce is how many extents one request works on at a time. What is in
// flight to one node is bounded besides (flows.go).
const extentsAtOnce = 8

// span is a range of bytes of one array within one extent.
type span struct {
	shard  holo.ShardID
	offset uint64 // in the array
	length uint64
}

// spans cuts a range of an array by extents.
func spans(a *wire.ArrayRecord, offset, length uint64) []span {
	per := a.Shape.ExtentPages() * holo.PageSize
	var list []span
	for length > 0 {
		extent := offset / per
		n := min(length, (extent+1)*per-offset)
		list = append(list, span{placement.ShardOf(a.Class, a.Affinity, extent), offset, n})
		offset, length = offset+n, length-n
	}
	return list
}

// run is the pages that the span touches.
func (s span) run() wire.PageRun {
	first, last := s.offset/holo.PageSize, (s.offset+s.length-1)/holo.PageSize
	return wire.PageRun{Shard: s.shard, First: holo.PageIndex(first), Count: uint32(last - first + 1)}
}

// inside refuses a range that does not lie in the array.
func inside(a *wire.ArrayRecord, offset, length uint64) error {
	if total := a.Shape.Bytes(); offset > total || length > total-offset {
		return holo.Errorf(holo.Invalid, "array %s: bytes %d+%d of %d", a.Name, offset, length, total)
	}
	return nil
}

// ReadRange fills dst with an array's bytes from an offset: the extents side by
// side, each from its home, or any member once the array is sealed.
func (n *Node) ReadRange(ctx context.Context, id holo.ArrayID, offset uint64, dst []byte) error {
	a, err := n.Array(ctx, id)
	if err != nil {
		return err
	}
	if err := inside(a, offset, uint64(len(dst))); err != nil {
		return err
	}
	list := spans(a, offset, uint64(len(dst)))
	return wait.Parallel(ctx, len(list), extentsAtOnce, func(ctx context.Context, i int) error {
		s := list[i]
		return n.readSpan(ctx, a, s, dst[s.offset-offset:][:s.length])
	})
}

func (n *Node) readSpan(ctx context.Context, a *wire.ArrayRecord, s span, dst []byte) error {
	run := s.run()
	pages, _, err := n.ReadRun(ctx, a, run)
	if err != nil {
		return err
	}
	skip := int(s.offset % holo.PageSize)
	for _, p := range pages {
		k := min(holo.PageSize-skip, len(dst))
		p.copyTo(dst[:k], skip)
		dst, skip = dst[k:], 0
	}
	return nil
}

// WriteRange writes src at an offset of an open array: one mutation for each
// extent, side by side. Each extent is written as a whole or not at all; a
// range over several extents is not one step. under is the token of a write
// lease, zero where there is none.
func (n *Node) WriteRange(ctx context.Context, id holo.ArrayID, offset uint64, src []byte, under holo.Token) error {
	a, err := n.openArray(ctx, id, offset, uint64(len(src)))
	if err != nil {
		return err
	}
	list := spans(a, offset, uint64(len(src)))
	return wait.Parallel(ctx, len(list), extentsAtOnce, func(ctx context.Context, i int) error {
		s := list[i]
		return n.write(ctx, a, s.shard, changes(a, s, func(dst []byte, at uint64) { copy(dst, src[at-offset:]) }), under)
	})
}

// MutateAll brings one mutation about the whole array to each of its shards.
func (n *Node) MutateAll(ctx context.Context, a *wire.ArrayRecord, kind wire.MutationKind) error {
	count := int(min(a.Shape.Extents(), holo.ShardCount))
	return wait.Parallel(ctx, count, extentsAtOnce, func(ctx context.Context, i int) error {
		s := placement.ShardOf(a.Class, a.Affinity, uint64(i))
		_, err := n.Mutate(ctx, s, &wire.Mutation{Op: n.NextOp(), Kind: kind, Array: a.ID})
		if kind == wire.MutateDrop && holo.KindOf(err) == holo.DataLost {
			return nil // nobody holds what was to be dropped
		}
		return err
	})
}

// openArray finds an array that may be written in the range.
func (n *Node) openArray(ctx context.Context, id holo.ArrayID, offset, length uint64) (*wire.ArrayRecord, error) {
	a, err := n.Array(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := notBuffer(a); err != nil {
		return nil, err
	}
	if a.State != wire.ArrayOpen {
		return nil, holo.Refuse(holo.Conflict, ReasonNotOpen, "write array %s: it is %s", a.Name, a.State)
	}
	return a, inside(a, offset, length)
}

// write brings the changes of one extent to its home.
func (n *Node) write(ctx context.Context, a *wire.ArrayRecord, s holo.ShardID, list []wire.Change, under holo.Token) error {
	if a.LostIn(s) {
		return holo.Refuse(holo.DataLost, ReasonLost, "write array %s: part of it is lost with every node that held it", a.Name)
	}
	mu := &wire.Mutation{Op: n.NextOp(), Kind: wire.MutateWrite, Array: a.ID, Changes: list, Under: under}
	shard.SignMutation(mu)
	_, err := n.Mutate(ctx, s, mu)
	return err
}

// changes turns a span into changes of its pages: whole pages where the span
// covers all elements of a page, else deltas. put writes the bytes of the array
// from an offset into new memory, which the shards keep.
func changes(a *wire.ArrayRecord, s span, put func(dst []byte, at uint64)) []wire.Change {
	var list []wire.Change
	end := s.offset + s.length
	for at := s.offset; at < end; {
		page := at / holo.PageSize
		start := page * holo.PageSize
		used := min(holo.PageSize, a.Shape.Bytes()-start) // the last page may be partly used
		stop := min(start+used, end)
		c := wire.Change{Page: holo.PageIndex(page), Kind: wire.PageDelta, Offset: uint32(at - start), Data: make([]byte, stop-at)}
		if at == start && stop == start+used {
			c = wire.Change{Page: c.Page, Kind: wire.PageData, Data: make([]byte, holo.PageSize)}
		}
		put(c.Data[:stop-at], at)
		list = append(list, Slim(c))
		at = stop
	}
	return list
}

var zeros [holo.PageSize]byte

// Slim makes a page of zeros one that takes no memory.
func Slim(c wire.Change) wire.Change {
	if c.Kind == wire.PageData && bytes.Equal(c.Data, zeros[:]) {
		return wire.Change{Page: c.Page, Kind: wire.PageZero}
	}
	return c
}

// FillRange sets elements of an open array to one value. Whole pages travel
// and are kept as the pattern.
func (n *Node) FillRange(ctx context.Context, id holo.ArrayID, first, count uint64, value []byte) error {
	a, err := n.Array(ctx, id)
	if err != nil {
		return err
	}
	size := a.Shape.Type.Size()
	if uint64(len(value)) != size || first > a.Shape.Length || count > a.Shape.Length-first {
		return holo.Errorf(holo.Invalid, "fill array %s: elements %d+%d of %d with %d bytes", a.Name, first, count, a.Shape.Length, len(value))
	}
	if a, err = n.openArray(ctx, id, first*size, count*size); err != nil {
		return err
	}
	list := spans(a, first*size, count*size)
	return wait.Parallel(ctx, len(list), extentsAtOnce, func(ctx context.Context, i int) error {
		return n.write(ctx, a, list[i].shard, fillChanges(a, list[i], value), holo.Token{})
	})
}

func fillChanges(a *wire.ArrayRecord, s span, value []byte) []wire.Change {
	list := changes(a, s, func(dst []byte, _ uint64) {
		for k := copy(dst, value); k < len(dst); {
			k += copy(dst[k:], dst[:k])
		}
	})
	for i := range list {
		if c := &list[i]; c.Kind == wire.PageData && uint64(c.Page+1)*holo.PageSize <= a.Shape.Bytes() {
			*c = wire.Change{Page: c.Page, Kind: wire.PageFill, Data: bytes.Clone(value)}
		}
	}
	return list
}
