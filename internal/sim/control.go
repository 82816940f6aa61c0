package sim

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/holocompute/holocompute/internal/core/liveness"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/wire"
)

// control is the control plane: the shard table that Raft replicates, and the
// keeper of whoever leads. Raft itself is abstract: commands are committed in
// order after a while, a leader that is deposed can neither commit nor verify.
type control struct {
	w      *world
	table  *placement.Table
	index  uint64
	leader *keeper
	old    *keeper          // deposed and still reachable by some; may be nil
	blind  map[address]bool // nodes that still talk to the old one
	last   holo.Time        // when the newest command will be committed
	asked  map[holo.ShardID]asked
}

// asked is what the primary of a shard has asked for in an epoch.
type asked struct {
	epoch   holo.Epoch
	drop    holo.NodeID
	promote bool
}

// keeper is a process that leads, or thinks that it does.
type keeper struct {
	w      *world
	addr   address
	clock  clock
	keeper *liveness.Keeper
	table  *placement.Table // the old one's is as it was
	full   int              // bytes of all pages of a shard
	room   int              // bytes that a node has for pages; 0: no limit
	until  holo.Time        // when it was deposed; 0: not yet
	flight []wire.Message   // proposed and not yet committed
}

// Version, Shards and AccessEpoch make it a liveness.View. Who may do what
// never changes here.
func (k *keeper) AccessEpoch() uint64 { return 1 }

// Version is the table's.
func (k *keeper) Version() uint64 { return k.table.Version() }

// Shards is the table as this keeper knows it.
func (k *keeper) Shards() *placement.Table { return k.table }

// Bytes is what all pages of a shard take.
func (k *keeper) Bytes(holo.ShardID) uint64 { return uint64(k.full) }

// Offers is what a node has room for.
func (k *keeper) Offers(holo.NodeID) (memory, spill uint64) {
	if k.room == 0 {
		return math.MaxInt64, 0
	}
	return uint64(k.room), 0
}

func newControl(w *world) *control {
	c := &control{w: w, table: firstTable(w), index: 1, blind: map[address]bool{}, asked: map[holo.ShardID]asked{}}
	c.lead()
	c.tick()
	return c
}

// firstTable seats all nodes and deals the shards out.
func firstTable(w *world) *placement.Table {
	rec := &wire.ShardTable{Version: 1}
	for _, n := range w.nodes {
		rec.Seats = append(rec.Seats, wire.Seat{Node: nodeID(n.addr), Incarnation: n.life, Alive: true, Weight: 1024})
	}
	for i := range w.o.Shards {
		cfg := wire.ShardConfig{Shard: holo.MakeShardID(w.o.Copies, uint64(i)), Epoch: 1}
		for _, j := range w.holders(i) {
			cfg.Members = append(cfg.Members, wire.Member{Node: nodeID(address(j)), Incarnation: w.nodes[j].life})
		}
		cfg.Primary = cfg.Members[0].Node
		rec.Slots = append(rec.Slots, wire.ShardSlot{Changed: 1, Config: cfg})
	}
	t, err := placement.FromRecord(rec)
	if err != nil {
		w.fail(err.Error())
		return placement.NewTable()
	}
	return t
}

// holders draws who holds a shard: where there is room for so few, one after the
// other.
func (w *world) holders(shard int) []int {
	all := w.rng.Perm(len(w.nodes))
	if w.o.Room > 0 {
		for i := range all {
			all[i] = (shard*int(w.o.Copies) + i) % len(all)
		}
	}
	return all[:w.o.Copies]
}

// lead begins a leadership.
func (c *control) lead() {
	k := &keeper{w: c.w, addr: leaderAddr, clock: newClock(c.w.rng), table: c.table, full: c.w.o.full(), room: c.w.o.capacity()}
	k.keeper = liveness.NewKeeper(k.clock.at(c.w.now), leaseTiming, rand.New(rand.NewPCG(c.w.rng.Uint64(), 1)))
	c.leader = k
}

