package transport

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Handler is given each stream that a peer starts, in a goroutine of its own.
// It owns the stream: it, or whoever it hands the stream to, MUST Close it.
type Handler func(*Session, *Stream)

// PeersConfig says how a pool knows the other nodes.
type PeersConfig struct {
	// Book gives a node's address; false for who is not a member, who then is
	// not dialled. It is asked each time.
	Book func(holo.NodeID) (addr string, ok bool)
	// Local gives this side of the handshake for a dial.
	Local func() handshake.Local
	// Former gives this side of a second try, where the peer refuses the first:
	// with the pre-shared key that was in force before. False, and nil: there is
	// none.
	Former func() (handshake.Local, bool)
	// Rival is asked when a second process proves to be a node that another
	// process is: whether the newer is the one to talk to. It may take its time.
	// Nil: always, as when a process died without a goodbye.
	Rival func(ctx context.Context, older, newer *Session) bool
	// Handler serves the streams that peers start.
	Handler Handler
}

// Peers is the pool of sessions with the other nodes: for each node and class
// the one it dialled, the one we dialled, or both when that happened at once.
// It is safe for concurrent use.
//
// The newest session serves new streams: a peer that was restarted is found
// through the session that it makes, while the old one waits for its end.
type Peers struct {
	transport *Transport
	config    PeersConfig
	group     *group
	counts    struct{ sent, dropped, dials, failed atomic.Uint64 }
	mu        struct {
		sync.Mutex
		closed  bool
		slots   map[slotKey]*slot
		dropped map[holo.NodeID]time.Time // when; sessions begun before it are not taken
	}
}

type slotKey struct {
	peer  holo.NodeID
	class Class
}

// NewPeers makes an empty pool over a transport. Close it before the
// transport.
func NewPeers(t *Transport, c PeersConfig) *Peers {
	p := &Peers{transport: t, config: c, group: newGroup()}
	p.mu.slots = map[slotKey]*slot{}
	p.mu.dropped = map[holo.NodeID]time.Time{}
	return p
}

// Serve accepts sessions until ctx or the transport ends: those of nodes join
// the pool, others are given to other in a goroutine each, which then owns
// them.
func (p *Peers) Serve(ctx context.Context, other func(*Session)) {
	for {
		s, err := p.transport.Accept(ctx)
		if err != nil {
			return
		}
		if s.Kind() == handshake.KindNode {
			p.Add(s)
			continue
		}
		if !p.group.run(func(context.Context) { other(s) }) {
			s.Close("pool is closed")
		}
	}
}

// Add takes a session with a node into the pool, and serves its streams. An
// older one of the same class and direction is closed: the peer would not have
// made another if that still served it. So are all with an earlier process of
// the peer, which otherwise would look alive until the idle time has passed.
//
// Where the earlier process may still be there, Rival decides first.
func (p *Peers) Add(s *Session) {
	older := p.rival(s)
	if older == nil || p.config.Rival == nil {
		p.add(s)
		return
	}
	if !p.group.run(func(ctx context.Context) { p.contest(ctx, older, s) }) {
		s.Close("pool is closed")
	}
}

// rival is an open session with another process of the same node.
func (p *Peers) rival(s *Session) *Session {
	for _, o := range p.Sessions(s.Peer()) {
		if o.instance != s.instance {
			return o
		}
	}
	return nil
}

// contest lets one of two processes in. Nothing that the newer says is heard
// before.
func (p *Peers) contest(ctx context.Context, older, newer *Session) {
	if p.config.Rival(ctx, older, newer) {
		p.add(newer)
		return
	}
	p.transport.refused(ReasonDuplicate)
	p.transport.logger.Warn("two processes are the same node: the second is refused", "event", "node.duplicate_identity",
		"node", newer.Peer().String(), "first", older.RemoteAddr().String(), "second", newer.RemoteAddr().String())
	newer.shut(codeDuplicate)
}

func (p *Peers) add(s *Session) {
	p.mu.Lock()
	var old []*Session
	refused := p.mu.closed || !s.begun.After(p.mu.dropped[s.Peer()])
	if !refused {
		old = p.predecessors(s)
		p.slot(s.Peer(), s.Class()).put(s)
	}
	p.mu.Unlock()
	for _, o := range old {
		p.retire(o, s)
	}
	if refused || !p.group.run(func(ctx context.Context) { p.serve(ctx, s) }) {
		s.Close("pool is closed, or the peer was dropped during the handshake")
	}
}

// predecessors are the sessions that a new one replaces. p.mu is held.
func (p *Peers) predecessors(s *Session) []*Session {
	var old []*Session
	for class := range classes {
		for _, o := range p.slot(s.Peer(), class).live() {
			same := o.class == s.class && o.Initiator() == s.Initiator()
			if same || o.instance != s.instance || o.class == s.class && o.worn() {
				old = append(old, o)
			}
		}
	}
	return old
}

// serve hands the peer's streams to the handler until the session ends.
func (p *Peers) serve(ctx context.Context, s *Session) {
	defer p.forget(s)
	for {
		stream, err := s.Accept(ctx)
		if err != nil {
			p.notice(s, err)
			return
		}
		if !p.group.run(func(context.Context) { p.config.Handler(s, stream) }) {
			stream.Reset()
			return
		}
	}
}

// notice tells the log when the peer ended the session because this node runs
// twice. It is the peer's word: nothing is done about it here.
func (p *Peers) notice(s *Session, err error) {
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok && e.Remote && e.ErrorCode == codeDuplicate {
		p.transport.refused(ReasonDuplicate)
		p.transport.logger.Error("a peer says that another process with this node's key is running: stop one of them",
			"event", "node.duplicate_identity", "peer", s.Peer().String())
	}
}

func (p *Peers) forget(s *Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slot(s.Peer(), s.Class()).remove(s)
}

// Open starts a stream to a node, over a session that is there or that it
// dials. Callers that want the same session wait for the same dial; after a
// failed one they are refused for a while (ReasonBackOff).
func (p *Peers) Open(ctx context.Context, peer holo.NodeID, class Class) (*Stream, error) {
	for {
		s, err := p.session(ctx, peer, class)
		if err != nil {
			return nil, err
		}
		stream, err := s.Open(ctx)
		if err == nil || ctx.Err() != nil {
			return stream, err
		}
		p.forget(s) // it has ended; its successor may be there
	}
}

// session finds or makes one.
func (p *Peers) session(ctx context.Context, peer holo.NodeID, class Class) (*Session, error) {
	for {
		s, changed, err := p.find(peer, class)
		if s != nil || err != nil {
			return s, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, holo.Errorf(holo.Cancelled, "connect to %s: %w", peer, ctx.Err())
		}
	}
}

// find gives the session, or a channel that closes when it is worth asking
// again.
func (p *Peers) find(peer holo.NodeID, class Class) (*Session, <-chan struct{}, error) {
	addr, known := p.config.Book(peer)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed {
		return nil, nil, errClosed("connect to " + peer.String())
	}
	slot := p.slot(peer, class)
	s := slot.best()
	if s != nil && !s.worn() {
		return s, nil, nil
	}
	err := p.startDial(slot, class, addr, known)
	if s != nil { // it is old, and serves until its successor is there
		return s, nil, nil
	}
	return nil, slot.changed, err
}

// startDial dials unless somebody does. p.mu is held.
func (p *Peers) startDial(slot *slot, class Class, addr string, known bool) error {
	if slot.dialling {
		return nil
	}
	if !known {
		return holo.Refuse(holo.Unavailable, ReasonNoAddress, "connect to %s: no address known", slot.peer)
	}
	if err := slot.mayDial(time.Now(), addr); err != nil {
		return err
	}
	if !p.group.run(func(ctx context.Context) { p.dial(ctx, slot.peer, class, addr) }) {
		return errClosed("connect to " + slot.peer.String())
	}
	slot.dialling = true
	return nil
}

