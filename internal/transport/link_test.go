package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// refuses dials and wants a refusal at both ends, no session, and then a good
// dial that is the first session the server ever has.
func refuses(t *testing.T, server *side, dial func() error, kind holo.Kind, reason string) {
	t.Helper()
	err := dial()
	if holo.KindOf(err) != kind {
		t.Fatalf("dial: %v of kind %s, want %s", err, holo.KindOf(err), kind)
	}
	ctx := within(t)
	if reason != "" {
		server.refused.wait(ctx, t, reason)
	}
	good := newSide(t)
	server.mu.Lock()
	if server.admitted != nil {
		server.admitted[good.id] = true
	}
	good.psk = server.psk
	server.mu.Unlock()
	_, far := connect(t, good, server, Control)
	if far.Peer() != good.id || server.Stats().HandshakesDone != 1 {
		t.Fatalf("a session with %s before the good one", far.Peer())
	}
}

func TestUnknownNodeKeyIsRefused(t *testing.T) {
	server, stranger := newSide(t, func(s *side) { s.admitted = map[holo.NodeID]bool{} }), newSide(t)
	refuses(t, server, func() error {
		_, err := stranger.Dial(within(t), server.addr(), stranger.local(), Control, server.id)
		if holo.ReasonOf(err) != ReasonRefused || strings.Contains(err.Error(), "member") {
			t.Errorf("the stranger learns %v", err)
		}
		return err
	}, holo.Denied, handshake.ReasonUnknownNode)
	if asked := server.askedAbout(); asked[0] != stranger.id {
		t.Errorf("server judged %v", asked)
	}
}

func TestNobodyLearnsWhoDialsBeforeTheyAreTrusted(t *testing.T) {
	server := newSide(t)
	for name, dialler := range map[string]*side{
		"not admitted": newSide(t, func(s *side) { s.admitted = map[holo.NodeID]bool{} }),
		"another node": newSide(t),
	} {
		t.Run(name, func(t *testing.T) {
			expect := server.id
			want := handshake.ReasonUnknownNode
			if name == "another node" {
				expect[0] ^= 1
				want = ReasonWrongPeer
			}
			_, err := dialler.Dial(within(t), server.addr(), dialler.local(), Control, expect)
			if holo.KindOf(err) != holo.Denied || holo.ReasonOf(err) != want {
				t.Fatalf("dial: %v, reason %s", err, holo.ReasonOf(err))
			}
			if dialler.refused.of(want) != 1 {
				t.Errorf("refusals %v", dialler.refused.all())
			}
		})
	}
	server.Close() // so that no handshake is under way any more
	if asked := server.askedAbout(); len(asked) > 0 {
		t.Errorf("server was told of %v", asked)
	}
}

func TestWrongClusterKeyIsRefused(t *testing.T) {
	wrong := handshake.ClusterPSK(otherKey, testCluster)
	right := handshake.ClusterPSK(clusterKey, testCluster)
	cases := map[string]struct {
		psk    handshake.PSK
		reason string
	}{
		"other key":                   {wrong, handshake.ReasonUnknownPSK},
		"other key by the right name": {handshake.PSK{ID: right.ID, Key: wrong.Key}, handshake.ReasonBadHandshake},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			server, stranger := newSide(t), newSide(t, func(s *side) { s.psk = c.psk })
			refuses(t, server, func() error {
				_, err := stranger.Dial(within(t), server.addr(), stranger.local(), Control, holo.NodeID{})
				return err
			}, holo.Denied, c.reason)
		})
	}
}

func TestOtherKindsOfSessionAreRefused(t *testing.T) {
	server, client := newSide(t), newSide(t)
	refuses(t, server, func() error {
		l := client.local()
		l.Kind, l.PSK = handshake.KindClient, handshake.PSK{}
		_, err := client.Dial(within(t), server.addr(), l, Control, server.id)
		return err
	}, holo.Denied, handshake.ReasonWrongKind)
}

func TestFallbackOnlyWherePolicyAllows(t *testing.T) {
	server := newSide(t, func(s *side) { s.pq = handshake.PQOff })
	strict := newSide(t)
	_, err := strict.Dial(within(t), server.addr(), strict.local(), Control, server.id)
	if holo.ReasonOf(err) != handshake.ReasonSuiteRefused {
		t.Fatalf("strict side: %v", err)
	}
	lax := newSide(t, func(s *side) { s.pq = handshake.PQPrefer })
	s := must(lax.Dial(within(t), server.addr(), lax.local(), Control, server.id))(t)
	if strings.Contains(s.Protocol(), "hfs") || lax.refused.of(handshake.ReasonSuiteRefused) == 0 {
		t.Errorf("protocol %s, refusals %v", s.Protocol(), lax.refused.all())
	}
}

