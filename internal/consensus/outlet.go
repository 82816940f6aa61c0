package consensus

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/holocompute/holocompute/internal/holo"
)

// outlet is the way out as Raft asks for it: it dials and accepts nobody.
type outlet struct {
	config Config
	ctx    context.Context
	cancel context.CancelFunc
	open   streamSet
}

func newOutlet(c Config, g *group) *outlet {
	ctx, cancel := context.WithCancel(g.ctx)
	return &outlet{config: c, ctx: ctx, cancel: cancel}
}

// Dial opens a stream to the node that the address names.
func (o *outlet) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	node, err := holo.ParseNodeID(string(to))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(o.ctx, timeout)
	defer cancel()
	conn, err := o.config.Streams.Dial(ctx, node)
	if err != nil {
		return nil, err
	}
	return o.open.add(conn)
}

// Accept waits for the end.
func (o *outlet) Accept() (net.Conn, error) {
	<-o.ctx.Done()
	return nil, net.ErrClosed
}

// Close ends Accept, Dial and every stream: Raft waits for its requests before
// it stops.
func (o *outlet) Close() error {
	o.cancel()
	o.open.close()
	return nil
}

// Addr is this node's ID.
func (o *outlet) Addr() net.Addr { return nodeAddr(o.config.Self) }

// nodeAddr is a node's ID as Raft's kind of address.
type nodeAddr holo.NodeID

func (nodeAddr) Network() string  { return "holo" }
func (a nodeAddr) String() string { return holo.NodeID(a).Hex() }

// streamSet holds open streams, to close them all. The zero value is ready.
type streamSet struct {
	mu     sync.Mutex
	open   map[*setStream]struct{}
	closed bool
}

// setStream is a stream that leaves its set when it is closed.
type setStream struct {
	net.Conn
	set *streamSet
}

// add gives the stream as Raft is to have it. It closes it when the set is
// closed.
func (s *streamSet) add(conn net.Conn) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return nil, net.ErrClosed
	}
	if s.open == nil {
		s.open = map[*setStream]struct{}{}
	}
	member := &setStream{Conn: conn, set: s}
	s.open[member] = struct{}{}
	return member, nil
}

func (s *streamSet) close() {
	s.mu.Lock()
	open := s.open
	s.open, s.closed = nil, true
	s.mu.Unlock()
	for conn := range open {
		conn.Conn.Close()
	}
}

// Close closes the stream.
func (c *setStream) Close() error {
	c.set.mu.Lock()
	delete(c.set.open, c)
	c.set.mu.Unlock()
	return c.Conn.Close()
}
