package sim

import (
	"encoding/binary"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// A client takes a write lease, reads the page, and writes what follows from it
// under the lease. If nobody else can write meanwhile, all that is one swap of
// what it read: that is what the history says, and what its judge checks.

// step is how far a client has come with it.
type step uint8

const (
	toTake step = iota
	toRead
	toWrite
)

// holdFor is short enough to end in the middle.
const holdFor = 60 * ms

func (c *client) underLease(a *ask) *ask {
	o := c.op
	switch c.step {
	case toTake:
		a.hold = &wire.Hold{
			Array: o.page.Array, Run: wire.PageRun{Shard: o.shard, First: o.page.Index, Count: 1},
			Lease: o.lease, For: holdFor,
		}
	case toRead:
		a.read = &shard.ReadRequest{Shard: o.shard, Pages: []holo.PageID{o.page}}
	default:
		c.wrote = true
		a.mutation = wire.Mutation{
			Op: o.id, Kind: wire.MutateWrite, Array: o.page.Array, Under: c.token,
			Changes: []wire.Change{{Page: o.page.Index, Kind: wire.PageFill, Data: binary.LittleEndian.AppendUint64(nil, o.value)}},
		}
		shard.SignMutation(&a.mutation)
	}
	return a
}

// leased takes an answer. Those to an earlier step are late.
func (c *client) leased(r *reply) {
	switch reason := holo.ReasonOf(r.err); {
	case reason == shard.ReasonFenced || reason == shard.ReasonLocked || reason == "dropped":
		c.giveUp()
	case r.err != nil:
		if r.hint >= 0 {
			c.guess[c.op.shard] = r.hint
		}
	case r.held && c.step == toTake:
		c.token = r.token
		c.proceed(toRead)
	case r.views != nil && c.step == toRead:
		c.op.expect = valueOf(&r.views[0])
		c.proceed(toWrite)
	case !r.held && r.views == nil && c.step == toWrite:
		c.finish(outcome{applied: true, value: c.op.expect, version: r.version})
	}
}

func (c *client) proceed(s step) {
	c.step = s
	c.w.tally("under lease")
	c.w.send(c.addr, c.guess[c.op.shard], c.request())
}

// giveUp ends an operation whose outcome is not known. Under a lease it did
// nothing unless its write was sent, and that may have been heard once and been
// refused when it was sent again.
func (c *client) giveUp() {
	if c.lane != nil {
		c.laneOver()
		return
	}
	if c.op.lease != 0 && !c.wrote {
		c.op = nil
		c.w.after(c.think+c.w.upTo(4*ms), c.next)
		return
	}
	c.finish(outcome{unknown: true})
}