// middle is an attacker between two sides with a TLS certificate of its own,
// who passes on every byte of the first stream in both directions.
type middle struct {
	listener *quic.Listener
	mu       sync.Mutex
	passed   int
}

func newMiddle(t *testing.T, server string) *middle {
	t.Helper()
	c := must(newCarrier())(t)
	socket := must(net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}))(t)
	tr := &quic.Transport{Conn: socket}
	m := &middle{listener: must(tr.Listen(c.server, &quic.Config{}))(t)}
	t.Cleanup(func() { tr.Close(); socket.Close() })
	go func() {
		for {
			in, err := m.listener.Accept(context.Background())
			if err != nil {
				return
			}
			go m.relay(tr, in, server, c.client)
		}
	}()
	return m
}

func (m *middle) relay(tr *quic.Transport, in *quic.Conn, server string, config *tls.Config) {
	ctx, cancel := context.WithCancel(in.Context())
	defer cancel()
	to, _ := net.ResolveUDPAddr("udp", server)
	out, err := tr.Dial(ctx, to, config, &quic.Config{})
	if err != nil {
		return
	}
	defer in.CloseWithError(codeRefused, "")
	from, err := in.AcceptStream(ctx)
	if err != nil {
		return
	}
	onto, err := out.OpenStreamSync(ctx)
	if err != nil {
		return
	}
	go m.copy(onto, from)
	m.copy(from, onto)
	<-out.Context().Done() // it passes refusals on, and makes none
}

func (m *middle) copy(to io.Writer, from io.Reader) {
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		m.mu.Lock()
		m.passed += n
		m.mu.Unlock()
		if _, werr := to.Write(b[:n]); err != nil || werr != nil {
			return
		}
	}
}

func TestManInTheMiddleIsRefused(t *testing.T) {
	server, client := newSide(t), newSide(t)
	m := newMiddle(t, server.addr())
	refuses(t, server, func() error {
		_, err := client.Dial(within(t), m.listener.Addr().String(), client.local(), Control, server.id)
		return err
	}, holo.Denied, handshake.ReasonBadHandshake)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.passed < 1248 {
		t.Errorf("the middle passed on %d bytes: it never relayed a Noise message", m.passed)
	}
	if asked := server.askedAbout(); len(asked) != 1 { // the good one of refuses
		t.Errorf("server judged %v", asked)
	}
}

func TestFlippedBitsNeverReachTheReader(t *testing.T) {
	a, b := newSide(t), newSide(t)
	var flipped, n int
	p := newProxy(t, b.addr(), func(_ bool, d []byte) []byte {
		n++
		if n > 50 && n%13 == 0 { // after the handshake, a bit of every 13th datagram
			d[(n*31)%len(d)] ^= 1 << (n % 8)
			flipped++
		}
		return d
	})
	near, far := connect(t, a, b, Data, p.addr())
	go echo(far)
	roundTrip(t, near, pattern(4<<20))
	p.mu.Lock()
	defer p.mu.Unlock()
	if flipped < 100 {
		t.Errorf("only %d datagrams were changed", flipped)
	}
	if a.refused.of(ReasonBadRecord)+b.refused.of(ReasonBadRecord) > 0 {
		t.Error("a changed datagram reached the records")
	}
}

func TestReplayedDatagramsMakeNoSession(t *testing.T) {
	a, b := newSide(t), newSide(t)
	p := newProxy(t, b.addr(), nil)
	near, far := connect(t, a, b, Control, p.addr())
	go echo(far)
	roundTrip(t, near, []byte("once and no more"))
	near.Close("test")
	<-far.Done()
	p.mu.Lock()
	tape := p.up
	p.mu.Unlock()
	again := must(net.DialUDP("udp", nil, p.server))(t)
	defer again.Close()
	for range 3 {
		for _, d := range tape {
			must(again.Write(d))(t)
		}
	}
	good := newSide(t) // and those datagrams are in front of its own
	_, far = connect(t, good, b, Control)
	if far.Peer() != good.id {
		t.Fatalf("a session with %s", far.Peer())
	}
	b.Close()
	if done := b.Stats().HandshakesDone; done != 2 {
		t.Errorf("%d sessions were made, want the 2 honest ones", done)
	}
	if asked := b.askedAbout(); len(asked) != 2 {
		t.Errorf("%d peers were judged, want 2", len(asked))
	}
}

