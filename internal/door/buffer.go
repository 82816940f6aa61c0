package door

import (
	"context"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/lane"
)

// MaxBufferWait is the longest that a call about a buffer waits, in milliseconds.
const MaxBufferWait = 10_000

// Buffers are the calls about records.
type Buffers interface {
	OpenProducer(context.Context, Caller, *holov1.OpenBufferRequest) (*holov1.OpenBufferResponse, error)
	AppendRecords(context.Context, Caller, *holov1.AppendRequest) (*holov1.AppendResponse, error)
	TakeRecords(context.Context, Caller, *holov1.TakeRequest) (*holov1.Taken, error)
	SettleRecords(context.Context, Caller, *holov1.SettleRequest) error
	StatBuffer(ctx context.Context, c Caller, array uint64) (*holov1.BufferStat, error)
}

type bufferService struct{ handlers }

// consumes is what it takes to consume of a buffer: to see the records, and to
// have them be gone for everybody else.
func consumes(array uint64) []Access {
	return append(arrayID(holo.ActionRead, array), arrayID(holo.ActionWrite, array)...)
}

func checkParty(what string, number uint64) error {
	if number == 0 {
		return holo.Errorf(holo.Invalid, "%s: no number, want one drawn at random", what)
	}
	return nil
}

func checkBufferWait(what string, ms uint32) error {
	if ms > MaxBufferWait {
		return holo.Errorf(holo.Invalid, "%s: to wait for %d ms, at most %d", what, ms, MaxBufferWait)
	}
	return nil
}

func checkOpenProducer(m *holov1.OpenBufferRequest) error {
	return checkParty("open producer", m.GetProducer())
}

func checkAppend(m *holov1.AppendRequest) error {
	if err := checkParty("append", m.GetProducer()); err != nil {
		return err
	}
	size, n := 0, len(m.GetRecords())
	for _, r := range m.GetRecords() {
		if size += 4 + len(r); len(r) > lane.MaxRecord {
			return holo.Errorf(holo.Invalid, "append: a record of %d bytes, at most %d", len(r), lane.MaxRecord)
		}
	}
	switch {
	case n == 0 || n > lane.MaxRecords || size > lane.MaxBatch:
		return holo.Errorf(holo.Invalid, "append: %d records of %d bytes, want 1 to %d of at most %d", n, size, lane.MaxRecords, lane.MaxBatch)
	case m.GetSequence() == 0 || m.GetSequence() > lane.MaxSequence:
		return holo.Errorf(holo.Invalid, "append: records from %d on, the first is 1", m.GetSequence())
	}
	return checkBufferWait("append", m.GetWaitMilliseconds())
}

func checkTake(m *holov1.TakeRequest) error {
	if err := checkParty("take", m.GetConsumer()); err != nil {
		return err
	}
	return checkBufferWait("take", m.GetWaitMilliseconds())
}

func checkSettle(m *holov1.SettleRequest) error { return checkParty("settle", m.GetConsumer()) }

func (s bufferService) Open(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.OpenBufferResponse], error) {
	return reply(s.b.OpenProducer(ctx, callerOf(ctx), messageOf[*holov1.OpenBufferRequest](ctx)))
}

func (s bufferService) Append(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.AppendResponse], error) {
	return reply(s.b.AppendRecords(ctx, callerOf(ctx), messageOf[*holov1.AppendRequest](ctx)))
}

func (s bufferService) Take(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.Taken], error) {
	return reply(s.b.TakeRecords(ctx, callerOf(ctx), messageOf[*holov1.TakeRequest](ctx)))
}

func (s bufferService) Settle(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.SettleResponse], error) {
	return reply(&holov1.SettleResponse{}, s.b.SettleRecords(ctx, callerOf(ctx), messageOf[*holov1.SettleRequest](ctx)))
}

func (s bufferService) Stat(ctx context.Context, req *connect.Request[holov1.StatBufferRequest]) (*connect.Response[holov1.BufferStat], error) {
	return reply(s.b.StatBuffer(ctx, callerOf(ctx), req.Msg.GetArray()))
}
