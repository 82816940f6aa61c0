package memory

import (
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// timing suits streams that neither lose nor reorder: what is sent again
// too soon only queues behind itself. On a busy machine bulk waits for bulk, so
// a member is slow only after what would have ended its lease.
func timing() shard.Timing {
	t := shard.DefaultTiming()
	t.Resend = 200 * holo.Millisecond
	t.SlowMember = 3 * holo.Second
	return t
}

// limits is what the machine may keep for a node's page memory. The cache
// sees to that itself where it has a disk.
func limits(memory uint64, spills bool) shard.Limits {
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

func newMachine(c *Config) *shard.Machine {
	return shard.New(shard.Options{
		Self:   wire.Member{Node: c.Self, Incarnation: c.Incarnation},
		Timing: timing(),
		Limits: limits(c.Bytes, c.SpillDir != ""),
		Track:  c.SpillDir != "",
	})
}

// Machine is the replicas, the turn's.
func (n *Node) Machine() *shard.Machine { return n.machine }

// Drop ends this node's leases, as if they were over, and drops what it was
// lent: a turn's.
func (n *Node) Drop() {
	n.machine.Drop()
	n.cache.clear()
}

// Tick lets time pass: a turn's.
func (n *Node) Tick(now holo.Time) {
	n.machine.Tick(now)
	if n.spill != nil {
		n.spill.tick(now)
	}
	n.yield()
	n.tidy(now)
}

// Granted takes a lease and the configurations that go with it, together: a
// turn's.
func (n *Node) Granted(now, until holo.Time, news []wire.ShardConfig) {
	n.machine.Grant(now, until, news)
	n.Configs.learn(news)
}

// Receive takes a message of the replicas' protocol: a turn's.
func (n *Node) Receive(now holo.Time, from holo.NodeID, msg wire.Message) {
	switch m := msg.(type) {
	case *wire.ConfigPush:
		n.machine.Configure(now, m.Configs)
		n.Configs.learn(m.Configs)
	case *wire.Handoff:
		n.machine.Handoff(now, m.Shard, m.To)
	case *wire.ShrinkHint:
		n.machine.ShrinkHint(now, m)
	default:
		n.machine.Step(now, from, m)
	}
}

// Flush does what the replicas and the cache of pages ask for: first what must
// be proposed, then what is sent, then the answers. It is a turn's, and reports
// whether there may be more.
func (n *Node) Flush(now holo.Time, propose func(wire.Message), send func(wire.Envelope)) (busy bool) {
	r := n.machine.Ready(now)
	if n.spill != nil {
		n.spill.follow(&r)
	}
	for _, m := range r.Propose {
		propose(m)
	}
	for _, e := range r.Send {
		send(e)
	}
	for _, a := range r.Answers {
		if answer, ok := n.answers[a.ID]; ok {
			delete(n.answers, a.ID)
			answer(a)
		}
	}
	for _, e := range r.Events {
		n.event(e)
	}
	busy = len(r.Propose)+len(r.Send)+len(r.Answers) > 0
	if n.spill != nil {
		busy = n.spill.flush(n.now()) || busy
	}
	return busy
}

// event turns what a machine tells into a line of the log.
func (n *Node) event(e shard.Event) {
	n.heard(e)
	switch {
	case e.Kind == shard.NoRoom:
		n.refused(ReasonNoRoom)
	case e.Kind == shard.StaleMessage:
		n.refused(shard.ReasonStaleMessage)
	case e.Kind == shard.Promoted && e.Pages > 0:
		n.config.Copied(e)
	}
	n.log.Debug("shard "+e.Kind.String(), "shard", uint64(e.Shard), "epoch", uint64(e.Epoch), "peer", e.Node.String())
}

// submit gives a mutation to this node's replica of its shard and calls answer
// in a turn when it has taken effect or was refused.
func (n *Node) submit(now holo.Time, s holo.ShardID, mu *wire.Mutation, as submitter, answer func(shard.Answer)) {
	n.next++
	release, err := n.reserve(mu)
	if err != nil {
		answer(shard.Answer{ID: n.next, Err: err})
		return
	}
	n.answers[n.next] = func(a shard.Answer) {
		release()
		answer(a)
	}
	as(now, n.next, s, *mu)
}

// reserve keeps room in memory and on disk for what a mutation adds until it is
// answered. Where there is no disk the machine sees to the memory itself.
func (n *Node) reserve(mu *wire.Mutation) (release func(), err error) {
	release = func() {}
	if n.spill != nil {
		release, err = n.spill.reserve(mu)
	}
	n.yield()
	return release, err
}

// yield gives the cache what this node's own pages leave free, and no more than
// its part.
func (n *Node) yield() {
	if n.spill != nil {
		u := n.spill.cache.Usage()
		n.leave(uint64(u.Resident+u.Reserved) * holo.PageSize)
		return
	}
	n.leave(uint64(n.machine.Held()))
}

// leave has the cache be as small as so many bytes of this node's own pages make it.
func (n *Node) leave(used uint64) {
	limit := n.config.Bytes
	n.cache.resize(min(limit/cachePart, limit-min(used, limit)))
}

// sweepCacheEvery is how often pages whose leases are over are looked for.
const sweepCacheEvery = holo.Second

// tidy drops cached pages that are of no use any more.
func (n *Node) tidy(now holo.Time) {
	if now.Sub(n.swept) >= sweepCacheEvery {
		n.swept = now
		n.cache.sweep(now)
	}
}