// depose puts another leader in place. The old one goes on for a while for
// those nodes that have not noticed; of what it had proposed some is committed
// and some never will be. The new one knows everything that was.
func (c *control) depose(blind map[address]bool, d holo.Duration) {
	old := c.leader
	frozen, err := placement.FromRecord(c.table.Record())
	if err != nil {
		c.w.fail("the shard table is impossible: " + err.Error())
		return
	}
	for _, cmd := range old.flight {
		if c.w.oneIn(2) {
			c.apply(cmd)
		}
	}
	old.addr, old.until, old.table, old.flight = deposedAddr, c.w.now, frozen, nil
	c.old, c.blind = old, blind
	c.w.tally("leader change")
	c.w.note("leader change", uint64(len(blind)), uint64(d))
	c.lead()
	c.w.after(d, func() {
		if c.old == old {
			c.forget()
		}
	})
}

func (c *control) forget() { c.old, c.blind = nil, map[address]bool{} }

// seenBy is the leader that a node talks to.
func (c *control) seenBy(a address) address {
	if c.old != nil && c.blind[a] {
		return deposedAddr
	}
	return leaderAddr
}

func (c *control) take(from, to address, msg any) {
	k := c.leader
	if to == deposedAddr {
		k = c.old
	}
	if k == nil {
		return
	}
	now := k.clock.at(c.w.now)
	switch msg := msg.(type) {
	case *wire.Heartbeat:
		k.keeper.Heartbeat(now, nodeID(from), msg)
	case *ask:
		r := &reply{primaries: map[holo.ShardID]address{}}
		for cfg := range k.table.All() {
			r.primaries[cfg.Shard] = addressOf(cfg.Primary)
		}
		c.w.send(k.addr, from, r)
	case wire.Message:
		k.keeper.Request(now, nodeID(from), msg)
	}
}

func (c *control) tick() {
	for _, k := range []*keeper{c.leader, c.old} {
		if k != nil {
			k.keeper.Tick(k.clock.at(c.w.now), k)
			c.drain(k)
		}
	}
	c.w.after(4*ms, c.tick)
}

func (c *control) drain(k *keeper) {
	r := k.keeper.Ready()
	if r.VerifyRound != 0 {
		c.verify(k, r.VerifyRound)
	}
	for _, e := range r.Send {
		c.w.send(k.addr, addressOf(e.To), e.Msg)
	}
	for _, cmd := range r.Propose {
		c.propose(k, cmd)
	}
}

// verify asks a majority. It succeeds if they still followed this leader when
// they were asked, which is some time after the round began.
func (c *control) verify(k *keeper, round uint64) {
	asked := c.w.now.Add(c.w.upTo(4 * ms))
	c.w.after(asked.Sub(c.w.now)+c.w.upTo(4*ms), func() {
		if k.until == 0 || k.until > asked {
			k.keeper.Verified(k.clock.at(c.w.now), round)
		}
	})
}

// propose commits a command after a while, in order; one of a leader that is
// deposed meanwhile was dealt with then.
func (c *control) propose(k *keeper, cmd wire.Message) {
	if k.until != 0 {
		return
	}
	k.flight = append(k.flight, cmd)
	c.last = max(c.last+1, c.w.now.Add(500*us+c.w.upTo(4*ms)))
	c.w.after(c.last.Sub(c.w.now), func() {
		if k.until == 0 {
			k.flight = k.flight[1:]
			c.apply(cmd)
		}
	})
}

// apply is what the catalogue does with the commands about shards. A refusal
// is the table's answer to a command that came too late.
func (c *control) apply(cmd wire.Message) {
	c.index++
	c.table.Begin(c.index)
	if err := c.transition(cmd); err != nil {
		c.w.tally("command refused")
		return
	}
	c.w.tally("command " + commandName(cmd))
	for cfg := range c.table.All() {
		if err := c.table.Check(cfg); err != nil {
			c.w.fail(err.Error())
		}
	}
	for _, cfg := range c.table.ChangedSince(c.index - 1) {
		c.w.note("config", uint64(cfg.Shard), uint64(cfg.Epoch), uint64(addressOf(cfg.Primary)), members(&cfg), cfg.LearnerGen)
		if cfg.Lost {
			c.w.note("lost", uint64(cfg.Shard))
		}
	}
}

