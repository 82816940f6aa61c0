package transport

import (
	"context"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
)

// Ask learns which cluster answers at addr (host:port), from a node that lets
// clients in. Nothing authenticates the answer: it is for somebody who has
// nothing to compare it with, or who wants to say what was found instead.
func (t *Transport) Ask(ctx context.Context, addr string) (handshake.Introduction, error) {
	v := &visit{gate: t.gate, since: time.Now()}
	defer v.leave()
	ctx, cancel := context.WithDeadline(ctx, v.deadline())
	defer cancel()
	defer context.AfterFunc(t.group.ctx, cancel)()
	to, err := resolve(ctx, addr)
	if err != nil {
		return handshake.Introduction{}, err
	}
	if err := t.mayDial(to); err != nil {
		return handshake.Introduction{}, err
	}
	conn, err := t.towards(ctx, to).quic.Dial(context.WithValue(ctx, visitKey{}, v), to, t.carrier.client, quicConfig())
	if err != nil {
		return handshake.Introduction{}, about(addr, t.wrapDial(err))
	}
	defer conn.CloseWithError(codeClosed, "")
	i, err := t.ask(ctx, conn, v)
	return i, about(addr, err)
}

func (t *Transport) ask(ctx context.Context, conn *quic.Conn, v *visit) (handshake.Introduction, error) {
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return handshake.Introduction{}, t.wrapDial(err)
	}
	stream.SetDeadline(v.deadline())
	defer context.AfterFunc(ctx, func() { stream.SetDeadline(longAgo) })()
	k := link{stream: stream}
	if err := k.write(handshake.Question()); err != nil {
		return handshake.Introduction{}, err
	}
	answer, err := k.read()
	if err != nil {
		return handshake.Introduction{}, err
	}
	return handshake.ReadIntroduction(answer)
}

// about puts the address in front of an error.
func about(addr string, err error) error {
	if err == nil {
		return nil
	}
	return &holo.Error{Kind: holo.KindOf(err), Reason: holo.ReasonOf(err), Text: "dial " + addr + ": " + err.Error(), Err: err}
}
