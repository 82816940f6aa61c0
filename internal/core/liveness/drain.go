package liveness

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/wire"
)

// maxMoves bounds the shards that are moved at once only because a node drains,
// so that the users keep the links: a snapshot each of some MiB.
const maxMoves = 8

// relieve brings a shard of which a member drains a step further: first another
// node has a copy, then another member is the primary, then the member goes. It
// reports whether a learner is wanted.
func (k *Keeper) relieve(now holo.Time, t *placement.Table, c *wire.ShardConfig, leaving []holo.NodeID) (learner bool) {
	stay := len(c.Members) - len(leaving)
	if stay < min(int(c.Shard.Class()), staying(t)) {
		k.wanted[c.Shard] = leaving[0]
		return true
	}
	for _, id := range leaving {
		if id != c.Primary {
			k.wanted[c.Shard] = id
			k.trim(now, c)
			return false
		}
	}
	k.handOver(now, t, c)
	return false
}

// staying counts the nodes that do not drain. One that is dead may come back, and
// until it does or is evicted, a copy on a node that drains stands for its own.
func staying(t *placement.Table) (n int) {
	for _, s := range t.Seats() {
		if !s.Draining {
			n++
		}
	}
	return n
}

// handOver asks the primary, the only member that drains, to give the shard to
// one that stays.
func (k *Keeper) handOver(now holo.Time, t *placement.Table, c *wire.ShardConfig) {
	var staying []holo.NodeID
	for _, m := range c.Members {
		if inc, alive := t.Registered(m.Node); m.Node != c.Primary && alive && inc == m.Incarnation {
			staying = append(staying, m.Node)
		}
	}
	if at, ok := k.hinted[c.Shard]; len(staying) == 0 || ok && now.Sub(at) < k.timing.Beat {
		return
	}
	k.hinted[c.Shard] = now
	k.send(c.Primary, &wire.Handoff{Shard: c.Shard, To: staying[k.rng.IntN(len(staying))]})
}
