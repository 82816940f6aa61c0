package attack

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// requestDeadline bounds one request of another node, as nodes bound theirs.
const requestDeadline = 4 * time.Second

// The bit that is wrong, in the first page of each run that is read.
const (
	wrongByte = holo.PageSize / 2
	wrongBit  = 0x10
)

// serve reads the messages of one stream, in order, until it ends.
func (l *Liar) serve(s *transport.Session, st *transport.Stream) {
	defer st.Close()
	for {
		msg, err := st.ReadMessage()
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(l.group.ctx, requestDeadline)
		err = l.dispatch(ctx, s.Peer(), st, msg)
		cancel()
		if err != nil {
			return
		}
	}
}

// dispatch does with a message what an honest node does. Its error ends the
// stream.
func (l *Liar) dispatch(ctx context.Context, from holo.NodeID, st *transport.Stream, msg wire.Message) (err error) {
	switch m := msg.(type) {
	case wire.ShardMessage:
		if shard.Verify(msg) == nil {
			l.driver.post(ctx, func(now holo.Time) { l.driver.receive(now, from, msg) })
		}
		return nil
	case *wire.Grant, *wire.ConfigPush, *wire.Handoff, *wire.ShrinkHint:
		l.driver.post(ctx, func(now holo.Time) { l.driver.receive(now, from, msg) })
		return nil
	case *wire.Heartbeat, *wire.ShardShrink, *wire.ShardPromote, *wire.ShardTransfer:
		return nil // for a leader, which it never is
	case *wire.Mutate:
		err = l.serveMutate(ctx, st, m)
	case *wire.DigestRead:
		err = l.serveDigests(ctx, st, m)
	case *wire.RangeRead:
		err = l.serveRead(ctx, st, m)
	case *wire.UsageRead:
		err = l.serveUsage(ctx, st)
	default:
		err = holo.Refuse(holo.Unavailable, "not_served", "message %#04x is not served here", uint16(msg.Type()))
	}
	if err != nil {
		return st.WriteMessage(wire.FailureOf(err))
	}
	return nil
}

func (l *Liar) serveMutate(ctx context.Context, st *transport.Stream, m *wire.Mutate) error {
	if err := shard.VerifyMutation(&m.Mutation); err != nil {
		return err
	}
	a, err := l.driver.submit(ctx, m.Shard, &m.Mutation)
	if err != nil {
		return err
	}
	return st.WriteMessage(&wire.Mutated{Version: a.Version, Applied: true})
}

// serveDigests is honest: a wrong list would not add up to the root that is
// being sealed or checked, and give the liar away too early.
func (l *Liar) serveDigests(ctx context.Context, st *transport.Stream, m *wire.DigestRead) error {
	views, err := l.driver.read(ctx, m.Array, true, m.Run)
	if err != nil {
		return err
	}
	list := make([]holo.Digest, len(views))
	for i := range views {
		list[i] = views[i].Content()
	}
	return st.WriteMessage(&wire.DigestList{Digests: list})
}

// serveRead lies in the first page and is honest in the others.
func (l *Liar) serveRead(ctx context.Context, st *transport.Stream, m *wire.RangeRead) error {
	views, err := l.driver.read(ctx, m.Array, m.Sealed, m.Run)
	if err != nil {
		return err
	}
	for i := range views {
		v := &views[i]
		f := &wire.PageFrame{First: v.Page.Index, Count: 1, Version: v.Version, Kind: v.Kind, Data: v.Data, Digest: v.Sum()}
		if i == 0 {
			f = lie(v)
		}
		if err := st.WriteMessage(f); err != nil {
			return err
		}
		if i == 0 {
			l.served.Add(1)
		}
	}
	return nil
}

// lie is a page with one bit flipped, and the digest of that.
func lie(v *shard.View) *wire.PageFrame {
	wrong := make([]byte, holo.PageSize)
	v.Bytes(wrong)
	wrong[wrongByte] ^= wrongBit
	return &wire.PageFrame{First: v.Page.Index, Count: 1, Version: v.Version, Kind: wire.PageData, Data: wrong, Digest: digest.Of(wrong)}
}

func (l *Liar) serveUsage(ctx context.Context, st *transport.Stream) error {
	u := &wire.Usage{Incarnation: l.driver.life.Incarnation, Capacity: liarMemory}
	if err := l.driver.do(ctx, func(holo.Time) {
		held := l.driver.machine.Usage()
		u.Resident = uint64(held.Bytes + held.Tail)
	}); err != nil {
		return err
	}
	return st.WriteMessage(u)
}
