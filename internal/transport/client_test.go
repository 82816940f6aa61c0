package transport

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
)

// newOpenSide is a node that lets clients in.
func newOpenSide(t *testing.T) *side {
	return newSide(t, func(s *side) { s.clients = true })
}

// client is this side's handshake as a client.
func (s *side) client() handshake.Local {
	l := s.local()
	l.Kind, l.PSK = handshake.KindClient, handshake.PSK{}
	return l
}

func TestClientAsksAndThenConnects(t *testing.T) {
	server, client := newOpenSide(t), newSide(t)
	i, err := client.Ask(within(t), server.addr())
	if err != nil || i != (handshake.Introduction{Cluster: testCluster, Owner: testOwner}) {
		t.Fatalf("%+v, %v", i, err)
	}
	server.refused.wait(within(t), t, handshake.ReasonIntroduced)
	near := must(client.Dial(within(t), server.addr(), client.client(), Control, server.id))(t)
	far := must(server.Accept(within(t)))(t)
	if far.Peer() != client.id || far.Kind() != handshake.KindClient || near.Hash() != far.Hash() {
		t.Errorf("peer %s, kind %s", far.Peer(), far.Kind())
	}
	go echo(far)
	roundTrip(t, near, pattern(300_000))
}

func TestNodeWithoutClientsTellsNobodyItsCluster(t *testing.T) {
	server, client := newSide(t), newSide(t)
	refuses(t, server, func() error {
		_, err := client.Ask(within(t), server.addr())
		return err
	}, holo.Denied, handshake.ReasonWrongKind)
}

// What only dials answers nobody, not even to refuse.
func TestOutgoingTransportAcceptsNobody(t *testing.T) {
	out := must(Outgoing(Config{Listen: "127.0.0.1:0"}))(t)
	t.Cleanup(func() { out.Close() })
	server, other := newOpenSide(t), newSide(t)
	must(out.Dial(within(t), server.addr(), other.client(), Control, server.id))(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := other.Dial(ctx, out.Addr().String(), other.local(), Control, holo.NodeID{})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it answered: %v", err)
	}
}

// The window of a client that connected stays within its bound, whatever it
// sends; a node's may become what a node's may.
func TestClientsWindowIsBounded(t *testing.T) {
	grown := func(kind handshake.Kind, v *visit) (bytes uint64) {
		v.gate = newGate(Limits{}, func(string) {})
		if v.grow(1) {
			t.Error("a stranger's window grows")
		}
		v.trust(kind)
		for step := uint64(firstWindow); v.grow(step); step *= 2 { // as QUIC doubles it
			bytes += step
		}
		return firstWindow + bytes
	}
	if got := grown(handshake.KindClient, &visit{source: &source{}}); got != clientWindow {
		t.Errorf("a client's window grows to %d bytes, want %d", got, clientWindow)
	}
	for _, kind := range []handshake.Kind{handshake.KindNode, handshake.KindClient} {
		if got := grown(kind, &visit{}); got != connectionWindow {
			t.Errorf("the window of whom we dialled, kind %s, grows to %d bytes", kind, got)
		}
	}
}
