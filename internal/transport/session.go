package transport

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/protocol"
	"github.com/holocompute/holocompute/internal/wire"
)

// Class says what a connection carries. A node keeps two connections to each
// peer, because bulk on a connection delays everything else on it: a ping
// behind 16 page fetches takes 1 ms on the same connection and 0.4 ms on its
// own (research/transport 2.5).
type Class uint8

// The classes.
const (
	Control Class = iota // leases, Raft, control calls: small and urgent
	Data                 // pages and what belongs to them
	classes
)

// String is "control" or "data".
func (c Class) String() string {
	switch c {
	case Control:
		return "control"
	case Data:
		return "data"
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// Codes with which connections and streams end. They say nothing about why a
// handshake was refused: a stranger learns one code, whatever the reason.
const (
	codeClosed    = 0 // an end on purpose
	codeRefused   = 1 // the handshake came to nothing
	codeBroken    = 2 // a record did not open, or a stream ended in the middle
	codeDuplicate = 3 // the peer's process is the second of one node
)

// Session is an authenticated connection to one peer. It is safe for
// concurrent use. It ends when either side closes it or the peer falls silent
// for the idle time.
type Session struct {
	transport *Transport
	conn      *quic.Conn
	noise     *handshake.Session
	class     Class
	instance  instance  // the peer's
	begun     time.Time // when its handshake began
	since     time.Time
	stale     atomic.Bool // another key is in force than the one it was made with
	keys      struct {    // guards the making of streams' keys
		sync.Mutex
		wiped bool
	}
}

// Peer is who is at the other end, proven. For a join session it is the key
// that the newcomer will be known by.
func (s *Session) Peer() holo.NodeID { return s.noise.Peer() }

// PeerName is the name that the peer's certificate states.
func (s *Session) PeerName() string { return s.noise.PeerName() }

// Version is that of the protocol which the session is in: what a later one has
// is neither said in it nor heard.
func (s *Session) Version() protocol.Version { return s.noise.Version() }

// Speaks is the versions that the peer's program speaks.
func (s *Session) Speaks() protocol.Range { return s.noise.Speaks() }

// can refuses a message that the session's version does not have.
func (s *Session) can(what string, m wire.Message) error {
	if since := wire.Since(m); since > s.Version() {
		return holo.Refuse(holo.Denied, protocol.ReasonSkew, "%s message %#04x: it is of version %d of the protocol, and the session with %s is in %d",
			what, uint16(m.Type()), since, s.Peer(), s.Version())
	}
	return nil
}

// Kind limits what the session may ask for, before any other rule.
func (s *Session) Kind() handshake.Kind { return s.noise.Kind() }

// Class is what the connection carries.
func (s *Session) Class() Class { return s.class }

// Hash is the handshake hash: equal at both ends, different for each session,
// and not a secret. Signatures that are meant for one session cover it.
func (s *Session) Hash() [32]byte { return s.noise.Hash() }

// PSKID names the pre-shared key that the session was made with.
func (s *Session) PSKID() [8]byte { return s.noise.PSKID() }

// Skew is by how much the peer's clock was ahead of the one here when the
// session began, to within some seconds.
func (s *Session) Skew() time.Duration { return time.Duration(s.noise.Skew()) * time.Second }

// worn reports whether it is time for a successor.
func (s *Session) worn() bool { return s.stale.Load() || s.Age() > sessionLife }

// Proof is the peer's membership proof as it gave it in the handshake.
func (s *Session) Proof() []byte { return s.noise.Proof() }

// Protocol is the name of the Noise protocol in use.
func (s *Session) Protocol() string { return s.noise.Protocol() }

// Initiator reports whether this side started the session.
func (s *Session) Initiator() bool { return s.noise.Initiator() }

// Age is how long ago the handshake finished.
func (s *Session) Age() time.Duration { return time.Since(s.since) }

// RemoteAddr is where the peer's packets come from. It identifies nobody.
func (s *Session) RemoteAddr() netip.AddrPort { return addrPort(s.conn.RemoteAddr()) }

// Open starts a stream. It waits while the peer has as many open as it
// serves at a time.
func (s *Session) Open(ctx context.Context) (*Stream, error) {
	q, err := s.conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, s.wrap("open stream", err)
	}
	return newStream(s, q)
}

// Accept waits for a stream that the peer starts. The caller owns the stream
// and MUST Close it: until then it counts against the number that the peer may
// have open.
func (s *Session) Accept(ctx context.Context) (*Stream, error) {
	q, err := s.conn.AcceptStream(ctx)
	if err != nil {
		return nil, s.wrap("accept stream", err)
	}
	return newStream(s, q)
}

// Done is closed when the session has ended.
func (s *Session) Done() <-chan struct{} { return s.conn.Context().Done() }

// Close ends the session and with it all streams. The reason stays in this
// side's log.
func (s *Session) Close(reason string) {
	s.transport.logger.Debug("session closed", "peer", s.Peer().String(), "class", s.class.String(), "reason", reason)
	s.shut(codeClosed)
}

func (s *Session) shut(code quic.ApplicationErrorCode) {
	s.conn.CloseWithError(code, "") // its error is always nil
}

// broken ends the session because what came in is not what the peer sealed:
// after that nothing on this connection is worth reading.
func (s *Session) broken(reason string) {
	s.transport.refused(reason)
	s.transport.logger.Warn("session broken", "peer", s.Peer().String(), "class", s.class.String(), "reason", reason)
	s.shut(codeBroken)
}

// wipe forgets the keys when the session has ended.
func (s *Session) wipe() {
	s.keys.Lock()
	defer s.keys.Unlock()
	s.keys.wiped = true
	s.noise.Wipe()
}

// wrap gives an error of QUIC its kind, so that callers know whether trying
// again is safe.
func (s *Session) wrap(what string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return holo.Errorf(holo.Cancelled, "%s with %s: %w", what, s.Peer(), err)
	}
	return holo.Refuse(holo.Unavailable, ReasonDisconnected, "%s with %s: %w", what, s.Peer(), err)
}
