package sim

import (
	"fmt"

	"github.com/holocompute/holocompute/internal/core/liveness"
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// tickEvery is how often a process looks at its clock.
const tickEvery = 6 * ms

// node is a process that holds pages: the machines, and a driver for them like
// the real one, only that its parts may fail.
type node struct {
	w       *world
	addr    address
	clock   clock
	life    holo.Incarnation
	up      bool
	stalled holo.Time // true time until which the process stands still

	machine *shard.Machine
	holder  *liveness.Holder
	waits   map[uint64]waiting // submits without an answer
	next    uint64
	disk    *disk // nil: all pages stay in memory
	over    int   // bytes of pages with which a takeover left it above its room
}

// waiting is a client that waits for a mutation.
type waiting struct {
	client address
	op     holo.OpID
	shard  holo.ShardID

	release func() // of what was reserved
}

func newNode(w *world, i int) *node {
	n := &node{w: w, addr: address(i), clock: newClock(w.rng)}
	n.boot()
	return n
}

func (n *node) now() holo.Time { return n.clock.at(n.w.now) }

// boot starts the process: a new life, with nothing in memory.
func (n *node) boot() {
	n.life = holo.Incarnation(n.w.rng.Uint64() | 1)
	n.up, n.stalled, n.waits, n.over = true, 0, map[uint64]waiting{}, 0
	n.machine = shard.New(shard.Options{
		Self:   wire.Member{Node: nodeID(n.addr), Incarnation: n.life},
		Timing: shardTiming, Limits: smallLimits(&n.w.o), Track: n.w.o.Disk,
	})
	if n.disk = nil; n.w.o.Disk {
		n.disk = newDisk(n)
	}
	n.holder = liveness.NewHolder(n.life, leaseTiming)
	n.w.note("boot", uint64(n.addr), uint64(n.life))
	life := n.life
	var tick func()
	tick = func() {
		if !n.up || n.life != life {
			return
		}
		if n.stalled <= n.w.now {
			n.tick()
		}
		n.w.after(tickEvery, tick)
	}
	n.w.after(n.w.upTo(tickEvery), tick)
}

// smallLimits make windows, chunks and numbers of leases matter with a handful of
// pages.
func smallLimits(o *Options) shard.Limits {
	l := shard.DefaultLimits()
	l.FrameBytes, l.WindowBytes, l.ChunkBytes, l.ChunkWindow = 2*holo.PageSize, 4*holo.PageSize, holo.PageSize, 2
	l.Leases, l.Copies = 6, 1
	l.Capacity, l.Arriving = o.capacity(), holo.PageSize
	return l
}

// crash ends the process and its memory; it is started again soon or late.
func (n *node) crash() {
	n.up = false
	n.w.tally("crash")
	n.w.note("crash", uint64(n.addr))
	d := n.w.upTo(50 * ms)
	if n.w.oneIn(2) {
		d = n.w.upTo(1500 * ms)
	}
	n.w.after(d, func() {
		if !n.up {
			n.boot()
		}
	})
}

func (n *node) stall(d holo.Duration) {
	n.stalled = n.w.now.Add(d)
	n.w.tally("stall")
	n.w.note("stall", uint64(n.addr), uint64(d))
}

func (n *node) tick() {
	if hb, due := n.holder.Due(n.now()); due {
		n.w.send(n.addr, n.w.control.seenBy(n.addr), hb)
	}
	n.machine.Tick(n.now())
	if n.disk != nil {
		n.disk.tick()
	}
	n.drain()
}

// take handles a message, or keeps it for when the process moves again.
func (n *node) take(from address, msg any) {
	if !n.up {
		return
	}
	if n.stalled > n.w.now {
		n.w.after(n.stalled.Sub(n.w.now)+n.w.upTo(100*us), func() { n.take(from, msg) })
		return
	}
	switch msg := msg.(type) {
	case *wire.Grant:
		if until, ok := n.holder.Granted(n.now(), msg); ok {
			n.machine.Grant(n.now(), until, msg.Configs)
		}
	case *wire.ConfigPush:
		n.machine.Configure(n.now(), msg.Configs)
	case *wire.Handoff:
		n.machine.Handoff(n.now(), msg.Shard, msg.To)
	case *wire.ShrinkHint:
		n.machine.ShrinkHint(n.now(), msg)
	case wire.ShardMessage:
		if err := shard.Verify(msg); err != nil {
			n.w.fail(err.Error())
			return
		}
		n.machine.Step(n.now(), nodeID(from), msg)
		if _, brought := msg.(*wire.Recon); brought {
			u := n.machine.Usage()
			n.over = u.Bytes + u.Tail
		}
	case *ask:
		n.serve(from, msg)
	}
	n.drain()
}

// drain does what the machines want done, until they want nothing more. The
// process may die between two messages.
func (n *node) drain() {
	life := n.life
	for n.flush() && n.up && n.life == life {
	}
}

// flush does what the machines want now, and reports whether there is more.
func (n *node) flush() bool {
	ready := n.machine.Ready(n.now())
	if n.disk != nil {
		n.disk.follow(&ready)
	}
	if n.perform(&ready); !n.up || n.disk == nil {
		return false
	}
	return n.disk.flush()
}

// checkRoom holds what the node has against its room. Only what makes a member
// equal to a new primary is taken whatever room there is: others have it, so it is
// the shard's history.
func (n *node) checkRoom() {
	if n.w.o.Room == 0 {
		return
	}
	u := n.machine.Usage()
	n.over = min(n.over, u.Bytes+u.Tail)
	if u.Bytes > max(n.w.o.capacity(), n.over) {
		n.w.fail(fmt.Sprintf("node %d has room for %d bytes of pages and holds %d, and %d that arrive", n.addr, n.w.o.capacity(), u.Bytes, u.Arriving))
	}
}

func (n *node) perform(ready *shard.Ready) {
	n.checkRoom()
	for _, e := range ready.Events {
		n.w.tally(e.Kind.String())
		n.w.note("event "+e.Kind.String(), uint64(n.addr), uint64(e.Shard), uint64(e.Epoch))
	}
	for _, p := range ready.Propose {
		n.w.control.note(p)
		n.w.send(n.addr, n.w.control.seenBy(n.addr), p)
	}
	for _, e := range ready.Send {
		n.w.send(n.addr, addressOf(e.To), e.Msg)
		if _, ok := e.Msg.(*wire.Repl); ok && n.w.faults.crashBetween(n) {
			return
		}
	}
	for _, a := range ready.Answers {
		if wt, ok := n.waits[a.ID]; ok {
			delete(n.waits, a.ID)
			wt.release()
			n.answer(wt, a)
		}
	}
}

func (n *node) answer(wt waiting, a shard.Answer) {
	r := &reply{op: wt.op, version: a.Version, applied: a.Applied, old: a.Old, err: a.Err, hint: -1}
	if a.Err != nil {
		n.w.tally("refused " + holo.ReasonOf(a.Err))
		r.hint = n.hint(wt.shard)
	}
	n.w.send(n.addr, wt.client, r)
}

// hint is where the shard's primary is, as far as this node knows.
func (n *node) hint(s holo.ShardID) address {
	if id, known := n.machine.Primary(s); known {
		return addressOf(id)
	}
	return -1
}

// serve handles a client's request.
func (n *node) serve(from address, a *ask) {
	if a.hold != nil {
		token, err := n.machine.Hold(n.now(), a.hold)
		n.held(from, a, token, err)
		return
	}
	if a.read == nil {
		release := func() {}
		if n.disk != nil {
			var err error
			if release, err = n.disk.reserve(&a.mutation); err != nil {
				n.refuse(from, a, err)
				return
			}
		}
		n.next++
		n.waits[n.next] = waiting{from, a.op, a.shard, release}
		n.machine.Submit(n.now(), n.next, a.shard, a.mutation)
		return
	}
	rd, err := n.machine.BeginRead(n.now(), *a.read)
	if err != nil {
		n.refuse(from, a, err)
		return
	}
	if !n.w.oneIn(4) {
		n.finish(from, a, rd)
		return
	}
	n.w.faults.stallReader(n)
	n.later(n.w.upTo(5*ms), func() { n.finish(from, a, rd) })
}

// later does something in this life of the process, when it is not stalled.
func (n *node) later(d holo.Duration, do func()) {
	life := n.life
	n.w.after(d, func() {
		switch {
		case !n.up || n.life != life:
		case n.stalled > n.w.now:
			n.later(n.stalled.Sub(n.w.now)+1, do)
		default:
			do()
		}
	})
}

func (n *node) finish(from address, a *ask, rd *shard.Read) {
	if err := n.machine.FinishRead(n.now(), rd); err != nil {
		n.refuse(from, a, err)
		return
	}
	if n.disk != nil {
		n.disk.show(from, a, rd)
		return
	}
	n.show(from, a, rd)
}

func (n *node) show(from address, a *ask, rd *shard.Read) {
	n.w.send(n.addr, from, &reply{op: a.op, sent: a.sent, views: rd.Pages, lease: rd.Lease, hint: -1})
}

// held answers about a write lease.
func (n *node) held(from address, a *ask, token holo.Token, err error) {
	if err != nil {
		n.refuse(from, a, err)
		return
	}
	n.w.send(n.addr, from, &reply{op: a.op, hint: -1, held: true, token: token})
}

func (n *node) refuse(from address, a *ask, err error) {
	r := &reply{op: a.op, err: err, hint: n.hint(a.shard)}
	n.w.tally("refused " + holo.ReasonOf(err))
	n.w.send(n.addr, from, r)
}
