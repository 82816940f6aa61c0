package node

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/lane"
	"github.com/holocompute/holocompute/internal/wire"
)

// bufferOf finds a buffer.
func (n *Node) bufferOf(ctx context.Context, id uint64) (*wire.ArrayRecord, error) {
	a, err := n.memory.Array(ctx, holo.ArrayID(id))
	if err != nil {
		return nil, err
	}
	if !a.Buffer {
		return nil, holo.Errorf(holo.Invalid, "array %s is no buffer", a.Name)
	}
	return a, nil
}

// party is the producer or consumer of a number that a caller drew: a number of
// somebody else's is another one.
func party(c door.Caller, number uint64) lane.Party {
	return lane.Party{Owner: [16]byte(c.Principal[:16]), Number: number}
}

// OpenProducer serves the door.
func (n *Node) OpenProducer(ctx context.Context, c door.Caller, m *holov1.OpenBufferRequest) (*holov1.OpenBufferResponse, error) {
	a, err := n.bufferOf(ctx, m.GetArray())
	if err != nil {
		return nil, err
	}
	number, err := n.buffers.Open(ctx, a, party(c, m.GetProducer()), m.GetClose())
	return &holov1.OpenBufferResponse{Lane: uint32(number)}, err
}

// AppendRecords serves the door.
func (n *Node) AppendRecords(ctx context.Context, c door.Caller, m *holov1.AppendRequest) (*holov1.AppendResponse, error) {
	a, err := n.bufferOf(ctx, m.GetArray())
	if err != nil {
		return nil, err
	}
	at, err := n.buffers.Append(ctx, a, party(c, m.GetProducer()), m.GetSequence(), m.GetRecords(), milliseconds(m.GetWaitMilliseconds()))
	return &holov1.AppendResponse{Offset: at}, err
}

// TakeRecords serves the door.
func (n *Node) TakeRecords(ctx context.Context, c door.Caller, m *holov1.TakeRequest) (*holov1.Taken, error) {
	a, err := n.bufferOf(ctx, m.GetArray())
	if err != nil {
		return nil, err
	}
	b, err := n.buffers.Take(ctx, a, party(c, m.GetConsumer()), m.GetSequence(), int(m.GetMostBytes()), milliseconds(m.GetWaitMilliseconds()))
	if err != nil {
		return nil, err
	}
	out := &holov1.Taken{Lane: uint32(b.Lane), Number: b.Number}
	for _, r := range b.Records {
		out.Records = append(out.Records, &holov1.BufferRecord{Producer: r.Producer, Sequence: r.Sequence, Data: r.Data, Offset: r.Offset})
	}
	return out, nil
}

// SettleRecords serves the door.
func (n *Node) SettleRecords(ctx context.Context, c door.Caller, m *holov1.SettleRequest) error {
	a, err := n.bufferOf(ctx, m.GetArray())
	if err != nil {
		return err
	}
	if uint64(m.GetLane()) >= a.Shape.Extents() {
		return holo.Errorf(holo.Invalid, "settle: lane %d of buffer %s, it has %d", m.GetLane(), a.Name, a.Shape.Extents())
	}
	return n.buffers.Settle(ctx, a, party(c, m.GetConsumer()), int(m.GetLane()), m.GetNumber(), !m.GetRelease())
}

// StatBuffer serves the door.
func (n *Node) StatBuffer(ctx context.Context, _ door.Caller, id uint64) (*holov1.BufferStat, error) {
	a, err := n.bufferOf(ctx, id)
	if err != nil {
		return nil, err
	}
	out := &holov1.BufferStat{}
	for _, s := range n.buffers.Stat(ctx, a) {
		l := &holov1.Lane{Capacity: lane.Capacity(int(a.Shape.ExtentPages())), State: "ok"}
		switch {
		case s.Err != nil:
			l.State = s.Err.Error()
		case s.State != nil:
			l.Appended, l.Consumed, l.Bytes = s.State.Appended, s.State.Consumed, s.State.Tail-s.State.Head
			if s.State.Phase == lane.HandedOut {
				l.HandedOut = s.State.Count
			}
		}
		out.Lanes = append(out.Lanes, l)
	}
	return out, nil
}

func milliseconds(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }
