package node

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
)

// Limits of the links that clients on other machines make. They are counted by
// themselves, so that no number of clients takes a place from a member; and
// strangers, who have proven a key that nobody knows, take none from clients.
// What the streams of a link hold is bounded in the transport, and the bodies of
// the calls in them in the door, for each principal (internal/door/body.go).
const (
	maxClientLinks   = 64
	maxLinksOfClient = 8
	maxStrangerLinks = 16
	// reviewEvery is how often it is asked of a link whether it may stay: its key
	// is one that the cluster knows, or a token has opened a session in it. A
	// stranger has that long to do so, or to be told who it is not.
	reviewEvery = 10 * time.Second
	// streamsOfLink is a fifth more than the SDK opens. Each carries one connection
	// to the door.
	streamsOfLink = 96
	// idleLink is how long a link lasts on which no stream is open.
	idleLink = 2 * time.Minute
)

// clientLinks is the links of clients that are open.
type clientLinks struct {
	mu struct {
		sync.Mutex
		open      map[*transport.Session]bool // true: of a client; false: of a stranger
		ofClient  map[holo.NodeID]int
		strangers int
	}
}

func newClientLinks() *clientLinks {
	l := &clientLinks{}
	l.mu.open = map[*transport.Session]bool{}
	l.mu.ofClient = map[holo.NodeID]int{}
	return l
}

// enter takes a place for a link, and returns what gives it back; or refuses.
func (l *clientLinks) enter(s *transport.Session, client bool) (leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.room(s.Peer(), client); err != nil {
		return nil, err
	}
	if l.mu.ofClient[s.Peer()] >= maxLinksOfClient {
		return nil, holo.Refuse(holo.Exhausted, reasonTooManyLinks, "link of client %s: it has %d open", s.Peer(), maxLinksOfClient)
	}
	l.mu.open[s] = client
	l.mu.ofClient[s.Peer()]++
	if !client {
		l.mu.strangers++
	}
	return func() { l.leave(s) }, nil
}

// room reports whether one more link of a client, or a stranger, is let in. It
// holds the lock.
func (l *clientLinks) room(peer holo.NodeID, client bool) error {
	switch {
	case !client && l.mu.strangers >= maxStrangerLinks:
		return holo.Refuse(holo.Exhausted, reasonTooManyLinks, "link of an unknown key: %d are open", l.mu.strangers)
	case client && len(l.mu.open)-l.mu.strangers >= maxClientLinks:
		return holo.Refuse(holo.Exhausted, reasonTooManyLinks, "link of client %s: clients have %d open", peer, maxClientLinks)
	}
	return nil
}

// stay counts a link among those of clients from now on.
func (l *clientLinks) stay(s *transport.Session) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.open[s] {
		return nil
	}
	if err := l.room(s.Peer(), true); err != nil {
		return err
	}
	l.mu.open[s] = true
	l.mu.strangers--
	return nil
}

func (l *clientLinks) leave(s *transport.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.mu.open[s] {
		l.mu.strangers--
	}
	delete(l.mu.open, s)
	if l.mu.ofClient[s.Peer()]--; l.mu.ofClient[s.Peer()] == 0 {
		delete(l.mu.ofClient, s.Peer())
	}
}

// clientLink is the link of a client, or of somebody who has yet to show that
// it is one.
type clientLink struct {
	node    *Node
	session *transport.Session
	peer    door.Peer
	open    atomic.Int32 // streams
	used    time.Time    // when one was open last
	judged  time.Time
}

// serveClient hands the connections that a client opens inside its link to the
// door, which knows nothing of links but whose it is. A link has no other use:
// no message between nodes is read from it.
func (n *Node) serveClient(s *transport.Session) {
	defer s.Close("client served")
	select {
	case <-n.doorOpen:
	case <-n.group.Done():
		return
	}
	l := &clientLink{node: n, session: s, peer: door.Peer{Key: holo.PrincipalID(s.Peer()), Link: s.Hash()}}
	leave, err := n.clients.enter(s, l.known(n.group.Context()) == nil)
	if err != nil {
		n.refusals.addErr(err)
		n.log.Warn("client link refused", "client", l.peer.Key.String(), "error", err)
		return
	}
	defer leave()
	defer n.door.End(l.peer)
	if err := l.serve(n.group.Context()); err != nil {
		n.refusals.addErr(err)
		n.log.Info("client link ended", "client", l.peer.Key.String(), "error", err)
	}
}

func (l *clientLink) known(ctx context.Context) error { return l.node.Known(ctx, l.peer.Key) }

// serve accepts the link's streams until it ends, has been idle for too long, or
// may not stay.
func (l *clientLink) serve(ctx context.Context) error {
	l.used, l.judged = time.Now(), time.Now()
	for {
		waiting, cancel := within(ctx, time.Until(l.judged.Add(reviewEvery)))
		st, err := l.session.Accept(waiting)
		due := waiting.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil:
			l.take(st)
		case !due:
			return nil // it ended
		}
		if time.Since(l.judged) < reviewEvery {
			continue
		}
		if err := l.review(ctx); err != nil {
			return err
		}
		if time.Since(l.used) > idleLink {
			return nil
		}
	}
}

// take hands a stream to the door.
func (l *clientLink) take(st *transport.Stream) {
	if l.open.Load() >= streamsOfLink {
		l.node.refusals.add(reasonTooManyStreams)
		st.Reset()
		return
	}
	l.open.Add(1)
	l.node.door.Serve(&clientConn{Stream: st, closed: func() { l.open.Add(-1) }}, l.peer)
}

// review decides whether the link may stay. A node that cannot know just now
// leaves it open: it answers no call meanwhile.
func (l *clientLink) review(ctx context.Context) error {
	l.judged = time.Now()
	if l.open.Load() > 0 {
		l.used = l.judged
	}
	if !l.node.door.Borrowed(l.peer) {
		if err := l.known(ctx); err != nil {
			return onlyDenied(err)
		}
	}
	return l.node.clients.stay(l.session)
}

func onlyDenied(err error) error {
	if holo.KindOf(err) == holo.Denied {
		return err
	}
	return nil
}

// clientConn is a stream in the door's hands.
type clientConn struct {
	*transport.Stream
	once   sync.Once
	closed func()
}

// Close gives the stream's place back.
func (c *clientConn) Close() error {
	c.once.Do(c.closed)
	return c.Stream.Close()
}
