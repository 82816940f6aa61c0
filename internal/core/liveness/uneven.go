package liveness

import (
	"iter"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/wire"
)

// Uneven counts the copies and then the leads that a keeper would move to even
// out shards between nodes: for people to read. It plays the moves, so that what no
// move can make more even is not counted, nor what a node has no room for.
func Uneven(nodes []placement.Weighted, shards []wire.ShardConfig, sizes Sizes) (copies, leads int) {
	s := &scale{weight: map[holo.NodeID]uint64{}}
	for _, n := range nodes {
		s.ids = append(s.ids, n.Node)
		s.weight[n.Node] = max(n.Weight, 1)
	}
	p := &plan{shards: slices.Clone(shards)}
	for i := range p.shards {
		p.shards[i].Members = slices.Clone(p.shards[i].Members)
	}
	p.room = newRoom(sizes, p.all())
	for class := holo.Class(1); class <= holo.MaxClass; class++ {
		s.weigh(p.all(), class, members).level(true, counted(&copies, p.copy, class))
		s.weigh(p.all(), class, primary).level(true, counted(&leads, p.lead, class))
	}
	return copies, leads
}

func counted(n *int, do func(class holo.Class, from, to holo.NodeID) bool, class holo.Class) func(from, to holo.NodeID) bool {
	return func(from, to holo.NodeID) bool {
		done := do(class, from, to)
		if done {
			*n++
		}
		return done
	}
}

func members(c *wire.ShardConfig) (ids []holo.NodeID) {
	for _, m := range c.Members {
		ids = append(ids, m.Node)
	}
	return ids
}

func primary(c *wire.ShardConfig) []holo.NodeID { return []holo.NodeID{c.Primary} }

// plan is the shards as they would be, and what the nodes would hold of them.
type plan struct {
	shards []wire.ShardConfig
	room   *room
}

func (p *plan) all() iter.Seq[*wire.ShardConfig] {
	return func(yield func(*wire.ShardConfig) bool) {
		for i := range p.shards {
			if !yield(&p.shards[i]) {
				return
			}
		}
	}
}

// copy moves a copy, rather one that is no primary.
func (p *plan) copy(class holo.Class, from, to holo.NodeID) bool {
	var found *wire.ShardConfig
	for c := range p.all() {
		if c.Shard.Class() == class && !c.Lost && c.Has(from) && !c.Has(to) && p.room.fits(to, c) && (found == nil || found.Primary == from && c.Primary != from) {
			found = c
		}
	}
	if found == nil {
		return false
	}
	i := slices.IndexFunc(found.Members, func(m wire.Member) bool { return m.Node == from })
	found.Members[i].Node = to
	p.room.held[from] -= p.room.sizes.Bytes(found.Shard)
	p.room.take(to, found.Shard)
	if found.Primary == from {
		found.Primary = to
	}
	return true
}

func (p *plan) lead(class holo.Class, from, to holo.NodeID) bool {
	for c := range p.all() {
		if c.Shard.Class() == class && !c.Lost && c.Primary == from && c.Has(to) {
			c.Primary = to
			return true
		}
	}
	return false
}
