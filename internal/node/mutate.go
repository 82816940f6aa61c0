package node

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// operations names the mutations of this process, so that each takes effect at
// most once however often it is sent.
type operations struct {
	session holo.SessionID
	last    atomic.Uint64
}

func newOperations() *operations { return &operations{session: holo.SessionID(rand.Uint64())} }

func (o *operations) next() holo.OpID {
	return holo.OpID{Session: o.session, Num: o.last.Add(1)}
}

// mutate brings a mutation to the home of its shard until it has taken effect,
// is refused for good, or the deadline ends. Only then may its outcome be
// unknown.
func (n *Node) mutate(ctx context.Context, s holo.ShardID, mu *wire.Mutation) (done wire.Mutated, err error) {
	err = retry(ctx, opDeadline, &n.configs.changed, func(ctx context.Context) error {
		done, err = n.mutateOnce(ctx, s, mu)
		return err
	})
	return done, err
}

func (n *Node) mutateOnce(ctx context.Context, s holo.ShardID, mu *wire.Mutation) (wire.Mutated, error) {
	home, err := n.homeOf(ctx, mu.Array, s)
	if err != nil {
		return wire.Mutated{}, err
	}
	if home == n.self {
		return n.mutateHere(ctx, s, mu)
	}
	ctx, stop := n.whileHome(ctx, s, home)
	defer stop()
	release, err := n.flows.take(ctx, home, mutationBytes(mu))
	if err != nil {
		return wire.Mutated{}, err
	}
	defer release()
	m, err := n.ask(ctx, home, transport.Data, &wire.Mutate{Shard: s, Mutation: *mu})
	if err != nil {
		return wire.Mutated{}, err
	}
	done, ok := m.(*wire.Mutated)
	if !ok {
		return wire.Mutated{}, n.unexpected(home, m)
	}
	return *done, nil
}

// mutateHere gives a mutation to this node's own replica and waits for the
// outcome.
func (n *Node) mutateHere(ctx context.Context, s holo.ShardID, mu *wire.Mutation) (wire.Mutated, error) {
	outcome := make(chan shard.Answer, 1)
	posted := n.loop.post(ctx, func(now holo.Time) {
		n.loop.submit(now, s, mu, func(a shard.Answer) { outcome <- a })
	})
	if !posted {
		return wire.Mutated{}, n.loop.gone(ctx)
	}
	select {
	case a := <-outcome:
		return wire.Mutated{Version: a.Version, Applied: a.Applied, Old: a.Old}, a.Err
	case <-n.group.ctx.Done():
		return wire.Mutated{}, n.loop.gone(ctx)
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.Canceled) {
			return wire.Mutated{}, holo.Errorf(holo.Cancelled, "write to shard %d: %w", s, ctx.Err())
		}
		return wire.Mutated{}, holo.Refuse(holo.Indeterminate, reasonSlow, "write to shard %d: not every member has it yet", s)
	}
}

// serveMutate takes a mutation from another node, whose digests are checked
// before the machine sees it.
func (n *Node) serveMutate(ctx context.Context, r *request) error {
	m := r.msg.(*wire.Mutate)
	if err := shard.VerifyMutation(&m.Mutation); err != nil {
		return n.blame(r.from, err)
	}
	ctx, cancel := within(ctx, opDeadline)
	defer cancel()
	done, err := n.mutateHere(ctx, m.Shard, &m.Mutation)
	if err != nil {
		return err
	}
	return r.answer(&done)
}

// mutationBytes is about what a mutation takes on the wire.
func mutationBytes(mu *wire.Mutation) int64 {
	size := int64(256)
	for i := range mu.Changes {
		size += int64(len(mu.Changes[i].Data)) + 64
	}
	return size
}

// measureEvery is how often the memory in use is counted anew. In between it
// only grows, by what is written here.
const measureEvery = 100 * holo.Millisecond

// budget keeps a home from taking more pages than its node offers. The loop
// owns it.
type budget struct {
	limit    uint64
	resident uint64 // committed pages: as last measured, and grown since
	pending  uint64 // growth of mutations that are not answered yet
	next     holo.Time
}

// measure counts the memory in use anew, when it is time.
func (b *budget) measure(now holo.Time, m *shard.Machine) {
	if now >= b.next {
		b.resident, b.next = uint64(m.Usage().Bytes), now.Add(measureEvery)
	}
}

// admit refuses a mutation whose new pages do not fit, and else gives its
// growth, which settle MUST get back. Writing over a page that is there
// already always fits.
func (b *budget) admit(now holo.Time, m *shard.Machine, s holo.ShardID, mu *wire.Mutation) (more uint64, err error) {
	more = growth(now, m, s, mu)
	if more > 0 && b.resident+b.pending+more > b.limit {
		b.next = now
		b.measure(now, m) // something may have been dropped meanwhile
	}
	if used := b.resident + b.pending; more > 0 && used+more > b.limit {
		return 0, holo.Refuse(holo.Exhausted, reasonMemory, "write to shard %d: %d more bytes of pages, of %d that this node offers %d are in use",
			s, more, b.limit, used)
	}
	b.pending += more
	return more, nil
}

// settle ends what admit began, when the mutation is answered.
func (b *budget) settle(more uint64, a *shard.Answer) {
	b.pending -= more
	if a.Err == nil && !a.Duplicate {
		b.resident += more
	}
}

// growth is what a mutation adds to the pages as they are now. Where they
// cannot be read this node is not their home, and the mutation is refused for
// that.
func growth(now holo.Time, m *shard.Machine, s holo.ShardID, mu *wire.Mutation) uint64 {
	if len(mu.Changes) == 0 {
		return 0
	}
	req := shard.ReadRequest{Shard: s, Pages: make([]holo.PageID, len(mu.Changes))}
	for i := range mu.Changes {
		req.Pages[i] = holo.PageID{Array: mu.Array, Index: mu.Changes[i].Page}
	}
	read, err := m.BeginRead(now, req)
	if err != nil {
		return 0
	}
	more := uint64(0)
	for i := range mu.Changes {
		if after, before := pageBytes(&mu.Changes[i]), uint64(len(read.Pages[i].Data)); after > before {
			more += after - before
		}
	}
	return more
}

// pageBytes is the memory that a page takes after a change.
func pageBytes(c *wire.Change) uint64 {
	switch c.Kind {
	case wire.PageData, wire.PageDelta:
		return holo.PageSize
	}
	return uint64(len(c.Data))
}
