package door

import (
	"context"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
)

// Drains are the calls that take nodes out of use and back.
type Drains interface {
	SetDrain(context.Context, Caller, *holov1.SetDrainRequest) error
}

type drainService struct{ handlers }

func checkDrain(m *holov1.SetDrainRequest) error {
	if len(m.GetNode()) != 32 {
		return holo.Errorf(holo.Invalid, "drain node: want a node of 32 bytes")
	}
	return nil
}

func (s drainService) Set(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.SetDrainResponse], error) {
	err := s.b.SetDrain(ctx, callerOf(ctx), messageOf[*holov1.SetDrainRequest](ctx))
	return reply(&holov1.SetDrainResponse{}, err)
}
