package door

import (
	"context"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
)

// Atomics are the operations that read and change an element in one step.
type Atomics interface {
	Atomic(context.Context, Caller, *holov1.ApplyAtomicRequest) (*holov1.AtomicResponse, error)
}

type atomicService struct{ handlers }

// SwapKind is the kind of a compare and set; the others are those of holo.Fold.
const SwapKind = "swap"

func checkAtomic(m *holov1.ApplyAtomicRequest) error {
	_, fold := holo.ParseFold(m.GetKind())
	operand, expected := len(m.GetOperand()), len(m.GetExpected())
	switch {
	case !fold && m.GetKind() != SwapKind:
		return holo.Errorf(holo.Invalid, "atomic operation: kind %.20q, want add, min, max or swap", m.GetKind())
	case len(m.GetOperation()) != 16:
		return holo.Errorf(holo.Invalid, "atomic operation: an ID of %d bytes, want 16", len(m.GetOperation()))
	case operand == 0 || operand > holo.MaxAtom:
		return holo.Errorf(holo.Invalid, "atomic operation: an operand of %d bytes, want one element", operand)
	case fold && expected != 0 || !fold && expected != operand:
		return holo.Errorf(holo.Invalid, "atomic operation: %d expected bytes for an operand of %d", expected, operand)
	}
	return nil
}

// atomicNeeds: the answer tells what was there.
func atomicNeeds(m *holov1.ApplyAtomicRequest) []Access {
	return append(arrayID(holo.ActionWrite, m.GetArray()), arrayID(holo.ActionRead, m.GetArray())...)
}

func (s atomicService) Apply(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.AtomicResponse], error) {
	return reply(s.b.Atomic(ctx, callerOf(ctx), messageOf[*holov1.ApplyAtomicRequest](ctx)))
}
