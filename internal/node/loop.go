package node

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/holocompute/holocompute/internal/core/liveness"
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

const (
	// inputQueue is how many inputs may wait for the loop: each is one message
	// or request, so the queue holds less than a second's worth of small ones
	// and blocks whoever brings more.
	inputQueue = 256
	// inputBatch is how many inputs are taken before what they caused is sent.
	inputBatch = 64
	// tickEvery is how often machines are told that time passes: a fifth of
	// the shortest span they measure.
	tickEvery = 10 * time.Millisecond
)

// loop is the one goroutine that owns the machines: the replicas of shards,
// the node's lease, and on the Raft leader the keeper of all leases. Everybody
// else posts a function and waits. After each batch of inputs the loop takes
// what the machines want done: first what must be proposed, then what is sent,
// then the answers.
type loop struct {
	n      *Node
	inputs chan func(holo.Time)

	machine *shard.Machine
	holder  *liveness.Holder
	keeper  *liveness.Keeper // nil unless this node leads
	leader  holo.NodeID      // whom the last heartbeat went to
	spill   *spill           // nil: all pages are in memory
	swept   holo.Time        // when the read cache was, last
	answers map[uint64]func(shard.Answer)
	next    uint64
}

func newLoop(n *Node) *loop {
	return &loop{
		n:       n,
		inputs:  make(chan func(holo.Time), inputQueue),
		machine: newMachine(n),
		holder:  liveness.NewHolder(n.incarnation, liveness.DefaultTiming()),
		answers: map[uint64]func(shard.Answer){},
	}
}

// shardTiming suits streams that neither lose nor reorder: what is sent again
// too soon only queues behind itself. On a busy machine bulk waits for bulk, so
// a member is slow only after what would have ended its lease.
func shardTiming() shard.Timing {
	t := shard.DefaultTiming()
	t.Resend = 200 * holo.Millisecond
	t.SlowMember = 3 * holo.Second
	return t
}

// shardLimits is what the machine may keep for a node's page memory. The cache
// sees to that itself where it has a disk.
func shardLimits(memory uint64, spills bool) shard.Limits {
	l := shard.DefaultLimits()
	l.LogBytes = min(l.LogBytes, max(int(memory/8), leastLog))
	l.Arriving = int(memory / 4)
	if !spills {
		l.Capacity = int(memory)
	}
	return l
}

// leastLog is the least that may be kept of entries for followers: a window to
// each of two.
const leastLog = 16 << 20

func newMachine(n *Node) *shard.Machine {
	return shard.New(shard.Options{
		Self:   wire.Member{Node: n.self, Incarnation: n.incarnation},
		Timing: shardTiming(),
		Limits: shardLimits(n.config.MemoryBytes, n.config.SpillDir != ""),
		Track:  n.config.SpillDir != "",
	})
}

// run drives the machines until ctx is done.
func (l *loop) run(ctx context.Context) {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-l.inputs:
			f(l.n.clock.now())
			l.more()
		case <-ticker.C:
			l.tick()
		}
		l.flush()
	}
}

// more takes the inputs that are already waiting, up to a batch.
func (l *loop) more() {
	for range inputBatch {
		select {
		case f := <-l.inputs:
			f(l.n.clock.now())
		default:
			return
		}
	}
}

// post hands f to the loop, waiting while its queue is full. False means that
// ctx ended or the node is closing and f will not run.
func (l *loop) post(ctx context.Context, f func(now holo.Time)) bool {
	select {
	case l.inputs <- f:
		return true
	case <-ctx.Done():
	case <-l.n.group.ctx.Done():
	}
	return false
}

// do runs f on the loop and waits until it has run.
func (l *loop) do(ctx context.Context, f func(now holo.Time)) error {
	done := make(chan struct{})
	if l.post(ctx, func(now holo.Time) { f(now); close(done) }) {
		select {
		case <-done:
			return nil
		case <-l.n.group.ctx.Done():
		}
	}
	return l.gone(ctx)
}

func (l *loop) gone(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return holo.Errorf(holo.Cancelled, "ask node %s: %w", l.n.self, err)
	}
	return holo.Refuse(holo.Unavailable, reasonClosing, "node %s is closing", l.n.self)
}

// tick lets time pass. A node that was suspended does not know how long it was
// away, so it gives its lease up before it looks at anything else.
func (l *loop) tick() {
	now := l.n.clock.now()
	if l.n.clock.resumed() {
		l.n.log.Warn("machine was suspended: lease dropped")
		l.holder.Drop(now)
		l.machine.Drop()
		l.n.cache.clear()
		l.n.access.leased(l.holder.Until(), l.holder.AccessEpoch())
	}
	if l.n.clock.stoodStill(now) {
		l.n.log.Warn("this process stood still: sessions are made anew")
		l.n.peers.Refresh(func(*transport.Session) bool { return true })
	}
	l.machine.Tick(now)
	if l.spill != nil {
		l.spill.tick(now)
	}
	l.yield()
	l.tidy(now)
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

// flush does what the machines ask for until they ask for nothing more; what
// the node sends to itself is handled in the same turn.
func (l *loop) flush() {
	for range inputBatch {
		busy := l.flushKeeper()
		busy = l.flushShards() || busy
		if l.spill != nil {
			busy = l.spill.flush(l.n.clock.now()) || busy
		}
		if !busy {
			return
		}
	}
}

func (l *loop) flushShards() bool {
	r := l.machine.Ready(l.n.clock.now())
	if l.spill != nil {
		l.spill.follow(&r)
	}
	for _, m := range r.Propose {
		l.toLeader(m)
	}
	for _, e := range r.Send {
		l.send(e, classOf(e.Msg))
	}
	for _, a := range r.Answers {
		if answer, ok := l.answers[a.ID]; ok {
			delete(l.answers, a.ID)
			answer(a)
		}
	}
	for _, e := range r.Events {
		l.n.event(e)
	}
	return len(r.Propose)+len(r.Send)+len(r.Answers) > 0
}

// submit gives a mutation to this node's replica of its shard and calls answer
// on the loop when it has taken effect or was refused.
func (l *loop) submit(now holo.Time, s holo.ShardID, mu *wire.Mutation, answer func(shard.Answer)) {
	l.next++
	release, err := l.reserve(mu)
	if err != nil {
		answer(shard.Answer{ID: l.next, Err: err})
		return
	}
	l.answers[l.next] = func(a shard.Answer) {
		release()
		answer(a)
	}
	l.machine.Submit(now, l.next, s, *mu)
}

// reserve keeps room in memory and on disk for what a mutation adds until it is
// answered. Where there is no disk the machine sees to the memory itself.
func (l *loop) reserve(mu *wire.Mutation) (release func(), err error) {
	release = func() {}
	if l.spill != nil {
		release, err = l.spill.reserve(mu)
	}
	l.yield()
	return release, err
}

// newRand is the chance that machines are given.
func newRand() *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) }
