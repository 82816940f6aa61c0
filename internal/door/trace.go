package door

import (
	"context"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
)

// Traces are the calls that tell why the tasks of a job are where they are, when
// they ran, and what they logged. They need the right to the job's result:
// failures are told in words, and a kernel may log what it reads.
type Traces interface {
	WhyTasks(context.Context, Caller, *holov1.WhyRequest) (*holov1.WhyResponse, error)
	TraceJob(context.Context, Caller, *holov1.TraceRequest) (*holov1.TraceResponse, error)
	// LogJob calls send with the log so far, and to follow with each part after
	// it, until the job has ended. It returns send's error when there is one.
	LogJob(ctx context.Context, c Caller, m *holov1.LogRequest, send func(*holov1.LogPart) error) error
}

type traceService struct{ handlers }

func (s traceService) Why(ctx context.Context, req *connect.Request[holov1.WhyRequest]) (*connect.Response[holov1.WhyResponse], error) {
	return reply(s.b.WhyTasks(ctx, callerOf(ctx), req.Msg))
}

func (s traceService) Trace(ctx context.Context, req *connect.Request[holov1.TraceRequest]) (*connect.Response[holov1.TraceResponse], error) {
	return reply(s.b.TraceJob(ctx, callerOf(ctx), req.Msg))
}

func (s traceService) Log(ctx context.Context, req *connect.Request[holov1.LogRequest], out *connect.ServerStream[holov1.LogPart]) error {
	return s.b.LogJob(ctx, callerOf(ctx), req.Msg, out.Send)
}
