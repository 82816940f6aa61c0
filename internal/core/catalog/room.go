package catalog

import (
	"fmt"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/wire"
)

// Room is what the living nodes that do not drain offer and what the arrays
// take of it, in bytes. An array takes its pages times its copies, deleted ones
// until they are purged.
type Room struct{ Memory, Spill, Taken uint64 }

// Room sums it up.
func (c *Catalog) Room() (r Room) {
	for _, s := range c.table.Seats() {
		if s.Alive && !s.Draining {
			r.Memory += c.nodes[s.Node].Place.Capacity
			r.Spill += c.nodes[s.Node].Place.Spill
		}
	}
	for _, a := range c.arrays {
		r.Taken += footprint(&a)
	}
	return r
}

// fits is the size of the largest array that a class has room for, in whole pages.
func (r Room) fits(class holo.Class) uint64 {
	offers := r.Memory + r.Spill
	return (offers - min(offers, r.Taken)) / uint64(class) / holo.PageSize * holo.PageSize
}

func footprint(r *wire.ArrayRecord) uint64 {
	return uint64(r.Class) * r.Shape.Pages() * holo.PageSize
}

// checkRoom refuses an array that the cluster as a whole cannot hold.
func (c *Catalog) checkRoom(r *wire.ArrayRecord) error {
	room, want := c.Room(), footprint(r)
	if room.Taken+want <= room.Memory+room.Spill {
		return nil
	}
	return holo.Refuse(holo.Exhausted, ReasonQuota,
		"create array %s: %d copies of %s are %s; %s of %s are taken (memory %s, spill %s, on %d living nodes that do not drain): %s more are needed, and %s in each copy would fit",
		r.Name, r.Class, mib(want/uint64(r.Class)), mib(want), mib(room.Taken), mib(room.Memory+room.Spill), mib(room.Memory), mib(room.Spill), len(c.table.Open()),
		mib(room.Taken+want-room.Memory-room.Spill), mib(room.fits(r.Class)))
}

func mib(bytes uint64) string {
	if bytes%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%.2f MiB", float64(bytes)/(1<<20))
}

// loads is how many bytes of arrays lie in each shard, each copy as many.
type loads [holo.MaxClass * holo.ShardCount]uint64

// shardsOf tells how many bytes of an array lie in which shard: its extents go
// round the shards of its class, and the last one may be shorter.
func shardsOf(r *wire.ArrayRecord, tell func(shard holo.ShardID, bytes uint64)) {
	first, extents := placement.ShardOf(r.Class, r.Affinity, 0).Number(), r.Shape.Extents()
	missing := extents*r.Shape.ExtentPages() - r.Shape.Pages() // of the last extent
	for n := range min(extents, holo.ShardCount) {
		pages := (extents - n + holo.ShardCount - 1) / holo.ShardCount * r.Shape.ExtentPages()
		if n == (extents-1)%holo.ShardCount {
			pages -= missing
		}
		tell(holo.MakeShardID(r.Class, uint64(first)+n), pages*holo.PageSize)
	}
}

// keep makes an array part of the catalogue, and count it in its shards.
func (c *Catalog) keep(r wire.ArrayRecord) {
	if old, there := c.arrays[r.ID]; there { // twice in a snapshot, which is refused later
		c.drop(old)
	}
	c.arrays[r.ID] = r
	shardsOf(&r, func(s holo.ShardID, bytes uint64) { c.loads[s] += bytes })
}

// drop takes it out.
func (c *Catalog) drop(r wire.ArrayRecord) {
	delete(c.arrays, r.ID)
	shardsOf(&r, func(s holo.ShardID, bytes uint64) { c.loads[s] -= bytes })
}

// checkNodes refuses an array of which a node would have to hold more than it
// offers, though all nodes together offer enough: a node holds one copy of a
// shard, and shards stay where they are.
func (c *Catalog) checkNodes(r *wire.ArrayRecord) error {
	held, more := map[holo.NodeID]uint64{}, map[holo.NodeID]uint64{}
	extra := loads{}
	shardsOf(r, func(s holo.ShardID, bytes uint64) { extra[s] = bytes })
	err := c.configs(r.Class, func(cfg *wire.ShardConfig) {
		for _, m := range holders(cfg) {
			held[m.Node] += c.loads[cfg.Shard]
			more[m.Node] += extra[cfg.Shard]
		}
	})
	if err != nil {
		return err
	}
	for _, id := range sorted(c.nodes, holo.NodeID.Compare) {
		n := c.nodes[id]
		if offers := n.Place.Capacity + n.Place.Spill; more[id] > 0 && held[id]+more[id] > offers {
			return holo.Refuse(holo.Exhausted, ReasonQuota, "create array %s: node %s would hold %s of its %d copies and %s of other arrays, and offers %s (memory %s, spill %s)",
				r.Name, n.Name, mib(more[id]), r.Class, mib(held[id]), mib(offers), mib(n.Place.Capacity), mib(n.Place.Spill))
		}
	}
	return nil
}

// configs tells all shards, those of a class also where they are yet to be made.
func (c *Catalog) configs(class holo.Class, tell func(*wire.ShardConfig)) error {
	for cfg := range c.table.All() {
		tell(cfg)
	}
	if c.table.HasClass(class) {
		return nil
	}
	plan, err := c.table.Plan(class)
	for i := range plan {
		tell(&plan[i])
	}
	return err
}

// Bytes is what the arrays take in each copy of a shard.
func (c *Catalog) Bytes(s holo.ShardID) uint64 { return c.loads[s] }

// BytesOf is the same of arrays, for who has no catalogue.
func BytesOf(arrays []*wire.ArrayRecord) map[holo.ShardID]uint64 {
	bytes := map[holo.ShardID]uint64{}
	for _, a := range arrays {
		shardsOf(a, func(s holo.ShardID, n uint64) { bytes[s] += n })
	}
	return bytes
}

// Offers is what a node offers for copies of arrays.
func (c *Catalog) Offers(id holo.NodeID) (memory, spill uint64) {
	p := c.nodes[id].Place
	return p.Capacity, p.Spill
}

// held is how many bytes of arrays a node has to hold, if every page is written.
func (c *Catalog) held(id holo.NodeID) (bytes uint64) {
	for cfg := range c.table.All() {
		for _, m := range holders(cfg) {
			if m.Node == id {
				bytes += c.loads[cfg.Shard]
			}
		}
	}
	return bytes
}

// holders are all that keep the pages of a shard, or are about to.
func holders(c *wire.ShardConfig) []wire.Member {
	list := append(c.Members[:len(c.Members):len(c.Members)], c.Suspended...)
	if c.Learner != (wire.Member{}) {
		list = append(list, c.Learner)
	}
	return list
}
