// Package transport moves bytes between machines: QUIC connections with a
// Noise session inside (core/handshake), their streams, and the pool of
// connections to the other nodes.
//
// TLS is only the carrier that QUIC needs. Its certificates are made at start,
// carry no identity and are looked at by nobody; who the peer is comes from
// the Noise handshake on the first stream of a connection, which is bound to
// that TLS session by its exporter (RFC 9266), so that whoever sits in between
// with a certificate of their own cannot relay it. After the handshake every
// byte of every stream is sealed again with keys of its own, and the end of a
// stream is authenticated: there is no unsealed mode.
//
// Strangers are limited before they cost anything (gate.go): a connection is
// counted, perhaps made to prove its address, or refused before TLS starts. It
// has five seconds and one stream to become a session.
//
// What a stream says is the business of the callers. This package hides
// quic-go; research/transport.md gives the measurements behind its constants.
package transport

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
)

// Kind is the name that the handshake's prologue knows this transport by.
const Kind = "quic"

// HandshakeTimeout is the time from a connection's first packet to a finished
// Noise handshake. What is not a session by then is closed.
const HandshakeTimeout = 5 * time.Second

// acceptBacklog is the number of sessions that wait for Accept. Sessions are
// made by authenticated peers, so a small number serves; the handshakes of
// further ones wait and are still bounded by their deadline.
const acceptBacklog = 64

// Config says how to listen.
type Config struct {
	// Listen is the UDP address as host:port. The host must be an IP address
	// or a name that resolves to one; port 0 takes a free one.
	Listen string
	// Also lists further addresses to listen on. A port of 0 in them is that of
	// the address before.
	Also []string
	// Allow lists the networks that this transport talks with; datagrams from
	// elsewhere are dropped unanswered. Empty: all.
	Allow []netip.Prefix
	// Local gives this side of the handshake with whoever connects, a fresh
	// value per handshake. Its fields Transport, Exporter and NowUnix are
	// filled in here.
	Local func() handshake.Local
	// Logger gets what operators may want to know. Nil: slog.Default.
	Logger *slog.Logger
	// Refused is told the reason of each refusal: of a connection before TLS,
	// of a handshake, of a record that does not open. It must not block. Nil:
	// nobody counts.
	Refused func(reason string)
	// Now is the wall clock by which certificates are judged. Nil: time.Now.
	Now func() time.Time
	// Limits bound strangers. Fields that are zero take their defaults.
	Limits Limits
}

// Transport is one UDP port over which connections are accepted and dialled, on
// one address or on several, with a socket for each.
// It is safe for concurrent use.
type Transport struct {
	config   Config
	logger   *slog.Logger
	ends     []*endpoint // at least one
	carrier  carrier
	gate     *gate
	instance instance
	// forgotten makes what a peer is told that speaks on a connection which is
	// not here any more (RFC 9000, 10.3): a machine that stood still for longer
	// than the idle time has sessions that only it believes in, and would wait
	// that long again before it finds out.
	forgotten quic.StatelessResetKey
	accepted  chan *Session
	group     *group
	sessions  struct {
		sync.Mutex
		open map[*Session]struct{}
	}
	closing atomic.Bool
}

// Listen opens the socket and starts accepting.
func Listen(c Config) (*Transport, error) {
	if c.Local == nil {
		return nil, holo.Errorf(holo.Invalid, "listen on %s: no local identity", c.Listen)
	}
	t, err := open(c)
	if err != nil {
		return nil, err
	}
	for _, e := range t.ends {
		t.group.run(func(ctx context.Context) { t.acceptLoop(ctx, e.listener) })
	}
	return t, nil
}

// Outgoing opens sockets that only dial: whoever connects to them is not
// answered. Config's Local and Limits are not needed.
func Outgoing(c Config) (*Transport, error) {
	c.Local = nil
	return open(c)
}

