package transport

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"log/slog"
	"maps"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/protocol"
)

var (
	testCluster = holo.ClusterID{1, 2, 3}
	testOwner   = holo.PrincipalID{4, 5, 6}
	clusterKey  = key.Random()
	otherKey    = key.Random()
)

// limit ends a test that hangs; no assertion depends on it.
const limit = 60 * time.Second

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// counts counts refusals by reason, and lets a test wait for one.
type counts struct {
	mu   sync.Mutex
	by   map[string]int
	each chan string
}

func newCounts() *counts { return &counts{by: map[string]int{}, each: make(chan string, 4096)} }

func (c *counts) add(reason string) {
	c.mu.Lock()
	c.by[reason]++
	c.mu.Unlock()
	select {
	case c.each <- reason:
	default:
	}
}

func (c *counts) of(reason string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by[reason]
}

func (c *counts) all() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.by)
}

func (c *counts) wait(ctx context.Context, t *testing.T, reason string) {
	t.Helper()
	for {
		select {
		case r := <-c.each:
			if r == reason {
				return
			}
		case <-ctx.Done():
			t.Fatalf("no refusal %s; have %v", reason, c.all())
		}
	}
}

// side is one test node: an identity, whom it admits, and its transport.
type side struct {
	*Transport
	id      holo.NodeID
	static  *handshake.Static
	signer  key.Signer
	refused *counts
	config  Config

	mu       sync.Mutex
	admitted map[holo.NodeID]bool // nil: everybody
	asked    []holo.NodeID        // by Admit
	psk      handshake.PSK
	pq       handshake.PQ
	proof    []byte
	clients  bool // let in
	speaks   protocol.Range
}

func newSide(t *testing.T, change ...func(*side)) *side {
	t.Helper()
	s := &side{
		signer: key.GenerateSigner(), refused: newCounts(),
		psk: handshake.ClusterPSK(clusterKey, testCluster),
	}
	s.id = s.signer.Public()
	s.static = must(handshake.NewStatic(s.signer, testCluster, "side", time.Now().Unix()))(t)
	s.config = Config{Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler), Refused: s.refused.add}
	for _, f := range change {
		f(s)
	}
	s.config.Local = s.local
	s.start(t)
	return s
}

func (s *side) start(t *testing.T) {
	t.Helper()
	s.Transport = must(Listen(s.config))(t)
	t.Cleanup(func() { s.Transport.Close() })
}

func (s *side) local() handshake.Local {
	s.mu.Lock()
	defer s.mu.Unlock()
	accept := []handshake.Kind{handshake.KindNode}
	if s.clients {
		accept = append(accept, handshake.KindClient)
	}
	return handshake.Local{
		Kind: handshake.KindNode, Accept: accept, Owner: testOwner, Static: s.static, PSK: s.psk, PQ: s.pq, Proof: s.proof, Speaks: s.speaks,
		FindPSK: func(_ handshake.Kind, id [8]byte) (handshake.PSK, bool) { return s.psk, id == s.psk.ID },
		Admit:   s.admit,
	}
}

func (s *side) admit(_ handshake.Kind, peer holo.NodeID, _ string, _ []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, peer)
	if s.admitted != nil && !s.admitted[peer] {
		return holo.Refuse(holo.Denied, handshake.ReasonUnknownNode, "not a member")
	}
	return nil
}

func (s *side) askedAbout() []holo.NodeID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *side) addr() string { return s.Addr().String() }

// connect makes a session between two sides, over addr where that is given.
func connect(t *testing.T, from, to *side, class Class, addr ...string) (near, far *Session) {
	t.Helper()
	ctx := within(t)
	at := append(addr, to.addr())[0]
	near = must(from.Dial(ctx, at, from.local(), class, to.id))(t)
	far = must(to.Accept(ctx))(t)
	return near, far
}

// pair opens a stream. A byte makes it exist at the far end, too.
func pair(t *testing.T, near, far *Session) (a, b *Stream) {
	t.Helper()
	ctx := within(t)
	a = must(near.Open(ctx))(t)
	must(a.Write([]byte{'.'}))(t)
	b = must(far.Accept(ctx))(t)
	first := make([]byte, 1)
	must(io.ReadFull(b, first))(t)
	t.Cleanup(func() { a.Close(); b.Close() })
	deadline := time.Now().Add(limit)
	a.SetDeadline(deadline)
	b.SetDeadline(deadline)
	return a, b
}

// echo sends back all that comes on any stream of a session, until it ends.
func echo(s *Session) {
	for {
		st, err := s.Accept(context.Background())
		if err != nil {
			return
		}
		go func() {
			defer st.Close()
			if _, err := io.Copy(st, st); err == nil {
				st.CloseWrite()
			}
		}()
	}
}

// roundTrip sends data through an echoing session and wants it back.
func roundTrip(t *testing.T, s *Session, data []byte) {
	t.Helper()
	st := must(s.Open(within(t)))(t)
	defer st.Close()
	st.SetDeadline(time.Now().Add(limit))
	sent := make(chan error, 1)
	go func() {
		_, err := st.Write(data)
		if err == nil {
			err = st.CloseWrite()
		}
		sent <- err
	}()
	back := must(io.ReadAll(st))(t)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(back) != sha256.Sum256(data) {
		t.Fatalf("%d bytes came back of %d, or others", len(back), len(data))
	}
}

// pattern is n bytes that differ from place to place.
func pattern(n int) []byte {
	b := make([]byte, n)
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

// proxy passes UDP datagrams between clients and a server, through filter,
// which may change or drop (nil) them, and records what it passes.
type proxy struct {
	front  *net.UDPConn
	server *net.UDPAddr
	filter func(toServer bool, datagram []byte) []byte
	mu     sync.Mutex
	seen   [][]byte // copies, both directions
	up     [][]byte // to the server
	backs  map[string]*net.UDPConn
}

func newProxy(t *testing.T, server string, filter func(bool, []byte) []byte) *proxy {
	t.Helper()
	p := &proxy{
		front: must(net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}))(t), filter: filter, backs: map[string]*net.UDPConn{},
		server: must(net.ResolveUDPAddr("udp", server))(t),
	}
	t.Cleanup(p.close)
	go p.forward()
	return p
}

func (p *proxy) addr() string { return p.front.LocalAddr().String() }

func (p *proxy) close() {
	p.front.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.backs {
		c.Close()
	}
}

func (p *proxy) pass(toServer bool, b []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, bytes.Clone(b))
	if toServer {
		p.up = append(p.up, bytes.Clone(b))
	}
	if p.filter == nil {
		return b
	}
	return p.filter(toServer, b)
}

func (p *proxy) forward() {
	b := make([]byte, 65535)
	for {
		n, from, err := p.front.ReadFromUDP(b)
		if err != nil {
			return
		}
		back, err := p.back(from)
		if err != nil {
			return
		}
		if out := p.pass(true, b[:n]); out != nil {
			back.Write(out)
		}
	}
}

func (p *proxy) back(from *net.UDPAddr) (*net.UDPConn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.backs[from.String()]; ok {
		return c, nil
	}
	c, err := net.DialUDP("udp", nil, p.server)
	if err != nil {
		return nil, err
	}
	p.backs[from.String()] = c
	go func() {
		b := make([]byte, 65535)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			if out := p.pass(false, b[:n]); out != nil {
				p.front.WriteToUDP(out, from)
			}
		}
	}()
	return c, nil
}

func (p *proxy) captured() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}
