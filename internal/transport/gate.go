package transport

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
)

// Reasons of refusals made here; those of the handshake are core/handshake's.
const (
	ReasonRetry        = "retry"              // not refused yet: made to prove its address first
	ReasonRateSource   = "rate_source"        // too many attempts from one network
	ReasonHalfOpen     = "half_open"          // too many unfinished handshakes
	ReasonTimeout      = "handshake_timeout"  // not a session in time
	ReasonBroken       = "handshake_io"       // ended in the middle of the handshake
	ReasonLong         = "handshake_too_long" // a handshake message above its limit
	ReasonRefused      = "refused_by_peer"    // the other side's refusal; it does not say why
	ReasonWrongPeer    = "wrong_peer"         // somebody else than the one dialled
	ReasonDatagram     = "stray_datagram"     // a datagram that is of no connection and begins none
	ReasonBadRecord    = "bad_record"         // a sealed record that does not open
	ReasonClosed       = "closed"             // this transport is closed
	ReasonDisconnected = "disconnected"       // the session ended
	ReasonBackOff      = "backing_off"        // dialling failed a moment ago
	ReasonNoAddress    = "no_address"         // a peer without a known address
	ReasonDuplicate    = "duplicate_identity" // a second process of a node, or a peer says that this is one
	ReasonQueueFull    = "queue_full"         // a message dropped because too many wait
)

// Limits bound what strangers can cost. A TLS handshake takes 1.2 ms of CPU
// before Noise sees a byte, so these count before TLS starts. Zero means the
// default: a limit can be moved, not switched off.
type Limits struct {
	Rate, Burst             float64 // connections per second that need not prove their address; 50, 100
	SourceRate, SourceBurst float64 // connections per second of one network (IPv4 /24, IPv6 /56); 5, 40
	HalfOpen                int     // connections that are not sessions yet; 64
	SourceHalfOpen          int     // of these, from one network; 32
}

func (l Limits) orDefault() Limits {
	set(&l.Rate, 50)
	set(&l.Burst, 100)
	set(&l.SourceRate, 5)
	set(&l.SourceBurst, 40)
	set(&l.HalfOpen, 64)
	set(&l.SourceHalfOpen, 32)
	return l
}

func set[T int | float64](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// maxSources bounds the networks that are remembered, 100 bytes each.
const maxSources = 4096

// gate decides about connections before TLS. An address that nobody has
// verified may be forged, so what is counted against it only ever leads to a
// Retry packet, which costs the sender a round trip and us 1 µs; an attacker
// that forges the addresses of a peer cannot lock that peer out. Refusals are
// only for addresses that were proven.
type gate struct {
	limits  Limits
	refused func(reason string)
	done    atomic.Uint64 // handshakes finished
	ended   atomic.Uint64 // handshakes that came to nothing
	mu      struct {
		sync.Mutex
		all     bucket
		claimed map[netip.Prefix]*source // by addresses that may be forged
		proven  map[netip.Prefix]*source // by addresses that hold a connection
		swept   time.Time
		open    int // visits that are not settled
	}
}

// source is what is known of one network.
type source struct {
	bucket
	open int
}

func newGate(l Limits, refused func(reason string)) *gate {
	g := &gate{limits: l.orDefault(), refused: refused}
	g.mu.all = bucket{tokens: g.limits.Burst}
	g.mu.claimed = map[netip.Prefix]*source{}
	g.mu.proven = map[netip.Prefix]*source{}
	return g
}

// mustProve is asked for each first packet of an address that has not proven
// itself. True answers it with a Retry packet and keeps no state. Half the
// room for unfinished handshakes is kept for those that did prove themselves.
func (g *gate) mustProve(addr net.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	s := g.source(now, g.mu.claimed, addr)
	held := g.mu.proven[network(addr)]
	ok := s != nil && g.mu.open < g.limits.HalfOpen/2 && (held == nil || held.open < g.limits.SourceHalfOpen/2) &&
		s.take(now, g.limits.SourceRate, g.limits.SourceBurst) && g.mu.all.take(now, g.limits.Rate, g.limits.Burst)
	if !ok {
		g.refused(ReasonRetry)
	}
	return !ok
}

// admit is asked for each connection before its TLS handshake starts. The
// visit that it puts into the context holds a place until it is settled: by
// the end of the handshake or of the connection.
func (g *gate) admit(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	v, reason := g.enter(info)
	if reason != "" {
		g.refused(reason)
		return nil, holo.Refuse(holo.Exhausted, reason, "connection from %s", info.RemoteAddr)
	}
	context.AfterFunc(ctx, v.leave)
	return context.WithValue(ctx, visitKey{}, v), nil
}

func (g *gate) enter(info *quic.ClientInfo) (*visit, string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	s := g.source(now, g.mu.proven, info.RemoteAddr)
	switch {
	case s == nil || g.mu.open >= g.limits.HalfOpen || s.open >= g.limits.SourceHalfOpen:
		return nil, ReasonHalfOpen
	case info.AddrVerified && !s.take(now, g.limits.SourceRate, g.limits.SourceBurst):
		return nil, ReasonRateSource
	}
	g.mu.open++
	s.open++
	return &visit{gate: g, source: s, since: now}, ""
}

// source finds a network's entry, or makes room for it by forgetting those
// that have been quiet. Nil when all are busy. Forged addresses can fill the
// table of what is claimed, which makes everybody prove theirs, but not the
// other: only the few that mustProve lets pass get there.
func (g *gate) source(now time.Time, table map[netip.Prefix]*source, addr net.Addr) *source {
	prefix := network(addr)
	if s, ok := table[prefix]; ok {
		return s
	}
	if len(table) >= maxSources && now.Sub(g.mu.swept) >= time.Second { // a sweep takes 100 µs
		g.mu.swept = now
		g.sweep(now, g.mu.claimed)
		g.sweep(now, g.mu.proven)
	}
	if len(table) >= maxSources {
		return nil
	}
	s := &source{bucket: bucket{tokens: g.limits.SourceBurst, at: now}}
	table[prefix] = s
	return s
}

// sweep drops the networks about which there is nothing to remember: nothing
// open, and a bucket that has filled up again.
func (g *gate) sweep(now time.Time, table map[netip.Prefix]*source) {
	quiet := time.Duration(g.limits.SourceBurst / g.limits.SourceRate * float64(time.Second))
	maps.DeleteFunc(table, func(_ netip.Prefix, s *source) bool { return s.open == 0 && now.Sub(s.at) > quiet })
}

func (g *gate) halfOpen() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.open
}

