package node

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/core/liveness"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

const (
	// proposalQueue holds what the keeper asks for: at most one command per
	// shard and node at a time. What does not fit is asked for again.
	proposalQueue = 1024
	// barrierTimeout bounds the wait of a new leader for the commands of those
	// before it.
	barrierTimeout = 10 * time.Second
	// verifyTimeout is how long one round of verification may take; its grants
	// would be over then.
	verifyTimeout = 3 * time.Second
	// proposalTimeout bounds one of the keeper's commands.
	proposalTimeout = 5 * time.Second
)

// leadership is what runs beside the loop while this node leads the catalogue:
// Raft's calls wait for the network and the disk, and the loop never waits.
type leadership struct {
	n         *Node
	rounds    chan round
	proposals chan wire.Message
}

// round is a verification that one keeper asked for. Keepers number their
// rounds alike, so a round is only ever reported to the keeper that asked.
type round struct {
	keeper *liveness.Keeper
	number uint64
}

// proposers is how many commands are on their way at once: Raft writes those
// that wait together to its disk in one go. All are compare-and-set, so their
// order does not matter.
const proposers = 16

func newLeadership(n *Node) *leadership {
	return &leadership{n: n, rounds: make(chan round, 1), proposals: make(chan wire.Message, proposalQueue)}
}

// watch follows Raft's leadership: a keeper is made for each and thrown away
// with it.
func (d *leadership) watch(ctx context.Context) {
	if d.n.consensus.IsLeader() {
		d.begin(ctx)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case leads, ok := <-d.n.consensus.Changes():
			if !ok {
				return
			}
			if leads {
				d.begin(ctx)
			} else {
				d.end(ctx)
			}
			d.n.led.Fire()
		}
	}
}

// begin waits until everything committed before is applied here, and only then
// lets a keeper look at the catalogue.
func (d *leadership) begin(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, barrierTimeout)
	defer cancel()
	for d.n.consensus.Barrier(ctx) != nil {
		if ctx.Err() != nil || !d.n.consensus.IsLeader() {
			return
		}
	}
	d.n.log.Info("leading the catalogue", "term", d.n.consensus.Term())
	d.n.turns.Do(ctx, func(now holo.Time) {
		d.n.loop.keeper = liveness.NewKeeper(now, d.n.keeperTiming(), newRand())
		d.n.loop.holder.Hurry()
	})
}

// keeperTiming is what all nodes share, and how fast this one's keeper moves what
// only evens out.
func (n *Node) keeperTiming() liveness.Timing {
	t := liveness.DefaultTiming()
	if n.config.MoveRate > 0 {
		t.MoveRate = n.config.MoveRate
	}
	return t
}

func (d *leadership) end(ctx context.Context) {
	d.n.log.Info("no longer leading the catalogue")
	d.n.turns.Do(ctx, func(holo.Time) { d.n.loop.keeper = nil })
}

// verify runs the rounds that the keeper asks for. Each begins after it was
// asked for, so that it covers the heartbeats that the keeper holds.
func (d *leadership) verify(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-d.rounds:
			if d.verified(ctx) {
				d.n.turns.Post(ctx, func(now holo.Time) {
					if d.n.loop.keeper == r.keeper {
						r.keeper.Verified(now, r.number)
					}
				})
			}
		}
	}
}

func (d *leadership) verified(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	return d.n.consensus.VerifyLeader(ctx) == nil
}

// propose commits what the keeper asks for. A command that is
// refused or lost needs no report: the keeper looks at the catalogue again.
func (d *leadership) propose(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case cmd := <-d.proposals:
			d.proposeOne(ctx, cmd)
		}
	}
}

func (d *leadership) proposeOne(ctx context.Context, cmd wire.Message) {
	ctx, cancel := context.WithTimeout(ctx, proposalTimeout)
	defer cancel()
	if _, err := d.n.commit(ctx, wire.RequestID{}, cmd); err != nil {
		d.n.log.Debug("reconfiguration not committed", "error", err)
	}
}

// flushKeeper does what the keeper asks for.
func (l *loop) flushKeeper() bool {
	if l.keeper == nil {
		return false
	}
	r := l.keeper.Ready()
	if r.VerifyRound != 0 {
		select {
		case l.n.leadership.rounds <- round{l.keeper, r.VerifyRound}:
		default: // the round before still runs; the keeper gives up and asks again
		}
	}
	for _, cmd := range r.Propose {
		select {
		case l.n.leadership.proposals <- cmd:
		default:
		}
	}
	for _, e := range r.Send {
		l.send(e, transport.Control)
	}
	return len(r.Send) > 0
}
