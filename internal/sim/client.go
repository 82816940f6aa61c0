package sim

import (
	"encoding/binary"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// cacheBytes is room for two whole pages, or for some more that are patterns: a
// client's cache has to let go of some.
const cacheBytes = 5 * holo.PageSize / 2

// opTimeout is when a client gives up; the outcome is then unknown.
const opTimeout = 900 * ms

// The arrays. Pages of the first are written freely, those of the second only
// by tasks, and the third is deleted at some moment.
const (
	freeArray holo.ArrayID = iota + 1
	taskArray
	tempArray
	arrays = 3
)

// ask is a client's request to a node; a question to the control plane has no
// operation.
type ask struct {
	op       holo.OpID
	shard    holo.ShardID
	sent     holo.Time // on the client's clock
	read     *shard.ReadRequest
	hold     *wire.Hold
	mutation wire.Mutation
}

// reply answers it.
type reply struct {
	op        holo.OpID
	sent      holo.Time
	version   holo.Version
	applied   bool
	old       uint64
	views     []shard.View
	lease     shard.Lease
	held      bool // of a hold: it was done
	token     holo.Token
	err       error
	hint      address // where to go instead; -1: unknown
	primaries map[holo.ShardID]address
}

// client does operations, one at a time, and writes down what came of them.
type client struct {
	w     *world
	addr  address
	life  holo.Incarnation
	clock clock
	cache *shard.Cache
	seen  map[holo.PageID]uint64   // the last value seen, for compare-and-set
	guess map[holo.ShardID]address // where the primary is
	op    *operation
	call  holo.Time
	tries int
	token holo.Token
	step  step // of a read and a write under a write lease
	wrote bool // the write may have been heard
	left  int
	num   uint64
	think holo.Duration
	lane  *laneWork // of who appends to lanes and takes from them, and does nothing else
}

func newClient(w *world, i int) *client {
	return &client{
		w: w, addr: firstClient + address(i), life: 1, clock: newClock(w.rng), cache: shard.NewCache(cacheBytes),
		seen: map[holo.PageID]uint64{}, guess: map[holo.ShardID]address{}, left: w.o.Ops, think: w.upTo(8 * ms),
	}
}

func (c *client) now() holo.Time { return c.clock.at(c.w.now) }

// next starts the client's next operation.
func (c *client) next() {
	if c.left <= 0 || c.op != nil {
		return
	}
	c.left--
	c.start(c.draw())
}

// draw makes up an operation.
func (c *client) draw() operation {
	if c.lane != nil {
		return c.drawLane()
	}
	r := c.w.rng
	s := holo.MakeShardID(c.w.o.Copies, r.Uint64N(uint64(c.w.o.Shards)))
	o := operation{
		id: c.opID(), shard: s, page: holo.PageID{Array: freeArray, Index: c.pageIn(s)},
		value: uint64(c.addr)<<32 | c.num,
	}
	switch x := r.IntN(20); {
	case x < 9:
		o.kind, o.cached = readOp, c.w.oneIn(2)
	case x < 12:
		o.kind = writeOp
	case x < 14:
		o.kind = foldOp
	case x < 16:
		o.kind, o.expect = swapOp, c.seen[o.page]
	case x < 18:
		o.kind, o.lease = swapOp, holo.LeaseID(r.Uint64()|1)
	default:
		o.kind, o.page.Array = taskOp, taskArray
	}
	switch {
	case o.kind == taskOp || c.w.oneIn(8):
		c.elsewhere(&o)
	}
	return o
}

// elsewhere moves an operation to one of the special arrays.
func (c *client) elsewhere(o *operation) {
	switch {
	case o.kind == readOp && c.w.oneIn(2):
		o.page.Array = taskArray
	case o.kind == readOp || o.kind == writeOp:
		o.page.Array = tempArray
		if c.w.oneIn(12) {
			o.kind, o.cached = dropOp, false
		}
	}
}

func (c *client) opID() holo.OpID {
	c.num++
	return holo.OpID{Session: holo.SessionID(c.addr), Num: c.num}
}

// pageIn draws a page of a shard. Indices differ between shards, as they do
// when consecutive extents go round them.
func (c *client) pageIn(s holo.ShardID) holo.PageIndex {
	return holo.PageIndex(s.Number()*c.w.o.Pages + c.w.rng.IntN(c.w.o.Pages))
}

func (c *client) start(o operation) {
	c.op, c.call, c.tries = &o, c.w.now, 0
	c.step, c.wrote = toTake, false
	if o.cached {
		if v, ok := c.cache.Get(c.now(), o.page); ok {
			c.w.tally("cache hit")
			c.finish(outcome{value: valueOf(&v), version: v.Version})
			return
		}
	}
	c.try(o.id)
	c.w.after(opTimeout, func() {
		if c.op != nil && c.op.id == o.id {
			c.giveUp()
		}
	})
}

// try sends the operation, again and again: always with the same ID.
func (c *client) try(id holo.OpID) {
	if c.op == nil || c.op.id != id {
		return
	}
	c.tries++
	if c.tries > 1 && c.w.oneIn(3) {
		c.w.send(c.addr, leaderAddr, &ask{})
	}
	c.w.send(c.addr, c.guess[c.op.shard], c.request())
	c.w.after(60*ms+c.w.upTo(40*ms), func() { c.try(id) })
}

func (c *client) request() *ask {
	o := c.op
	if c.lane != nil {
		return c.laneStep()
	}
	a := &ask{op: o.id, shard: o.shard, sent: c.now()}
	if o.lease != 0 {
		return c.underLease(a)
	}
	if o.kind != readOp {
		a.mutation = c.mutation(o)
		return a
	}
	a.read = &shard.ReadRequest{Shard: o.shard, Pages: []holo.PageID{o.page}}
	if o.cached {
		a.read.Holder = wire.Member{Node: nodeID(c.addr), Incarnation: c.life}
	}
	return a
}

// mutation writes a value as the first 8 bytes of a page, in one of three ways
// that are the same for all tries.
func (c *client) mutation(o *operation) wire.Mutation {
	mu := wire.Mutation{Op: o.id, Array: o.page.Array}
	data := binary.LittleEndian.AppendUint64(nil, o.value)
	switch o.kind {
	case dropOp:
		mu.Kind = wire.MutateDrop
		return mu
	case sealOp:
		mu.Kind = wire.MutateSeal
		return mu
	case swapOp:
		mu.Kind, mu.Expect = wire.MutateSwap, binary.LittleEndian.AppendUint64(nil, o.expect)
	case foldOp:
		mu.Kind, mu.Fold, mu.Element = wire.MutateFold, holo.FoldAdd, holo.U64
	case taskOp:
		mu.Kind, mu.Job, mu.Task = wire.MutateTask, 1, holo.TaskID(o.page.Index)
	default:
		mu.Kind = wire.MutateWrite
	}
	ch := wire.Change{Page: o.page.Index, Kind: wire.PageDelta, Data: data}
	switch way := o.id.Num % 8; {
	case mu.Atomic() || way < 4:
	case way < 7:
		ch.Kind = wire.PageFill
	default:
		ch.Kind, ch.Data = wire.PageData, append(data, make([]byte, holo.PageSize-8)...)
	}
	mu.Changes = []wire.Change{ch}
	shard.SignMutation(&mu)
	return mu
}

// take handles an answer, or a home that withdraws a read lease.
func (c *client) take(from address, msg any) {
	switch msg := msg.(type) {
	case *wire.Inval:
		c.w.tally("invalidation")
		c.w.send(c.addr, from, c.cache.Withdraw(c.life, msg))
	case *reply:
		c.reply(msg)
	}
}

func (c *client) reply(r *reply) {
	for s := range c.w.o.Shards {
		if a, ok := r.primaries[holo.MakeShardID(c.w.o.Copies, uint64(s))]; ok && a >= 0 {
			c.guess[holo.MakeShardID(c.w.o.Copies, uint64(s))] = a
		}
	}
	if c.lane != nil {
		c.laneReply(r)
		return
	}
	if c.op == nil || c.op.id != r.op {
		return
	}
	switch {
	case c.op.lease != 0:
		c.leased(r)
	case r.err != nil && holo.ReasonOf(r.err) == "dropped":
		c.finish(outcome{dropped: true})
	case r.err != nil:
		if r.hint >= 0 {
			c.guess[c.op.shard] = r.hint
		}
	case c.op.kind == readOp:
		c.cache.Put(r.sent, c.op.shard, r.lease, r.views)
		c.finish(outcome{value: valueOf(&r.views[0]), version: r.views[0].Version})
	default:
		c.finish(outcome{applied: r.applied, value: r.old, version: r.version})
	}
}

// finish writes the operation down. A read with no answer says nothing.
func (c *client) finish(out outcome) {
	o := *c.op
	c.op = nil
	if out.unknown {
		c.w.tally("unknown")
	} else {
		c.w.tally("op " + string(o.kind))
	}
	if !out.unknown && !out.dropped && o.kind == readOp {
		c.seen[o.page] = out.value
	}
	if !out.unknown || o.kind != readOp {
		c.w.history = append(c.w.history, record{o, out, c.call, c.w.now})
	}
	c.w.note("op "+string(o.kind), uint64(c.addr), o.id.Num, uint64(o.page.Array), uint64(o.page.Index), o.value, out.value, out.bits())
	c.w.after(c.think+c.w.upTo(4*ms), c.next)
}

// valueOf is the value that a page's first 8 bytes hold.
func valueOf(v *shard.View) uint64 {
	if v.Kind == wire.PageZero {
		return 0
	}
	return binary.LittleEndian.Uint64(v.Data)
}