// network is the part of an address that one owner holds whole.
func network(addr net.Addr) netip.Prefix {
	ip := addrPort(addr).Addr()
	bits := 24
	if ip.Is6() {
		bits = 56
	}
	prefix, err := ip.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{} // not an IP address: all such share a bucket
	}
	return prefix
}

// visit is a connection that is not a session yet.
type visit struct {
	gate    *gate
	source  *source // nil on the side that dialled
	since   time.Time
	settled sync.Once
	// growth is how many bytes the receive window may still grow by. None,
	// before there is a session.
	growth atomic.Int64
}

type visitKey struct{}

// visitOf finds the visit that a connection began as.
func visitOf(c *quic.Conn) *visit {
	v, _ := c.Context().Value(visitKey{}).(*visit)
	return v
}

// deadline is when the handshake must be finished.
func (v *visit) deadline() time.Time { return v.since.Add(HandshakeTimeout) }

// trust ends the visit with a session. A client that connected here gets a
// smaller window than a node: there may be many, and none is a member.
func (v *visit) trust(kind handshake.Kind) {
	window := int64(connectionWindow)
	if kind == handshake.KindClient && v.source != nil {
		window = clientWindow
	}
	v.growth.Store(window - firstWindow)
	v.settled.Do(func() { v.free(&v.gate.done) })
}

// leave ends the visit with nothing.
func (v *visit) leave() { v.settled.Do(func() { v.free(&v.gate.ended) }) }

func (v *visit) free(count *atomic.Uint64) {
	count.Add(1)
	if v.source == nil {
		return
	}
	v.gate.mu.Lock()
	defer v.gate.mu.Unlock()
	v.gate.mu.open--
	v.source.open--
}

// mayGrow keeps the receive window of strangers as small as it starts, and that
// of sessions within what their kind may have.
func mayGrow(c *quic.Conn, bytes uint64) bool {
	v := visitOf(c)
	return v != nil && v.grow(bytes)
}

func (v *visit) grow(bytes uint64) bool {
	for {
		left := v.growth.Load()
		if left <= 0 || bytes > uint64(left) {
			return false
		}
		if v.growth.CompareAndSwap(left, left-int64(bytes)) {
			return true
		}
	}
}

// bucket is a token bucket. It starts full.
type bucket struct {
	tokens float64
	at     time.Time // of the last take
}

// take spends a token if there is one.
func (b *bucket) take(now time.Time, rate, burst float64) bool {
	if !b.at.IsZero() {
		b.tokens = min(burst, b.tokens+rate*max(0, now.Sub(b.at).Seconds()))
	}
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
