package memory

import (
	"context"
	"encoding/binary"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Atom is one atomic operation on an element.
type Atom struct {
	Op      holo.OpID
	Index   uint64            // of the element
	Kind    wire.MutationKind // MutateSwap or MutateFold
	Fold    holo.Fold         // of MutateFold
	Operand []byte            // one element
	Expect  []byte            // of MutateSwap
}

// Atomic reads and changes one element at its home, once whatever is sent
// again.
func (n *Node) Atomic(ctx context.Context, id holo.ArrayID, at *Atom) (met []byte, applied bool, err error) {
	a, err := n.Array(ctx, id)
	if err != nil {
		return nil, false, err
	}
	size := a.Shape.Type.Size()
	if uint64(len(at.Operand)) != size || at.Index >= a.Shape.Length {
		return nil, false, holo.Errorf(holo.Invalid, "atomic operation on array %s: element %d with %d bytes, it has %d of %d",
			a.Name, at.Index, len(at.Operand), a.Shape.Length, size)
	}
	if a, err = n.openArray(ctx, id, at.Index*size, size); err != nil {
		return nil, false, err
	}
	s := spans(a, at.Index*size, size)[0]
	done, err := n.Mutate(ctx, s.shard, at.mutation(a))
	if err != nil {
		return nil, false, err
	}
	return binary.LittleEndian.AppendUint64(nil, done.Old)[:size], done.Applied, nil
}

func (at *Atom) mutation(a *wire.ArrayRecord) *wire.Mutation {
	offset := at.Index * a.Shape.Type.Size()
	mu := &wire.Mutation{
		Op: at.Op, Array: a.ID, Kind: at.Kind, Expect: at.Expect,
		Changes: []wire.Change{{
			Page: holo.PageIndex(offset / holo.PageSize), Kind: wire.PageDelta, Offset: uint32(offset % holo.PageSize), Data: at.Operand,
		}},
	}
	if at.Kind == wire.MutateFold {
		mu.Fold, mu.Element = at.Fold, a.Shape.Type
	}
	shard.SignMutation(mu)
	return mu
}