// TestStrayDatagramsAreCounted (row S3-1): noise, and datagrams of a session that are
// bent, from somebody else's address; the session goes on.
func TestStrayDatagramsAreCounted(t *testing.T) {
	const each = 200
	a, b := newSide(t), newSide(t)
	p := newProxy(t, b.addr(), nil)
	near, far := connect(t, a, b, Control, p.addr())
	go echo(far)
	roundTrip(t, near, []byte("before"))
	p.mu.Lock()
	valid := slices.Clone(p.up)
	p.mu.Unlock()
	thrower := must(net.DialUDP("udp", nil, p.server))(t)
	defer thrower.Close()
	seed := rand.NewChaCha8([32]byte{6})
	chance := rand.New(seed)
	for range each {
		noise := make([]byte, 1+chance.IntN(1400))
		seed.Read(noise)
		bent := slices.Clone(valid[chance.IntN(len(valid))])
		for range 8 {
			bent[chance.IntN(len(bent))] ^= 1 << chance.IntN(8)
		}
		must(thrower.Write(noise))(t)
		must(thrower.Write(bent))(t)
	}
	roundTrip(t, near, []byte("after")) // and they are in front of it
	if n := b.refused.of(ReasonDatagram); n < each/10 {
		t.Errorf("%d of %d stray datagrams are counted", n, 2*each)
	}
	if done := b.Stats().HandshakesDone; done != 1 {
		t.Errorf("%d sessions were made, want the honest one", done)
	}
}

func TestCaptureHoldsNothingReadable(t *testing.T) {
	const canary = "CANARY-5f1d-in-data"
	secrets := []string{canary, "CANARY-77aa-in-name", "CANARY-90c3-in-proof"}
	server := newSide(t)
	client := newSide(t, func(s *side) {
		s.static = must(handshake.NewStatic(s.signer, testCluster, secrets[1], time.Now().Unix()))(t)
		s.proof = []byte(secrets[2])
	})
	p := newProxy(t, server.addr(), nil)
	near, far := connect(t, client, server, Data, p.addr())
	if far.PeerName() != secrets[1] || string(far.Proof()) != secrets[2] {
		t.Fatalf("name %q, proof %q", far.PeerName(), far.Proof())
	}
	go echo(far)
	data := []byte(strings.Repeat(canary, 64<<10/len(canary)))
	roundTrip(t, near, data)

	planted := must(net.Dial("udp", p.addr()))(t) // the check finds what is there to be found
	defer planted.Close()
	must(planted.Write([]byte("x" + canary)))(t)
	roundTrip(t, near, data)
	all, total := map[string]int{}, 0
	for _, d := range p.captured() {
		total += len(d)
		for _, s := range append(secrets, string(client.id[:]), string(client.psk.Key.Bytes())) {
			all[s] += bytes.Count(d, []byte(s))
		}
	}
	if all[canary] != 1 {
		t.Errorf("%d canaries found, want the planted one", all[canary])
	}
	delete(all, canary)
	for s, n := range all {
		if n > 0 {
			t.Errorf("%q was seen %d times", s, n)
		}
	}
	if total < 4*len(data) {
		t.Errorf("captured %d bytes of at least %d", total, 4*len(data))
	}
}

func TestHandshakeFramesAreBounded(t *testing.T) {
	server := newSide(t)
	for name, c := range map[string]struct {
		bytes  []byte
		reason string
	}{
		"long":    {[]byte{0xff, 0xff, 1, 2, 3}, ReasonLong},
		"garbage": {append([]byte{0, 40}, bytes.Repeat([]byte{7}, 40)...), handshake.ReasonBadHello},
		"cut":     {[]byte{0, 40, 1, 2}, ReasonBroken},
		"version": {append([]byte{0, 40, 0, 38}, append([]byte("holo\xfe\xff\x00"), make([]byte, 31)...)...), handshake.ReasonVersion},
	} {
		t.Run(name, func(t *testing.T) {
			conn := stranger(t, server)
			s := must(conn.OpenStreamSync(within(t)))(t)
			must(s.Write(c.bytes))(t)
			s.Close()
			<-conn.Context().Done()
			server.refused.wait(within(t), t, c.reason)
		})
	}
}

// stranger makes a bare QUIC connection, with TLS and nothing else.
func stranger(t *testing.T, server *side) *quic.Conn {
	t.Helper()
	return must(strange(t, server)(within(t)))(t)
}

