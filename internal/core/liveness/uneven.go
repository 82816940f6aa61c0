package liveness

import (
	"iter"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/wire"
)

// Uneven counts the copies and then the leads that a keeper would move to even
// out shards between nodes, if all had room: for people to read. It plays the
// moves, so that what no move can make more even is not counted.
func Uneven(nodes []placement.Weighted, shards []wire.ShardConfig) (copies, leads int) {
	s := &scale{weight: map[holo.NodeID]uint64{}}
	for _, n := range nodes {
		s.ids = append(s.ids, n.Node)
		s.weight[n.Node] = max(n.Weight, 1)
	}
	p := make(plan, len(shards))
	for i, c := range shards {
		p[i] = c
		p[i].Members = slices.Clone(c.Members)
	}
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

// plan is the shards as they would be.
type plan []wire.ShardConfig

func (p plan) all() iter.Seq[*wire.ShardConfig] {
	return func(yield func(*wire.ShardConfig) bool) {
		for i := range p {
			if !yield(&p[i]) {
				return
			}
		}
	}
}

// copy moves a copy, rather one that is no primary.
func (p plan) copy(class holo.Class, from, to holo.NodeID) bool {
	var found *wire.ShardConfig
	for c := range p.all() {
		if c.Shard.Class() == class && !c.Lost && c.Has(from) && !c.Has(to) && (found == nil || found.Primary == from && c.Primary != from) {
			found = c
		}
	}
	if found == nil {
		return false
	}
	i := slices.IndexFunc(found.Members, func(m wire.Member) bool { return m.Node == from })
	found.Members[i].Node = to
	if found.Primary == from {
		found.Primary = to
	}
	return true
}

func (p plan) lead(class holo.Class, from, to holo.NodeID) bool {
	for c := range p.all() {
		if c.Shard.Class() == class && !c.Lost && c.Primary == from && c.Has(to) {
			c.Primary = to
			return true
		}
	}
	return false
}
