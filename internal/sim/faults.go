package sim

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// faults draws what goes wrong. Each seed has its own mix: a mix of everything
// hides what only shows when one thing happens often and another never.
type faults struct {
	w       *world
	gentle  bool // no crashes, and no limit on everything else
	over    bool
	gap     holo.Duration // between faults, about
	weights []int         // of the kinds
	stalls  int           // one slow read in so many stalls its process
	crashes int           // one Repl in so many is its sender's last message
}

func newFaults(w *world) faults {
	r := w.rng
	f := faults{
		w: w, gentle: w.o.Seed%3 == 0, weights: make([]int, 9),
		gap:     []holo.Duration{60 * ms, 150 * ms, 400 * ms}[r.IntN(3)],
		stalls:  []int{0, 60, 15}[r.IntN(3)],
		crashes: []int{0, 200, 40}[r.IntN(3)],
	}
	for i := range f.weights {
		f.weights[i] = []int{0, 1, 1, 4}[r.IntN(4)]
	}
	w.net.repeat = []int{60, 20, 6}[r.IntN(3)]
	w.net.reorder = []int{40, 10, 4}[r.IntN(3)]
	w.net.reorderMax = []holo.Duration{5 * ms, 40 * ms, 250 * ms}[r.IntN(3)]
	w.net.loss = []float64{0, 0.01, 0.05}[r.IntN(3)]
	return f
}

// stop heals everything.
func (f *faults) stop() {
	f.over, f.stalls, f.crashes = true, 0, 0
	f.w.net = network{cut: map[link]bool{}}
	f.w.control.forget()
	for _, n := range f.w.nodes {
		n.stalled = 0
		if !n.up {
			n.boot()
		}
	}
}

// strike makes one fault and plans the next.
func (f *faults) strike() {
	if f.over {
		return
	}
	switch f.draw() {
	case 0, 1:
		f.crash(f.anyNode())
	case 2:
		if n := f.anyNode(); f.allows(map[address]bool{n.addr: true}) {
			n.stall(f.w.upTo(700 * ms))
		}
	case 3, 4:
		f.partition()
	case 5:
		f.cutLink()
	case 6:
		f.changeLeader()
	case 7:
		f.moveShard()
	case 8:
		f.drain()
	}
	f.w.after(f.gap/4+f.w.upTo(2*f.gap), f.strike)
}

// draw picks a kind of fault by weight, or none.
func (f *faults) draw() int {
	total := 1
	for _, n := range f.weights {
		total += n
	}
	x := f.w.rng.IntN(total)
	for kind, n := range f.weights {
		if x < n {
			return kind
		}
		x -= n
	}
	return -1
}

func (f *faults) anyNode() *node { return f.w.nodes[f.w.rng.IntN(len(f.w.nodes))] }

func (f *faults) crash(n *node) bool {
	if f.over || f.gentle || !n.up || !f.budget(map[address]bool{n.addr: true}) {
		return false
	}
	n.crash()
	return true
}

// crashBetween kills a primary between two messages.
func (f *faults) crashBetween(n *node) bool { return f.w.oneIn(f.crashes) && f.crash(n) }

// spoils draws whether a node's disk may damage a record: one in the cluster at
// a time, and as long as it is the damaged node counts as failed.
func (f *faults) spoils(n *node) bool {
	for _, o := range f.w.nodes {
		if o.up && o.spoilt() {
			return false
		}
	}
	return !f.over && f.allows(map[address]bool{n.addr: true})
}

// spoilt reports whether a page of the node is damaged.
func (n *node) spoilt() bool { return n.machine.Usage().Damaged > 0 }

// stallReader stalls a process between taking a value and showing it.
func (f *faults) stallReader(n *node) {
	if f.w.oneIn(f.stalls) && n.stalled <= f.w.now && f.allows(map[address]bool{n.addr: true}) {
		n.stall(f.w.upTo(800 * ms))
	}
}

// allows is the budget where there is one: without crashes nothing is lost by
// any number of stalls and partitions.
func (f *faults) allows(set map[address]bool) bool { return f.gentle || f.budget(set) }

