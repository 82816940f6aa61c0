package node

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/memory"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// ask sends one request to a peer and gives its one answer. A Failure is given
// as the error that it tells.
func (n *Node) ask(ctx context.Context, to holo.NodeID, class transport.Class, req wire.Message) (answer wire.Message, err error) {
	err = n.call(ctx, to, class, req, func(m wire.Message) (bool, error) {
		answer = m
		return true, nil
	})
	return answer, err
}

// call sends one request to a peer and hands its answers to each until that
// says done. An error of kind Unavailable means that the peer did not get the
// request or refused it; one of kind Indeterminate that the stream ended before
// the answer. When ctx ends the stream is reset, which the peer notices.
func (n *Node) call(ctx context.Context, to holo.NodeID, class transport.Class, req wire.Message, each func(wire.Message) (done bool, err error)) error {
	st, err := n.peers.Open(ctx, to, class)
	if err != nil {
		return holo.Refuse(holo.Unavailable, reasonUnreachable, "reach node %s: %w", to, err)
	}
	defer st.Close()
	stop := context.AfterFunc(ctx, st.Reset)
	defer stop()
	if deadline, ok := ctx.Deadline(); ok {
		st.SetDeadline(deadline)
	}
	if err := st.WriteMessage(req); err != nil {
		return cut(ctx, to, err)
	}
	for {
		msg, err := st.ReadMessage()
		if holo.KindOf(err) == holo.Invalid {
			return n.blame(to, holo.Refuse(holo.Corrupt, reasonMalformed, "answer of node %s does not decode: %w", to, err))
		}
		if err != nil {
			return cut(ctx, to, err)
		}
		if f, ok := msg.(*wire.Failure); ok {
			return given(ctx, to, f)
		}
		if done, err := each(msg); done || err != nil {
			return err
		}
	}
}

// given is the error that a peer answered with. That it was cancelled over
// there, though nobody here has given up, says that the peer is closing: what it
// was asked for may be done.
func given(ctx context.Context, from holo.NodeID, f *wire.Failure) error {
	err := f.Err()
	if holo.KindOf(err) == holo.Cancelled && ctx.Err() == nil {
		return holo.Refuse(holo.Indeterminate, reasonUnreachable, "answer of node %s: %w", from, err)
	}
	return err
}

// cut is the error of a request whose answer did not come.
func cut(ctx context.Context, to holo.NodeID, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), memory.ErrMoved):
		return holo.Refuse(holo.Indeterminate, reasonNoHome, "ask node %s: %w", to, memory.ErrMoved)
	case errors.Is(ctx.Err(), context.Canceled):
		return holo.Errorf(holo.Cancelled, "ask node %s: %w", to, context.Canceled)
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return holo.Refuse(holo.Indeterminate, reasonUnreachable, "answer of node %s: %w", to, err)
}

// answered is what a node's answer was that answers nothing.
func answered(from holo.NodeID, m wire.Message) error {
	return holo.Refuse(holo.Corrupt, reasonMalformed, "node %s answered with message %#04x", from, uint16(m.Type()))
}

// unexpected is the error for an answer of a type that does not answer, which is
// its sender's doing.
func (n *Node) unexpected(from holo.NodeID, m wire.Message) error {
	return n.blame(from, answered(from, m))
}

// The deadlines of what the node does for its callers, besides reads and writes.
const (
	// controlDeadline bounds one catalogue command or query over its retries.
	controlDeadline = 15 * time.Second
	// attemptDeadline bounds one request to one node. It is longer than a lease,
	// so that a request outlives the failover that it waits for.
	attemptDeadline = 4 * time.Second
)

// within bounds one attempt of an operation that may be tried again.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d)
}

// raftBacklog is how many incoming streams may wait for Raft to take them. It
// keeps a few per peer and takes them at once.
const raftBacklog = 16

// raftDialTimeout bounds a dial for Raft, which tries again by itself.
const raftDialTimeout = 5 * time.Second

// raftStreams carries Raft over the sessions between nodes: a stream of the
// control class whose first message says so.
type raftStreams struct {
	n        *Node
	incoming chan *raftConn
}

// raftConn is a stream in Raft's hands; done is closed when it lets go.
type raftConn struct {
	net.Conn
	peer holo.NodeID
	once sync.Once
	done chan struct{}
}

// Close gives the stream back.
func (c *raftConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { close(c.done) })
	return err
}

func newRaftStreams(n *Node) *raftStreams {
	return &raftStreams{n: n, incoming: make(chan *raftConn, raftBacklog)}
}

// Dial opens a stream to a peer.
func (s *raftStreams) Dial(ctx context.Context, id holo.NodeID) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, raftDialTimeout)
	defer cancel()
	st, err := s.n.peers.Open(ctx, id, transport.Control)
	if err != nil {
		return nil, err
	}
	if err := st.WriteMessage(&wire.RaftOpen{}); err != nil {
		st.Reset()
		return nil, err
	}
	return st, nil
}

// Accept waits for a stream that a peer opened, and says who the peer is.
func (s *raftStreams) Accept(ctx context.Context) (net.Conn, holo.NodeID, error) {
	select {
	case c := <-s.incoming:
		return c, c.peer, nil
	case <-ctx.Done():
		return nil, holo.NodeID{}, net.ErrClosed
	case <-s.n.group.Done():
		return nil, holo.NodeID{}, net.ErrClosed
	}
}

// serveRaft hands a stream to Raft and waits until Raft lets it go.
func (n *Node) serveRaft(ctx context.Context, r *request) error {
	c := &raftConn{Conn: r.stream, peer: r.from, done: make(chan struct{})}
	select {
	case n.raft.incoming <- c:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-c.done:
	case <-ctx.Done():
	case <-r.session.Done():
	}
	return errTaken
}