func strange(t *testing.T, server *side) func(context.Context) (*quic.Conn, error) {
	c := must(newCarrier())(t)
	socket := must(net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}))(t)
	tr := &quic.Transport{Conn: socket}
	t.Cleanup(func() { tr.Close(); socket.Close() })
	return func(ctx context.Context) (*quic.Conn, error) {
		return tr.Dial(ctx, net.UDPAddrFromAddrPort(server.Addr()), c.client, &quic.Config{})
	}
}

func TestSilentStrangerIsClosed(t *testing.T) {
	t.Parallel()
	server := newSide(t)
	conn := stranger(t, server)
	stream := must(conn.OpenStreamSync(within(t)))(t)
	must(stream.Write([]byte{1}))(t)
	quiet := stranger(t, server)
	<-conn.Context().Done()
	<-quiet.Context().Done()
	server.refused.wait(within(t), t, ReasonTimeout)
	server.refused.wait(within(t), t, ReasonTimeout)
}

func TestStrangerGetsNoWindowToFill(t *testing.T) {
	server := newSide(t)
	conn := stranger(t, server)
	ctx := within(t)
	sent := 0
	for conn.Context().Err() == nil && sent <= firstWindow { // streams that nobody asked for
		s := must(conn.OpenStreamSync(ctx))(t)
		s.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := s.Write(pattern(64 << 10))
		sent += n
		if err != nil {
			break
		}
	}
	if sent > firstWindow {
		t.Errorf("a stranger sent %d bytes, the window is %d", sent, firstWindow)
	}
}

func TestReceiveWindowGrowsOnlyForSessions(t *testing.T) {
	near, far := connect(t, newSide(t), newSide(t), Data)
	if !mayGrow(near.conn, 1) || !mayGrow(far.conn, 1) {
		t.Error("a session's window may not grow")
	}
	c := must(newCarrier())(t)
	socket := must(net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}))(t)
	tr := &quic.Transport{Conn: socket, ConnContext: newGate(Limits{}, func(string) {}).admit}
	defer socket.Close()
	defer tr.Close()
	listener := must(tr.Listen(c.server, quicConfig()))(t)
	go tr.Dial(t.Context(), listener.Addr(), c.client, quicConfig())
	conn := must(listener.Accept(within(t)))(t)
	if mayGrow(conn, 1) {
		t.Error("a stranger's window may grow")
	}
	if visitOf(conn).trust(handshake.KindNode); !mayGrow(conn, 1) {
		t.Error("it may not even after the handshake")
	}
}

func TestOldCertificateIsRefused(t *testing.T) {
	server := newSide(t)
	signer := key.GenerateSigner()
	old := must(handshake.NewStatic(signer, testCluster, "old", time.Now().Add(-48*time.Hour).Unix()))(t)
	client := newSide(t)
	l := client.local()
	l.Static = old
	if _, err := client.Dial(within(t), server.addr(), l, Control, server.id); holo.KindOf(err) != holo.Invalid {
		t.Fatalf("dial with a certificate that ended: %v", err)
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	nobody := must(net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}))(t)
	defer nobody.Close()
	a := newSide(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		nobody.ReadFrom(make([]byte, 2000)) // the first packet has come
		cancel()
	}()
	_, err := a.Dial(ctx, nobody.LocalAddr().String(), a.local(), Control, holo.NodeID{})
	if holo.KindOf(err) != holo.Cancelled {
		t.Fatalf("error %v", err)
	}
}

func TestCloseEndsWhatWaits(t *testing.T) {
	a, b := newSide(t), newSide(t)
	near, far := connect(t, a, b, Control)
	_, st := pair(t, near, far)
	results := make(chan error, 2)
	go func() { _, err := b.Accept(context.Background()); results <- err }()
	go func() { _, err := st.Read(make([]byte, 1)); results <- err }()
	b.Close()
	for range 2 {
		if err := <-results; holo.KindOf(err) != holo.Unavailable {
			t.Errorf("error %v", err)
		}
	}
	<-near.Done()
	if _, err := near.Open(within(t)); holo.KindOf(err) != holo.Unavailable {
		t.Errorf("open on an ended session: %v", err)
	}
	if _, err := b.Dial(within(t), a.addr(), b.local(), Control, a.id); holo.ReasonOf(err) != ReasonClosed {
		t.Errorf("dial over a closed transport: %v", err)
	}
}
