package node

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/holocompute/holocompute/internal/core/liveness"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
)

// tickEvery is how often machines are told that time passes: a fifth of the
// shortest span they measure.
const tickEvery = 10 * time.Millisecond

// loop is the one goroutine that owns the machines: the replicas of shards, in
// the node's memory, the node's lease, and on the Raft leader the keeper of all
// leases. Everybody else posts a function to its turns and waits. After each
// batch of inputs the loop takes what the machines want done: first what must be
// proposed, then what is sent, then the answers.
type loop struct {
	n      *Node
	holder *liveness.Holder
	keeper *liveness.Keeper // nil unless this node leads
	leader holo.NodeID      // whom the last heartbeat went to
}

func newLoop(n *Node) *loop {
	return &loop{n: n, holder: liveness.NewHolder(n.incarnation, liveness.DefaultTiming())}
}

// run drives the machines until ctx is done.
func (l *loop) run(ctx context.Context) {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-l.n.turns.Inputs():
			l.n.turns.Take(f)
		case <-ticker.C:
			l.tick()
		}
		l.flush()
	}
}

// tick lets time pass. A node that was suspended does not know how long it was
// away, so it gives its lease up before it looks at anything else.
func (l *loop) tick() {
	now := l.n.clock.now()
	if l.n.clock.resumed() {
		l.n.log.Warn("machine was suspended: lease dropped")
		l.holder.Drop(now)
		l.n.memory.Drop()
		l.n.access.leased(l.holder.Until(), l.holder.AccessEpoch())
	}
	if l.n.clock.stoodStill(now) {
		l.n.log.Warn("this process stood still: sessions are made anew")
		l.n.peers.Refresh(func(*transport.Session) bool { return true })
	}
	l.n.memory.Tick(now)
	if id, known := l.n.leader(); known && id != l.leader {
		l.leader = id
		l.holder.Hurry()
	}
	if beat, due := l.holder.Due(now); due {
		l.toLeader(beat)
	}
	if l.keeper != nil {
		l.n.catalog.view(func(v liveness.View) { l.keeper.Tick(now, v) })
	}
}

// flushes is how often machines may cause one another work in a turn before the
// next input is looked at.
const flushes = 64

// flush does what the machines ask for until they ask for nothing more; what
// the node sends to itself is handled in the same turn.
func (l *loop) flush() {
	for range flushes {
		busy := l.flushKeeper()
		busy = l.n.memory.Flush(l.n.clock.now(), l.toLeader, l.sendShard) || busy
		if !busy {
			return
		}
	}
}

// newRand is the chance that machines are given.
func newRand() *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) }