// open makes a transport that does not accept yet.
func open(c Config) (*Transport, error) {
	carrier, err := newCarrier()
	if err != nil {
		return nil, err
	}
	t := newTransport(c, carrier)
	if err := t.openEndpoints(c); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func newTransport(c Config, tls carrier) *Transport {
	t := &Transport{
		config: c, logger: c.Logger, carrier: tls,
		accepted: make(chan *Session, acceptBacklog), group: newGroup(),
	}
	if t.config.Now == nil {
		t.config.Now = time.Now
	}
	if t.logger == nil {
		t.logger = slog.Default()
	}
	rand.Read(t.instance[:]) // never fails: the runtime stops the process instead
	rand.Read(t.forgotten[:])
	t.sessions.open = map[*Session]struct{}{}
	t.gate = newGate(c.Limits, t.refused)
	return t
}

// Addr is the first address that it listens on, with its real port.
func (t *Transport) Addr() netip.AddrPort { return t.ends[0].addr() }

// Addrs are all addresses that it listens on, in the order of the Config.
func (t *Transport) Addrs() []netip.AddrPort {
	addrs := make([]netip.AddrPort, len(t.ends))
	for i, e := range t.ends {
		addrs[i] = e.addr()
	}
	return addrs
}

// Accept waits for the next session that somebody else started. The caller
// owns it.
func (t *Transport) Accept(ctx context.Context) (*Session, error) {
	select {
	case s := <-t.accepted:
		return s, nil
	case <-t.group.ctx.Done():
		return nil, errClosed("accept session")
	case <-ctx.Done():
		return nil, holo.Errorf(holo.Cancelled, "accept session: %w", ctx.Err())
	}
}

// Stats are figures for operators.
type Stats struct {
	ReceiveOffload  bool   // the kernel hands over datagrams in bulk (UDP_GRO)
	Oversized       uint64 // datagrams dropped because QUIC never sends such
	HalfOpen        int    // connections that are not sessions yet
	Sessions        int    // sessions that are open
	HandshakesDone  uint64 // sessions made, both sides
	HandshakesEnded uint64 // handshakes that came to nothing, both sides
}

// Stats reads the figures.
func (t *Transport) Stats() Stats {
	t.sessions.Lock()
	open := len(t.sessions.open)
	t.sessions.Unlock()
	s := Stats{
		ReceiveOffload: true, HalfOpen: t.gate.halfOpen(), Sessions: open,
		HandshakesDone: t.gate.done.Load(), HandshakesEnded: t.gate.ended.Load(),
	}
	for _, e := range t.ends {
		s.ReceiveOffload = s.ReceiveOffload && e.socket.offload
		s.Oversized += e.socket.oversized()
	}
	return s
}

// Close ends all sessions, tells their peers, and waits for every goroutine
// that this Transport started.
func (t *Transport) Close() error {
	if t.closing.Swap(true) {
		return nil
	}
	t.group.cancel()
	t.sessions.Lock()
	for s := range t.sessions.open {
		s.shut(codeClosed)
	}
	t.sessions.Unlock()
	var errs []error
	for _, e := range t.ends {
		errs = append(errs, e.close())
	}
	t.group.wait()
	return errors.Join(errs...)
}

// track keeps a session until it ends. It reports false when this Transport is
// closing, in which case the session is shut.
func (t *Transport) track(s *Session) bool {
	t.sessions.Lock()
	defer t.sessions.Unlock()
	if t.closing.Load() {
		s.shut(codeClosed)
		return false
	}
	t.sessions.open[s] = struct{}{}
	context.AfterFunc(s.conn.Context(), func() {
		t.sessions.Lock()
		delete(t.sessions.open, s)
		t.sessions.Unlock()
		s.wipe()
	})
	return true
}

// with lists all open sessions with a peer.
func (t *Transport) with(peer holo.NodeID) (list []*Session) {
	t.sessions.Lock()
	defer t.sessions.Unlock()
	for s := range t.sessions.open {
		if s.Peer() == peer {
			list = append(list, s)
		}
	}
	return list
}

func (t *Transport) refused(reason string) {
	if t.config.Refused != nil {
		t.config.Refused(reason)
	}
}

func errClosed(what string) error {
	return holo.Refuse(holo.Unavailable, ReasonClosed, "%s: %w", what, net.ErrClosed)
}