func (c *control) transition(cmd wire.Message) error {
	switch cmd := cmd.(type) {
	case *wire.NodeRegister:
		_, err := c.table.Register(cmd)
		return err
	case *wire.NodeDead:
		return c.table.NodeDead(cmd)
	case *wire.NodeDrain:
		return c.drainNode(cmd)
	case *wire.ShardLearner:
		return c.table.SetLearner(cmd)
	case *wire.ShardPromote:
		return c.table.Promote(cmd)
	case *wire.ShardShrink:
		return c.table.Shrink(cmd)
	case *wire.ShardTransfer:
		return c.table.Transfer(cmd)
	}
	return holo.Errorf(holo.Internal, "command %#04x is not one about shards", uint16(cmd.Type()))
}

// drainNode keeps, as the catalogue does, enough nodes for all copies, and enough room.
func (c *control) drainNode(cmd *wire.NodeDrain) error {
	err := c.table.Drain(cmd.Node, cmd.On)
	least := int(c.w.o.Copies)
	if c.w.o.Room > 0 {
		least = least * c.w.o.Shards / c.w.o.Room
	}
	if err == nil && cmd.On && len(c.table.Open()) < least {
		return errors.Join(holo.Errorf(holo.Conflict, "too few nodes"), c.table.Drain(cmd.Node, false))
	}
	return err
}

func commandName(cmd wire.Message) string {
	switch cmd.(type) {
	case *wire.NodeRegister:
		return "register"
	case *wire.NodeDead:
		return "dead"
	case *wire.NodeDrain:
		return "drain"
	case *wire.ShardLearner:
		return "learner"
	case *wire.ShardPromote:
		return "promote"
	case *wire.ShardShrink:
		return "shrink"
	}
	return "transfer"
}

// members prints as decimal digits, one for each member counted from 1.
func members(c *wire.ShardConfig) (n uint64) {
	for _, m := range c.Members {
		n = 10*n + uint64(addressOf(m.Node)) + 1
	}
	return n
}

// note remembers a primary's request from when it is sent.
func (c *control) note(msg wire.Message) {
	switch m := msg.(type) {
	case *wire.ShardShrink:
		a := c.since(m.Shard, m.Epoch)
		a.drop = m.Drop
		c.asked[m.Shard] = a
	case *wire.ShardPromote:
		a := c.since(m.Shard, m.Epoch)
		a.promote = true
		c.asked[m.Shard] = a
	}
}

func (c *control) since(s holo.ShardID, e holo.Epoch) asked {
	if a := c.asked[s]; a.epoch == e {
		return a
	}
	return asked{epoch: e}
}

// worlds lists the holders of a shard as they are, and as they may be at any
// moment because of what its primary has asked for.
func (c *control) worlds(cfg *wire.ShardConfig) [][]wire.Member {
	ws := [][]wire.Member{slices.Concat(cfg.Members, cfg.Suspended)}
	a := c.asked[cfg.Shard]
	if a.epoch != cfg.Epoch {
		return ws
	}
	if a.promote && cfg.Learner.Incarnation != 0 {
		ws = append(ws, append(slices.Clone(cfg.Members), cfg.Learner))
	}
	if rest := slices.DeleteFunc(slices.Clone(cfg.Members), func(m wire.Member) bool { return m.Node == a.drop }); len(rest) < len(cfg.Members) {
		ws = append(ws, rest)
	}
	return ws
}

// failing reports whether a node counts as failed: down, not registered,
// declared dead, stalled, cut off, or not heard from for most of a lease.
func (c *control) failing(n *node) bool {
	inc, alive := c.table.Registered(nodeID(n.addr))
	heard, ok := c.leader.keeper.Heard(nodeID(n.addr), n.life)
	silent := !ok || c.leader.clock.at(c.w.now).Sub(heard) > 200*ms
	return !n.up || inc != n.life || !alive || n.stalled > c.w.now || silent || c.blind[n.addr] ||
		c.w.net.cut[between(n.addr, leaderAddr)]
}
