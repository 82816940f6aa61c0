package door

import (
	"context"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
)

// MaxHoldMilliseconds is the longest write lease: a minute.
const MaxHoldMilliseconds = 60_000

// Leases are the calls about write leases.
type Leases interface {
	Hold(context.Context, Caller, *holov1.HoldRequest) (*holov1.HoldResponse, error)
}

type leaseService struct{ handlers }

func checkHold(m *holov1.HoldRequest) error {
	switch {
	case m.GetLease() == 0:
		return holo.Errorf(holo.Invalid, "write lease: no name, want a number drawn at random")
	case m.GetCount() == 0:
		return holo.Errorf(holo.Invalid, "write lease: of no elements")
	case m.GetMilliseconds() > MaxHoldMilliseconds:
		return holo.Errorf(holo.Invalid, "write lease: for %d ms, at most %d", m.GetMilliseconds(), MaxHoldMilliseconds)
	}
	return nil
}

func (s leaseService) Hold(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.HoldResponse], error) {
	return reply(s.b.Hold(ctx, callerOf(ctx), messageOf[*holov1.HoldRequest](ctx)))
}
