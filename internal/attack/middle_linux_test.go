package attack

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/protocol"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/kernels"
)

// TestReplayedHandshakeIsRefused (threat-model row S1-3): each Noise message of
// a handshake that a member made, byte for byte, in another connection.
func TestReplayedHandshakeIsRefused(t *testing.T) {
	t.Parallel()
	l := startLive(t, 1)
	ctx := t.Context()
	recorded := map[int][]byte{}
	keep := func(n int, b []byte) []byte { recorded[n] = bytes.Clone(b); return b }
	_, err := dialAs(t, ctx, l.target.Address, l.local(), bugs{message: keep})
	must(t, err)
	for _, numbers := range [][]int{{1}, {3}, {1, 3}} {
		replay := func(n int, b []byte) []byte {
			for _, number := range numbers {
				if n == number {
					return recorded[n]
				}
			}
			return b
		}
		answer := func(b []byte) []byte {
			if numbers[0] == 1 {
				t.Errorf("messages %v of another handshake: the node answers the first", numbers)
			}
			return b
		}
		l.refuses("a replayed handshake", handshake.ReasonBadHandshake, 1, func() {
			if _, err := dialAs(t, ctx, l.target.Address, l.local(), bugs{message: replay, answer: answer}); err == nil {
				t.Errorf("messages %v of another handshake are taken", numbers)
			}
		})
	}
}

// TestReplayedSessionDoesNothing (threat-model row S1-3): all datagrams of a
// session, from packet 1. In it the member told the catalogue of a new address,
// a command that would be seen if it were applied again.
func TestReplayedSessionDoesNothing(t *testing.T) {
	t.Parallel()
	l := startLive(t, 1)
	ctx := t.Context()
	p, tape := l.taped(ctx)
	before := l.state()
	moved := l.attested(&wire.NodeAddress{Node: l.thief.static.Node(), Place: wire.Place{Addresses: []string{"127.0.0.9:9"}, Capacity: 1 << 30}, Speaks: protocol.Spoken()})
	m, err := p.ask(ctx, &wire.ControlRequest{Request: wire.RequestID{7}, Body: wire.Encode(moved)})
	must(t, err)
	if r, ok := m.(*wire.ControlResponse); !ok || r.Refused {
		t.Fatalf("control: %#v", m)
	}
	was := l.state()
	if was == before {
		t.Fatal("control: the command changed nothing")
	}
	p.conn.CloseWithError(0, "")
	for range 3 {
		socket := l.raw()
		for _, datagram := range tape.recorded() {
			_, err := socket.Write(datagram)
			must(t, err)
		}
	}
	_, err = dialAs(t, ctx, l.target.Address, l.local(), bugs{}) // they are all in front of this
	must(t, err)
	l.unchanged("after it", was)
}

// TestManInTheMiddleIsRefusedByALiveNode (threat-model row S1-4): somebody with
// a TLS certificate of their own passes every byte of a member's handshake on.
func TestManInTheMiddleIsRefusedByALiveNode(t *testing.T) {
	t.Parallel()
	l := startLive(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	address, passed := l.middle(ctx)
	l.refuses("a man in the middle", handshake.ReasonBadHandshake, 1, func() {
		if _, err := dialAs(t, ctx, address, l.local(), bugs{}); err == nil {
			t.Error("a session through somebody else's TLS")
		}
	})
	if n := passed(); n < 1248 {
		t.Errorf("it passed on %d bytes: it never relayed a Noise message", n)
	}
}

// middle listens as a node does and relays the first stream of a connection.
func (l *live) middle(ctx context.Context) (address string, passed func() int) {
	l.t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: newNetwork()})
	must(l.t, err)
	tr := &quic.Transport{Conn: socket}
	config := carrierTLS()
	config.Certificates = []tls.Certificate{certificate(l.t)}
	listener, err := tr.Listen(config, &quic.Config{})
	must(l.t, err)
	var count counter
	var relay sync.WaitGroup
	relay.Go(func() {
		in, err := listener.Accept(ctx)
		if err != nil {
			return
		}
		defer in.CloseWithError(1, "")
		out, err := carrierFrom(l.t, ctx, newNetwork(), l.target.Address)
		if err != nil {
			return
		}
		from, err := in.AcceptStream(ctx)
		if err != nil {
			return
		}
		onto, err := out.OpenStreamSync(ctx)
		if err != nil {
			return
		}
		relay.Go(func() { io.Copy(io.MultiWriter(onto, &count), from) })
		io.Copy(io.MultiWriter(from, &count), onto)
		<-out.Context().Done()
	})
	l.t.Cleanup(func() { tr.Close(); socket.Close(); relay.Wait() })
	return listener.Addr().String(), count.sum
}

// counter counts bytes.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += len(b)
	return len(b), nil
}

func (c *counter) sum() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// certificate is one that anybody can make.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}

// TestNodeThatDialsItselfIsRefused (threat-model row S1-5): a member says that
// it is reached where the node itself is. The node dials, and gets its own
// messages back.
func TestNodeThatDialsItselfIsRefused(t *testing.T) {
	t.Parallel()
	l := startLive(t, 1)
	l.join(l.dir(8), "mirror", l.target.Address)
	before := l.counted(handshake.ReasonReflection)
	_, err := l.sdk.PushKernel(t.Context(), "loop", kernels.Get("loop")) // is offered to every member
	must(t, err)
	l.await("the reflection is counted", func(s *holocompute.Status) bool { return s.Refusals[handshake.ReasonReflection] > before })
	l.recorded("the reflection", "auth.failed", handshake.ReasonReflection)
	l.state()
}
