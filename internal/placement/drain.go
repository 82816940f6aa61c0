package placement

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Drain marks a node as one that is to hold nothing: no shard is given to it,
// and the keeper moves away what it holds, one replaced before it is removed.
// Or it takes the mark away. It is refused where too few nodes would be left to
// acknowledge writes.
func (t *Table) Drain(node holo.NodeID, on bool) error {
	i, ok := t.find(node)
	if !ok {
		return notSeated("drain", node)
	}
	left := len(t.Open())
	if t.seats[i].Alive && !t.seats[i].Draining {
		left--
	}
	for c := holo.Class(1); on && c <= holo.MaxClass; c++ {
		if need := wire.MinAck(c); t.HasClass(c) && left < need {
			return holo.Refuse(holo.Conflict, ReasonFloor, "drain node %s: data of %d copies needs %d other nodes that live and do not drain, there are %d", node, c, need, left)
		}
	}
	t.seats[i].Draining = on
	return nil
}

// Open lists the living nodes that do not drain, with their weights, by node:
// those that may be given shards.
func (t *Table) Open() []Weighted {
	return slices.DeleteFunc(t.Alive(), func(w Weighted) bool { return t.drains(w.Node) })
}

func (t *Table) drains(node holo.NodeID) bool {
	s, _ := t.Seat(node)
	return s.Draining
}

// Leaving lists the members of a configuration that drain.
func (t *Table) Leaving(c *wire.ShardConfig) (nodes []holo.NodeID) {
	for _, m := range c.Members {
		if t.drains(m.Node) {
			nodes = append(nodes, m.Node)
		}
	}
	return nodes
}

// Held is in how many shards the node is a member, a learner, or a suspended
// one that may yet be needed.
func (t *Table) Held(node holo.NodeID) (n int) {
	for c := range t.All() {
		if c.Has(node) || c.Learner.Node == node || has(c.Suspended, node) {
			n++
		}
	}
	return n
}
