package transport

import (
	"context"
	"sync"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// queueLength bounds the messages that wait for one peer and class. They share
// their pages with the memory that they come from, so a full queue holds heads
// only: 1,024 of some hundred bytes.
const queueLength = 1024

// queue holds what Send was given until drain sends it.
type queue struct {
	messages chan wire.Message // closed by end, under mu
	mu       sync.Mutex
	ended    bool
}

func newQueue() *queue { return &queue{messages: make(chan wire.Message, queueLength)} }

// put reports whether there was room.
func (q *queue) put(m wire.Message) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		return false
	}
	select {
	case q.messages <- m:
		return true
	default:
		return false
	}
}

// end makes drain stop after what is queued. A nil queue has none.
func (q *queue) end() {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.ended {
		q.ended = true
		close(q.messages)
	}
}

// drain sends a queue's messages over one stream at a time. When that breaks,
// the message at hand is lost and the next one opens another; while the peer
// cannot be reached messages are thrown away as they come.
func (p *Peers) drain(ctx context.Context, q *queue, peer holo.NodeID, class Class) {
	var stream *Stream
	for m := range q.messages {
		if ctx.Err() == nil {
			stream = p.sendOn(ctx, stream, peer, class, m)
		}
	}
	if stream != nil {
		stream.Close()
	}
}

// sendOn sends a message and gives the stream for the next one, nil when it
// broke.
func (p *Peers) sendOn(ctx context.Context, stream *Stream, peer holo.NodeID, class Class, m wire.Message) *Stream {
	if stream != nil && p.Best(peer, class) != stream.session {
		stream.Close() // the peer made a newer session: this one may lead to a process that is gone
		stream = nil
	}
	if stream == nil {
		var err error
		if stream, err = p.Open(ctx, peer, class); err != nil {
			p.counts.dropped.Add(1)
			return nil
		}
	}
	if err := stream.session.can("send", m); err != nil {
		p.counts.dropped.Add(1) // the peer's program is a version older: it does without
		return stream
	}
	if err := stream.WriteMessage(m); err != nil {
		p.counts.dropped.Add(1)
		stream.Reset()
		return nil
	}
	p.counts.sent.Add(1)
	return stream
}
