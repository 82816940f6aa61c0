package transport

import (
	"context"
	"errors"

	"github.com/quic-go/quic-go"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
)

// acceptLoop turns connections into sessions. The gate bounds how many are on
// their way.
func (t *Transport) acceptLoop(ctx context.Context, from *quic.Listener) {
	for {
		conn, err := from.Accept(ctx)
		if err != nil {
			return // closed, which is its only error
		}
		if !t.group.run(func(ctx context.Context) { t.receive(ctx, conn) }) {
			conn.CloseWithError(codeClosed, "")
		}
	}
}

// receive makes a session of a connection, or an end.
func (t *Transport) receive(ctx context.Context, conn *quic.Conn) {
	s, err := t.respond(ctx, conn)
	if err != nil {
		conn.CloseWithError(codeRefused, "")
		if reason := holo.ReasonOf(err); reason != ReasonClosed {
			t.refused(reason)
			t.logger.Debug("handshake refused", "address", conn.RemoteAddr().String(), "reason", reason, "error", err)
		}
		return
	}
	select {
	case t.accepted <- s:
	case <-s.Done():
	case <-ctx.Done(): // Close shuts it
	}
}

func (t *Transport) respond(ctx context.Context, conn *quic.Conn) (*Session, error) {
	v := visitOf(conn)
	if v == nil {
		return nil, holo.Errorf(holo.Internal, "bug: connection that did not pass the gate")
	}
	l := t.config.Local()
	if err := bind(&l, conn, t.config.Now()); err != nil {
		return nil, err
	}
	stream, err := t.firstStream(ctx, conn, v)
	if err != nil {
		return nil, err
	}
	defer stream.ReleaseStreamCredit()
	defer stream.CancelRead(codeClosed)
	stream.SetDeadline(v.deadline())
	defer context.AfterFunc(ctx, func() { stream.SetDeadline(longAgo) })()
	k := link{stream: stream, machine: handshake.Respond(l), instance: t.instance}
	noise, peer, err := k.respond()
	if err != nil {
		return nil, err
	}
	return t.establish(conn, v, noise, peer)
}

// firstStream waits for the only stream that is looked at before there is a
// session.
func (t *Transport) firstStream(ctx context.Context, conn *quic.Conn, v *visit) (*quic.Stream, error) {
	until, cancel := context.WithDeadline(ctx, v.deadline())
	defer cancel()
	stream, err := conn.AcceptStream(until)
	switch {
	case err == nil:
		return stream, nil
	case ctx.Err() != nil:
		return nil, errClosed("handshake")
	case errors.Is(err, context.DeadlineExceeded):
		return nil, holo.Refuse(holo.Unavailable, ReasonTimeout, "handshake: nothing was said in time")
	}
	return nil, holo.Refuse(holo.Unavailable, ReasonBroken, "handshake: %w", err)
}
