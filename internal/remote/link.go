package remote

import (
	"context"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/transport"
)

// oneOfSeveral bounds the handshake with one node while there are others to
// try. It takes some milliseconds between two machines that are not busy.
const oneOfSeveral = 3 * time.Second

// Link is a client's way into a cluster: one session with one of its nodes at a
// time, and another when that ends. It is safe for concurrent use.
type Link struct {
	dialler *dialler
	config  string        // folder of the pins
	turn    chan struct{} // holds a token while somebody dials, so that one does
	mu      struct {
		sync.Mutex
		pin     identity.Pin
		session *transport.Session // nil: none yet, or it ended
		at      string             // where the session, or the last one, is
	}
}

// Open finds the cluster that is wanted, makes the first link, and keeps the pin
// of a first contact in the folder.
func Open(ctx context.Context, config string, signer key.Signer, w Wanted) (*Link, error) {
	d, err := newDialler(signer)
	if err != nil {
		return nil, err
	}
	l := &Link{dialler: d, config: config, turn: make(chan struct{}, 1)}
	if err := l.open(ctx, w); err != nil {
		_ = l.Close() // the first error tells more
		return nil, err
	}
	return l, nil
}

func (l *Link) open(ctx context.Context, w Wanted) error {
	pin, first, err := l.dialler.find(ctx, l.config, w)
	if err != nil {
		return err
	}
	l.mu.pin = pin
	if _, err := l.session(ctx); err != nil || !first {
		return err
	}
	pin = l.Pin()
	pin.Addresses = merge([]string{l.mu.at}, nil)
	return identity.ChangeKnown(l.known(), func(k *identity.Known) error { return k.Put(pin) })
}

func (l *Link) known() string { return filepath.Join(l.config, identity.KnownFile) }

// Pin is the cluster that the link leads to.
func (l *Link) Pin() identity.Pin {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.pin
}

// Learn adds addresses of members, for when the node at hand dies.
func (l *Link) Learn(addresses []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := merge(merge([]string{l.mu.at}, addresses), l.mu.pin.Addresses)
	if !loopback(l.mu.at) {
		all = elsewhere(all)
	}
	l.mu.pin.Addresses = all
}

// Remember keeps the addresses in the folder, and makes this cluster the one
// that is meant there when none is named.
func (l *Link) Remember() error {
	pin := l.Pin()
	return identity.ChangeKnown(l.known(), func(k *identity.Known) error {
		k.Default = pin.Cluster
		return k.Put(pin)
	})
}

// Conn is a connection inside the link.
type Conn struct{ *transport.Stream }

// Peer is the node at its other end, proven.
func (c Conn) Peer() holo.NodeID { return c.Session().Peer() }

// Dial opens a connection inside the link, which is made anew when it has
// ended: to another node where there is one. Its error is a *net.OpError of a
// dial, by which others see that nothing was sent.
func (l *Link) Dial(ctx context.Context) (net.Conn, error) {
	stream, err := l.stream(ctx)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "link", Err: err}
	}
	return Conn{stream}, nil
}

func (l *Link) stream(ctx context.Context) (*transport.Stream, error) {
	s, err := l.session(ctx)
	if err != nil {
		return nil, err
	}
	stream, err := s.Open(ctx)
	if err == nil || ctx.Err() != nil {
		return stream, err
	}
	l.forget(s) // it ended a moment ago
	if s, err = l.session(ctx); err != nil {
		return nil, err
	}
	return s.Open(ctx)
}

// session gives the session at hand, or makes one.
func (l *Link) session(ctx context.Context) (*transport.Session, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, holo.Errorf(holo.Cancelled, "connect: %w", ctx.Err())
	}
	s, addresses, pin := l.state()
	if s != nil {
		return s, nil
	}
	var failed error
	for _, address := range addresses {
		s, err := l.try(ctx, pin, address, len(addresses) > 1)
		if err == nil {
			return s, nil
		}
		if ctx.Err() != nil || holo.ReasonOf(err) == identity.ReasonPinMismatch {
			return nil, err // an alarm is not passed over for a node that would do
		}
		failed = worse(failed, err)
	}
	return nil, failed
}

// worse keeps the error that leaves hope, if there is one: a node that does not
// answer may, one that lets no clients in says so for good.
func worse(before, now error) error {
	switch {
	case holo.KindOf(now) != holo.Denied:
		return holo.Refuse(holo.Unavailable, ReasonUnreachable, "no node answers: %w", now)
	case before != nil:
		return before
	}
	return now
}

func (l *Link) try(ctx context.Context, pin identity.Pin, address string, others bool) (*transport.Session, error) {
	if others {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, oneOfSeveral)
		defer cancel()
	}
	var p proven
	s, err := l.dialler.link(ctx, pin, address, &p)
	if err != nil {
		return nil, err
	}
	if err := l.follow(pin, p.owners); err != nil {
		s.Close("its owner is not the one pinned")
		return nil, err
	}
	l.keep(s, address)
	return s, nil
}

// follow moves the pin on, here and in the folder, when the key that is pinned has
// vouched for its successor.
func (l *Link) follow(pin identity.Pin, owners []holo.PrincipalID) error {
	next := pin.Follow(owners)
	if next.Owner == pin.Owner {
		return nil
	}
	if err := identity.ChangeKnown(l.known(), func(k *identity.Known) error { return k.Follow(pin.Cluster, owners) }); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.pin.Owner, l.mu.pin.Former = next.Owner, next.Former
	return nil
}

// state gives the session, nil when there is none, and the addresses to try:
// where the last one was comes last.
func (l *Link) state() (*transport.Session, []string, identity.Pin) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.mu.session; s != nil {
		select {
		case <-s.Done():
			l.mu.session = nil
		default:
			return s, nil, l.mu.pin
		}
	}
	addresses := slices.Clone(l.mu.pin.Addresses)
	if i := slices.Index(addresses, l.mu.at); i >= 0 {
		addresses = slices.Concat(addresses[i+1:], addresses[:i+1])
	}
	return nil, addresses, l.mu.pin
}

func (l *Link) keep(s *transport.Session, address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.session, l.mu.at = s, address
}

func (l *Link) forget(s *transport.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.session == s {
		l.mu.session = nil
	}
}

// Close ends the link and the connections in it.
func (l *Link) Close() error { return l.dialler.socket.Close() }
