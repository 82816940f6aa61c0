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
func (t *Transport) Ask(ctx context.Context, addr string) (i handshake.Introduction, err error) {
	err = t.question(ctx, addr, func(k *link, _ []byte) error {
		answer, err := k.ask(handshake.Question())
		if err == nil {
			i, err = handshake.ReadIntroduction(answer)
		}
		return err
	})
	return i, err
}

// AskWhy asks the node at addr why this one is refused, under its parting key. The
// answer still has to be verified.
func (t *Transport) AskWhy(ctx context.Context, addr string, key handshake.PSK) (word []byte, err error) {
	err = t.question(ctx, addr, func(k *link, exporter []byte) error {
		answer, err := k.ask(handshake.WhyRefused(key, exporter))
		if err == nil {
			word, err = handshake.ReadParting(key, exporter, answer)
		}
		return err
	})
	return word, err
}

// question makes a connection that ends with the answer to one question.
func (t *Transport) question(ctx context.Context, addr string, ask func(k *link, exporter []byte) error) error {
	v := &visit{gate: t.gate, since: time.Now()}
	defer v.leave()
	ctx, cancel := context.WithDeadline(ctx, v.deadline())
	defer cancel()
	defer context.AfterFunc(t.group.ctx, cancel)()
	to, err := resolve(ctx, addr)
	if err != nil {
		return err
	}
	if err := t.mayDial(to); err != nil {
		return err
	}
	conn, err := t.towards(ctx, to).quic.Dial(context.WithValue(ctx, visitKey{}, v), to, t.carrier.client, quicConfig())
	if err != nil {
		return about(addr, t.wrapDial(err))
	}
	defer conn.CloseWithError(codeClosed, "")
	return about(addr, t.onStream(ctx, conn, v, ask))
}

func (t *Transport) onStream(ctx context.Context, conn *quic.Conn, v *visit, ask func(k *link, exporter []byte) error) error {
	var bound handshake.Local
	if err := bind(&bound, conn, time.Now()); err != nil {
		return err
	}
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return t.wrapDial(err)
	}
	stream.SetDeadline(v.deadline())
	defer context.AfterFunc(ctx, func() { stream.SetDeadline(longAgo) })()
	return ask(&link{stream: stream}, bound.Exporter)
}

// ask says one thing and hears one.
func (k *link) ask(question []byte) ([]byte, error) {
	if err := k.write(question); err != nil {
		return nil, err
	}
	return k.read()
}

// about puts the address in front of an error.
func about(addr string, err error) error {
	if err == nil {
		return nil
	}
	return &holo.Error{Kind: holo.KindOf(err), Reason: holo.ReasonOf(err), Text: "dial " + addr + ": " + err.Error(), Err: err}
}
