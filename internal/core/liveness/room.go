package liveness

import (
	"iter"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// room is what each node has to hold if every page is written, as admission
// counts it: copies on their way to a node are there already, proposed ones too.
// Whoever is given a copy has room for it, so a node's limit binds it whatever role
// it has.
type room struct {
	sizes Sizes
	held  map[holo.NodeID]uint64
}

func (k *Keeper) newRoom(view View) *room {
	r := newRoom(view, view.Shards().All())
	for c := range view.Shards().All() {
		coming, ok := k.coming(c)
		if ok && !suspended(c, coming) {
			r.take(coming, c.Shard)
		}
		if to := k.moves[c.Shard].to; to != coming && !c.Has(to) && c.Learner.Node != to && !suspended(c, to) {
			r.take(to, c.Shard)
		}
	}
	return r
}

// newRoom is what the shards' configurations say.
func newRoom(sizes Sizes, shards iter.Seq[*wire.ShardConfig]) *room {
	r := &room{sizes: sizes, held: map[holo.NodeID]uint64{}}
	for c := range shards {
		for _, m := range c.Members {
			r.take(m.Node, c.Shard)
		}
		for _, m := range c.Suspended {
			r.take(m.Node, c.Shard)
		}
		if id := c.Learner.Node; !suspended(c, id) { // it holds one copy, the old or the new
			r.take(id, c.Shard)
		}
	}
	return r
}

func suspended(c *wire.ShardConfig, id holo.NodeID) bool {
	return slices.ContainsFunc(c.Suspended, func(m wire.Member) bool { return m.Node == id })
}

// fits reports whether a node can take a copy of a shard. A copy that arrives is
// in memory until it is complete, so it must not be more than half of that,
// wherever its pages go then.
func (r *room) fits(node holo.NodeID, c *wire.ShardConfig) bool {
	bytes, held := r.sizes.Bytes(c.Shard), r.held[node]
	memory, spill := r.sizes.Offers(node)
	if suspended(c, node) {
		held -= bytes // of the copy that the new one is put in place of
	}
	return bytes == 0 || held+bytes <= memory+spill && (spill == 0 || bytes <= memory/2)
}

func (r *room) take(node holo.NodeID, shard holo.ShardID) { r.held[node] += r.sizes.Bytes(shard) }

// Cramped counts the shards that want one more copy and get none because no node
// has room for it, and what those copies would take.
type Cramped struct {
	Shards int
	Bytes  uint64
}

// Cramped is how it was when the keeper last looked.
func (k *Keeper) Cramped() Cramped { return k.cramped }

// count notes a shard that would have a learner if somebody had room.
func (n *Cramped) count(l *loads, c *wire.ShardConfig) {
	for _, id := range l.ids {
		if !c.Has(id) && c.Learner.Node != id {
			n.Shards++
			n.Bytes += l.room.sizes.Bytes(c.Shard)
			return
		}
	}
}
