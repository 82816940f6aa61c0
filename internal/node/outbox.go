package node

import (
	"context"
	"sync"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/memory"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

const (
	// outboxBytes bounds the pages that wait for one peer. They share their
	// memory with the replicas, so what is bounded is how far replication may
	// run ahead of the link; what is dropped is sent again.
	outboxBytes = 32 << 20
	// outboxOpen bounds the wait for a connection. What waits longer has been
	// asked for again.
	outboxOpen = 2 * time.Second
)

// outboxes carry replicated pages to the other nodes, in order, one stream per
// peer. The protocol sends again what is not acknowledged in time; here what
// still waits for the link is not queued twice, or a busy machine would spend
// its link on copies of what it has not managed to send once.
type outboxes struct {
	n  *Node
	mu struct {
		sync.Mutex
		of map[holo.NodeID]*outbox
	}
}

type outbox struct {
	peer   holo.NodeID
	filled chan struct{} // has one element while the queue is not empty
	mu     struct {
		sync.Mutex
		queue []parcel
		keys  map[parcelKey]struct{} // of the queue, and of what is being written
		bytes int
	}
}

type parcel struct {
	key   parcelKey
	bytes int
	msg   wire.Message
}

// parcelKey names a message: two of the same key say the same.
type parcelKey struct {
	of     wire.Type
	shard  holo.ShardID
	epoch  holo.Epoch
	stream uint64
	first  uint64
	count  int
}

func newOutboxes(n *Node) *outboxes {
	o := &outboxes{n: n}
	o.mu.of = map[holo.NodeID]*outbox{}
	return o
}

// send queues a message for a peer; it never waits.
func (o *outboxes) send(peer holo.NodeID, msg wire.Message) {
	o.mu.Lock()
	box := o.mu.of[peer]
	if box == nil {
		box = &outbox{peer: peer, filled: make(chan struct{}, 1)}
		box.mu.keys = map[parcelKey]struct{}{}
		if !o.n.group.Run(func(ctx context.Context) { o.drain(ctx, box) }) {
			o.mu.Unlock()
			return
		}
		o.mu.of[peer] = box
	}
	o.mu.Unlock()
	box.put(msg)
}

func (b *outbox) put(msg wire.Message) {
	p := newParcel(msg)
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, waits := b.mu.keys[p.key]; waits || b.mu.bytes+p.bytes > outboxBytes && len(b.mu.queue) > 0 {
		return
	}
	b.mu.queue = append(b.mu.queue, p)
	b.mu.keys[p.key] = struct{}{}
	b.mu.bytes += p.bytes
	select {
	case b.filled <- struct{}{}:
	default:
	}
}

// take gives the oldest parcel, which keeps its key until done.
func (b *outbox) take() (p parcel, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.mu.queue) == 0 {
		return parcel{}, false
	}
	p, b.mu.queue[0] = b.mu.queue[0], parcel{}
	b.mu.queue = b.mu.queue[1:]
	return p, true
}

func (b *outbox) done(p parcel) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.mu.keys, p.key)
	b.mu.bytes -= p.bytes
}

// drain writes a peer's parcels until the node closes. When a stream breaks,
// or the peer cannot be reached, the parcel at hand is lost.
func (o *outboxes) drain(ctx context.Context, b *outbox) {
	var st *transport.Stream
	for {
		select {
		case <-ctx.Done():
			if st != nil {
				st.Reset()
			}
			return
		case <-b.filled:
		}
		for p, ok := b.take(); ok; p, ok = b.take() {
			st = o.write(ctx, st, b.peer, p.msg)
			b.done(p)
		}
	}
}

// write sends one message and gives the stream for the next, nil when it broke.
func (o *outboxes) write(ctx context.Context, st *transport.Stream, peer holo.NodeID, msg wire.Message) *transport.Stream {
	if st != nil && o.n.peers.Best(peer, transport.Data) != st.Session() {
		st.Reset()
		st = nil
	}
	if st == nil {
		ctx, cancel := context.WithTimeout(ctx, outboxOpen)
		defer cancel()
		var err error
		if st, err = o.n.peers.Open(ctx, peer, transport.Data); err != nil {
			return nil
		}
	}
	if st.WriteMessage(msg) != nil {
		st.Reset()
		return nil
	}
	return st
}

func newParcel(msg wire.Message) parcel {
	p := parcel{key: parcelKey{of: msg.Type()}, bytes: 256, msg: msg}
	if m, ok := msg.(wire.ShardMessage); ok {
		p.key.shard, p.key.epoch = m.Head().Shard, m.Head().Epoch
	}
	switch m := msg.(type) {
	case *wire.Repl:
		p.key.first, p.key.count = uint64(m.Commit), len(m.Entries)
		if len(m.Entries) > 0 {
			p.key.first = uint64(m.Entries[0].Seq)
		}
		for i := range m.Entries {
			p.bytes += int(memory.MutationBytes(&m.Entries[i].Mutation))
		}
	case *wire.Recon:
		p.key.stream, p.key.first = m.Stream, uint64(m.Index)
		p.bytes += imageBytes(m.Images)
	case *wire.Snap:
		p.key.stream, p.key.first = m.Stream, uint64(m.Index)
		p.bytes += imageBytes(m.Images)
	}
	return p
}

func imageBytes(images []wire.PageImage) int {
	size := 0
	for i := range images {
		size += len(images[i].Data) + 64
	}
	return size
}