// dial makes a session for everybody who waits for it; none of their contexts
// can end it for the others.
func (p *Peers) dial(ctx context.Context, peer holo.NodeID, class Class, addr string) {
	p.counts.dials.Add(1)
	s, err := p.transport.Dial(ctx, addr, p.config.Local(), class, peer)
	if holo.ReasonOf(err) == ReasonRefused && p.config.Former != nil {
		if l, ok := p.config.Former(); ok {
			s, err = p.transport.Dial(ctx, addr, l, class, peer)
		}
	}
	if err == nil {
		p.Add(s)
	} else {
		p.counts.failed.Add(1)
		p.transport.logger.Debug("dial", "peer", peer.String(), "class", class.String(), "error", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slot(peer, class).dialled(time.Now(), addr, err)
}

// slot finds or makes the place of a peer and class. p.mu is held.
func (p *Peers) slot(peer holo.NodeID, class Class) *slot {
	k := slotKey{peer, class}
	s, ok := p.mu.slots[k]
	if !ok {
		s = &slot{peer: peer, changed: make(chan struct{})}
		p.mu.slots[k] = s
	}
	return s
}

// Best is the session that a new stream would use, nil when there is none. A
// stream of another one may lead to a process that is gone, or to one that does
// not know that session any more.
func (p *Peers) Best(peer holo.NodeID, class Class) *Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slot(peer, class).best()
}

// Sessions lists the open sessions with a node.
func (p *Peers) Sessions(peer holo.NodeID) []*Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	var open []*Session
	for class := range classes {
		if slot, ok := p.mu.slots[slotKey{peer, class}]; ok {
			open = append(open, slot.live()...)
		}
	}
	return open
}

// Refresh replaces the sessions of which stale says that they are, one after the
// other and at once: each serves until its successor is there, and what is
// under way on it then has retireTime to come to its end.
func (p *Peers) Refresh(stale func(*Session) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, slot := range p.mu.slots {
		worn := false
		for _, s := range slot.live() {
			if !s.worn() && stale(s) {
				s.stale.Store(true)
				worn = true
			}
		}
		if addr, known := p.config.Book(k.peer); worn && !p.mu.closed {
			_ = p.startDial(slot, k.class, addr, known) // else the next stream dials
		}
	}
}

// Drop ends all sessions with a node, handshakes under way included, and
// forgets what waits to be sent to it: it was evicted. Book and Admit, which
// MUST say so by now, keep it from coming back.
func (p *Peers) Drop(peer holo.NodeID) {
	p.mu.Lock()
	p.mu.dropped[peer] = time.Now()
	for class := range classes {
		if slot, ok := p.mu.slots[slotKey{peer, class}]; ok {
			slot.queue.end()
			slot.queue = nil
		}
	}
	p.mu.Unlock()
	for _, s := range p.transport.with(peer) { // those that were replaced and come to their end are not in a slot
		s.Close("peer was dropped")
	}
}

// PeersStats are figures for operators, since the start.
type PeersStats struct {
	Sent    uint64 // messages given to QUIC by Send's queues
	Dropped uint64 // messages that Send or its queues threw away
	Dials   uint64
	Failed  uint64 // dials that made no session
}

// Stats reads the figures.
func (p *Peers) Stats() PeersStats {
	return PeersStats{
		Sent: p.counts.sent.Load(), Dropped: p.counts.dropped.Load(), Dials: p.counts.dials.Load(), Failed: p.counts.failed.Load(),
	}
}

// Close ends all sessions of the pool and waits for its goroutines, the
// handlers' among them. Handlers end because their streams do.
func (p *Peers) Close() error {
	p.mu.Lock()
	p.mu.closed = true
	var open []*Session
	for _, slot := range p.mu.slots {
		open = append(open, slot.live()...)
		slot.queue.end()
	}
	p.mu.Unlock()
	p.group.cancel()
	for _, s := range open {
		s.Close("pool is closed")
	}
	p.group.wait()
	return nil
}

// Send queues a message that needs no answer, in order with those queued
// before it for the same node and class. It never blocks: it drops the message
// when the queue is full or the node cannot be reached, and counts it, because
// what is sent this way is sent again by its protocol. The message must not
// change any more.
func (p *Peers) Send(peer holo.NodeID, class Class, m wire.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed || class >= classes {
		p.counts.dropped.Add(1)
		return
	}
	slot := p.slot(peer, class)
	if slot.queue == nil {
		q := newQueue()
		if !p.group.run(func(ctx context.Context) { p.drain(ctx, q, peer, class) }) {
			return
		}
		slot.queue = q
	}
	if !slot.queue.put(m) {
		p.counts.dropped.Add(1)
		p.transport.refused(ReasonQueueFull)
	}
}
