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
