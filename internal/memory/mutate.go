package memory

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wait"
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

// NextOp names a mutation that takes effect at most once.
func (n *Node) NextOp() holo.OpID { return n.ops.next() }

// Mutate brings a mutation to the home of its shard until it has taken effect,
// is refused for good, or the deadline ends. Only then may its outcome be
// unknown. Whole pages of it, each in memory of its own, are the shard's from then
// on: the caller changes them no more.
func (n *Node) Mutate(ctx context.Context, s holo.ShardID, mu *wire.Mutation) (done wire.Mutated, err error) {
	err = wait.Retry(ctx, opDeadline, &n.Configs.Changed, func(ctx context.Context) error {
		done, err = n.mutateOnce(ctx, s, mu)
		return err
	})
	return done, err
}

func (n *Node) mutateOnce(ctx context.Context, s holo.ShardID, mu *wire.Mutation) (wire.Mutated, error) {
	home, err := n.HomeOf(ctx, mu.Array, s)
	if err != nil {
		return wire.Mutated{}, err
	}
	if home == n.self {
		return n.mutateHere(ctx, s, mu, n.machine.SubmitOwn)
	}
	ctx, stop := n.whileHome(ctx, s, home)
	defer stop()
	release, err := n.flows.take(ctx, home, MutationBytes(mu))
	if err != nil {
		return wire.Mutated{}, err
	}
	defer release()
	m, err := n.links.Ask(ctx, home, transport.Data, &wire.Mutate{Shard: s, Mutation: *mu})
	if err != nil {
		return wire.Mutated{}, err
	}
	done, ok := m.(*wire.Mutated)
	if !ok {
		return wire.Mutated{}, n.links.Unexpected(home, m)
	}
	return *done, nil
}

// submitter is how a mutation is given to the machine: as somebody's, or as its own.
type submitter func(now holo.Time, id uint64, s holo.ShardID, mu wire.Mutation)

// mutateHere gives a mutation to this node's own replica and waits for the
// outcome.
func (n *Node) mutateHere(ctx context.Context, s holo.ShardID, mu *wire.Mutation, as submitter) (wire.Mutated, error) {
	outcome := make(chan shard.Answer, 1)
	posted := n.turns.Post(ctx, func(now holo.Time) {
		n.submit(now, s, mu, as, func(a shard.Answer) { outcome <- a })
	})
	if !posted {
		return wire.Mutated{}, n.turns.Gone(ctx)
	}
	select {
	case a := <-outcome:
		if mu.Kind == wire.MutateLane {
			n.laneChanged.Fire()
		}
		again := mu.Kind == wire.MutateTask && a.Duplicate // perhaps of another attempt, with other pages
		return wire.Mutated{Version: a.Version, Applied: a.Applied && !again, Old: a.Old}, a.Err
	case <-n.group.Done():
		return wire.Mutated{}, n.turns.Gone(ctx)
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.Canceled) {
			return wire.Mutated{}, holo.Errorf(holo.Cancelled, "write to shard %d: %w", s, ctx.Err())
		}
		return wire.Mutated{}, holo.Refuse(holo.Indeterminate, ReasonSlow, "write to shard %d: not every member has it yet", s)
	}
}

// ServeMutate takes a mutation from another node, whose digests are checked
// before the machine sees it.
func (n *Node) ServeMutate(ctx context.Context, r *Request) error {
	m := r.Msg.(*wire.Mutate)
	if err := shard.VerifyMutation(&m.Mutation); err != nil {
		return n.links.Blame(r.From, err)
	}
	ctx, cancel := context.WithTimeout(ctx, opDeadline)
	defer cancel()
	done, err := n.mutateHere(ctx, m.Shard, &m.Mutation, n.machine.Submit)
	if err != nil {
		return err
	}
	return r.Answer(&done)
}

// MutationBytes is about what a mutation takes on the wire.
func MutationBytes(mu *wire.Mutation) int64 {
	size := int64(256)
	for i := range mu.Changes {
		size += int64(len(mu.Changes[i].Data)) + 64
	}
	return size
}
