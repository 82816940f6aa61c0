package door

import (
	"context"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
)

// Receipts are the calls by which somebody else can run a task again.
type Receipts interface {
	GetReceipts(ctx context.Context, c Caller, id holo.JobID, from uint64) (*holov1.Receipts, error)
	GetModule(ctx context.Context, c Caller, name string) (*holov1.ModuleBytes, error)
}

type receiptService struct{ handlers }

func checkGetModule(m *holov1.GetModuleRequest) error { return checkReference("kernel", m.GetName()) }

func (s receiptService) Get(ctx context.Context, req *connect.Request[holov1.GetReceiptsRequest]) (*connect.Response[holov1.Receipts], error) {
	return reply(s.b.GetReceipts(ctx, callerOf(ctx), holo.JobID(req.Msg.GetJob()), req.Msg.GetFrom()))
}

func (s receiptService) Module(ctx context.Context, req *connect.Request[holov1.GetModuleRequest]) (*connect.Response[holov1.ModuleBytes], error) {
	return reply(s.b.GetModule(ctx, callerOf(ctx), req.Msg.GetName()))
}
