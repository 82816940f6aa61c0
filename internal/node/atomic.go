package node

import (
	"context"
	"encoding/binary"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Atomic reads and changes one element at its home, once whatever is sent
// again.
func (n *Node) Atomic(ctx context.Context, _ door.Caller, m *holov1.ApplyAtomicRequest) (*holov1.AtomicResponse, error) {
	id := holo.ArrayID(m.GetArray())
	a, err := n.array(ctx, id)
	if err != nil {
		return nil, err
	}
	size := a.Shape.Type.Size()
	if uint64(len(m.GetOperand())) != size || m.GetIndex() >= a.Shape.Length {
		return nil, holo.Errorf(holo.Invalid, "atomic operation on array %s: element %d with %d bytes, it has %d of %d",
			a.Name, m.GetIndex(), len(m.GetOperand()), a.Shape.Length, size)
	}
	if a, err = n.openArray(ctx, id, m.GetIndex()*size, size); err != nil {
		return nil, err
	}
	s := spans(a, m.GetIndex()*size, size)[0]
	done, err := n.mutate(ctx, s.shard, atom(a, m))
	if err != nil {
		return nil, err
	}
	met := binary.LittleEndian.AppendUint64(nil, done.Old)[:size]
	return &holov1.AtomicResponse{Met: met, Applied: done.Applied}, nil
}

// atom is the mutation that a request asks for.
func atom(a *wire.ArrayRecord, m *holov1.ApplyAtomicRequest) *wire.Mutation {
	op, at := m.GetOperation(), m.GetIndex()*a.Shape.Type.Size()
	mu := &wire.Mutation{
		Op:    holo.OpID{Session: holo.SessionID(binary.BigEndian.Uint64(op)), Num: binary.BigEndian.Uint64(op[8:])},
		Array: a.ID, Kind: wire.MutateSwap, Expect: m.GetExpected(),
		Changes: []wire.Change{{
			Page: holo.PageIndex(at / holo.PageSize), Kind: wire.PageDelta, Offset: uint32(at % holo.PageSize), Data: m.GetOperand(),
		}},
	}
	if fold, ok := holo.ParseFold(m.GetKind()); ok {
		mu.Kind, mu.Fold, mu.Element = wire.MutateFold, fold, a.Shape.Type
	}
	shard.SignMutation(mu)
	return mu
}
