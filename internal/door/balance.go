package door

import (
	"context"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
)

// Balances are the calls about how evenly the nodes hold what there is.
type Balances interface {
	StartBalance(context.Context, Caller) error
	Balance(context.Context, Caller) (*holov1.BalanceResponse, error)
}

type balanceService struct{ handlers }

func (s balanceService) Start(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.StartBalanceResponse], error) {
	err := s.b.StartBalance(ctx, callerOf(ctx))
	return reply(&holov1.StartBalanceResponse{}, err)
}

func (s balanceService) Get(ctx context.Context, _ *connect.Request[holov1.GetBalanceRequest]) (*connect.Response[holov1.BalanceResponse], error) {
	return reply(s.b.Balance(ctx, callerOf(ctx)))
}