// budget keeps the promise: if these nodes fail too, every shard still has at
// most R-1 failed holders and at least one that is not. A holder is a member or
// a suspended node. What a primary has asked for counts as if it had happened
// as well: the request may be carried out after those who sent and confirmed it
// have died, and takes a sound copy out of the shard.
func (f *faults) budget(set map[address]bool) bool {
	for c := range f.w.control.table.All() {
		for _, holders := range f.w.control.worlds(c) {
			if !f.bears(holders, set) {
				return false
			}
		}
	}
	return true
}

func (f *faults) bears(holders []wire.Member, set map[address]bool) bool {
	hit, sound, failed := false, false, 0
	for _, m := range holders {
		n := f.w.nodes[addressOf(m.Node)]
		switch {
		case set[n.addr]:
			hit = true
			failed++
		case n.life != m.Incarnation || f.w.control.failing(n) || n.spoilt():
			failed++
		default:
			sound = true
		}
	}
	return !hit || failed <= int(f.w.o.Copies)-1 && sound
}

// partition cuts some nodes and clients off from the rest, where the control
// plane is.
func (f *faults) partition() {
	ends := f.w.ends()
	side := map[address]bool{}
	for _, a := range ends[:len(ends)-1] {
		side[a] = f.w.oneIn(3)
	}
	if !f.allows(side) {
		return
	}
	for i, a := range ends {
		for _, b := range ends[i+1:] {
			if side[a] != side[b] {
				f.w.net.cut[between(a, b)] = true
			}
		}
	}
	f.w.tally("partition")
	f.w.note("partition")
	f.w.after(f.w.upTo(900*ms), func() { clear(f.w.net.cut) })
}

// ends lists all endpoints, the control plane last.
func (w *world) ends() (as []address) {
	for _, n := range w.nodes {
		as = append(as, n.addr)
	}
	for _, c := range w.clients {
		as = append(as, c.addr)
	}
	return append(as, leaderAddr)
}

func (f *faults) cutLink() {
	a, b := f.anyNode().addr, f.anyNode().addr
	if f.w.oneIn(3) {
		b = leaderAddr
	}
	if a == b || b == leaderAddr && !f.allows(map[address]bool{a: true}) {
		return
	}
	l := between(a, b)
	f.w.net.cut[l] = true
	f.w.tally("link cut")
	f.w.note("cut", uint64(l.a), uint64(l.b))
	f.w.after(f.w.upTo(900*ms), func() { delete(f.w.net.cut, l) })
}

// changeLeader deposes the control plane's leader; some nodes go on talking to
// it for a while.
func (f *faults) changeLeader() {
	blind := map[address]bool{}
	for _, n := range f.w.nodes {
		if !f.w.oneIn(4) {
			continue
		}
		if blind[n.addr] = true; !f.allows(blind) {
			delete(blind, n.addr)
		}
	}
	f.w.control.depose(blind, f.w.upTo(900*ms))
}

// drain has a node hold nothing any more, or again, as long as enough nodes are
// left for all copies.
func (f *faults) drain() {
	n, t := f.anyNode(), f.w.control.table
	seat, _ := t.Seat(nodeID(n.addr))
	staying := 0
	for _, s := range t.Seats() {
		if !s.Draining {
			staying++
		}
	}
	if seat.Draining || staying > int(f.w.o.Copies) {
		f.w.control.propose(f.w.control.leader, &wire.NodeDrain{Node: nodeID(n.addr), On: !seat.Draining})
	}
}

// moveShard asks a primary to give its shard to a member.
func (f *faults) moveShard() {
	s := holo.MakeShardID(f.w.o.Copies, f.w.rng.Uint64N(uint64(f.w.o.Shards)))
	c, _ := f.w.control.table.Get(s)
	if len(c.Members) > 0 {
		to := c.Members[f.w.rng.IntN(len(c.Members))].Node
		f.w.send(leaderAddr, addressOf(c.Primary), &wire.Handoff{Shard: s, To: to})
	}
}
