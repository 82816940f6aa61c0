// Package placement knows who holds which shard. Rendezvous hashing proposes;
// the Table records, and changes only by the transitions in this package, each
// a compare-and-set on the epoch it replaces. The catalogue applies them in
// Raft's order, and the simulator drives the very same code.
//
// The rules are those of the PacificA family. The members of a shard are its
// in-sync copies. A member leaves when its lease has run out or when enough
// others remain; a node enters as a learner that is already synchronous. A
// member that was removed while too few remained to acknowledge anything is
// kept as suspended: it holds every acknowledged write, and may become the
// sole member again. Incarnations, not nodes, hold memory.
package placement

import (
	"iter"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

const shardTotal = holo.MaxClass * holo.ShardCount

// Table is all seats and all shard configurations. It belongs to one
// goroutine. Configurations that it hands out share their slices with it, and
// neither side ever modifies them: a transition makes new ones.
type Table struct {
	version uint64
	seats   []wire.Seat // by node
	slots   [shardTotal]wire.ShardSlot
}

// NewTable makes a table with no nodes and no shards.
func NewTable() *Table { return &Table{} }

// Begin says under which catalogue index the changes that follow are made.
// Indices never go back.
func (t *Table) Begin(index uint64) { t.version = max(t.version, index) }

// Version is the index of the last Begin.
func (t *Table) Version() uint64 { return t.version }

// Get is a shard's configuration; false when the shard does not exist yet.
func (t *Table) Get(shard holo.ShardID) (wire.ShardConfig, bool) {
	if !shard.Valid() || t.slots[shard].Config.Epoch == 0 {
		return wire.ShardConfig{Shard: shard}, false
	}
	return t.slots[shard].Config, true
}

// All gives the shards that exist, in order. The configurations are the
// table's own: look, do not touch, and make no transition on the way.
func (t *Table) All() iter.Seq[*wire.ShardConfig] {
	return func(yield func(*wire.ShardConfig) bool) {
		for i := range t.slots {
			if c := &t.slots[i].Config; c.Epoch > 0 && !yield(c) {
				return
			}
		}
	}
}

// ChangedSince lists the configurations changed by an index above version.
func (t *Table) ChangedSince(version uint64) []wire.ShardConfig {
	var cs []wire.ShardConfig
	for i := range t.slots {
		if s := &t.slots[i]; s.Config.Epoch > 0 && s.Changed > version {
			cs = append(cs, s.Config)
		}
	}
	return cs
}

// HasClass reports whether the shards of a class exist.
func (t *Table) HasClass(c holo.Class) bool {
	return c.Valid() && t.slots[holo.MakeShardID(c, 0)].Config.Epoch > 0
}

// Admit gives a node a seat, or changes the weight of the one it has. A
// weight is memory in MiB.
func (t *Table) Admit(node holo.NodeID, weight uint64) error {
	if weight > MaxWeight {
		return holo.Errorf(holo.Invalid, "admit node %s: %d MiB, at most %d", node, weight, uint64(MaxWeight))
	}
	i, ok := t.find(node)
	if ok {
		t.seats[i].Weight = weight
		return nil
	}
	if len(t.seats) >= wire.MaxNodes {
		return holo.Refuse(holo.Exhausted, ReasonFull, "admit node %s: the cluster has %d nodes, its limit", node, len(t.seats))
	}
	t.seats = slices.Insert(t.seats, i, wire.Seat{Node: node, Weight: weight})
	return nil
}

// MaxWeight bounds what a node offers to 64 TiB, so that sums and products of
// weights in Create fit 64 bits: 3 copies x 256 shards x 64 nodes x 2^26 MiB.
const MaxWeight = 1 << 26

// Evict takes a node's seat away and its memory with it. The shards that it
// leaves without a holder are returned.
func (t *Table) Evict(node holo.NodeID) (lost []holo.ShardID, err error) {
	i, ok := t.find(node)
	if !ok {
		return nil, notSeated("evict", node)
	}
	lost = t.vacate(node, true)
	t.seats = slices.Delete(t.seats, i, i+1)
	return lost, nil
}

// OnlyAt lists the shards that would be lost if a node were evicted now.
func (t *Table) OnlyAt(node holo.NodeID) (shards []holo.ShardID) {
	for i := range t.slots {
		c := t.slots[i].Config
		if c.Epoch > 0 && !c.Lost && t.withdraw(&c, node, true) && c.Lost {
			shards = append(shards, c.Shard)
		}
	}
	return shards
}

// Seats lists the seats by node. The caller must not modify them.
func (t *Table) Seats() []wire.Seat { return t.seats }

// Seat finds a node's seat.
func (t *Table) Seat(node holo.NodeID) (wire.Seat, bool) {
	if i, ok := t.find(node); ok {
		return t.seats[i], true
	}
	return wire.Seat{}, false
}

// Registered is the node's incarnation, and whether it counts as alive.
func (t *Table) Registered(node holo.NodeID) (holo.Incarnation, bool) {
	s, _ := t.Seat(node)
	return s.Incarnation, s.Alive
}

// Alive lists the living nodes with their weights, by node.
func (t *Table) Alive() []Weighted {
	var ws []Weighted
	for _, s := range t.seats {
		if s.Alive {
			ws = append(ws, Weighted{s.Node, max(s.Weight, 1)})
		}
	}
	return ws
}

func (t *Table) find(node holo.NodeID) (int, bool) {
	return slices.BinarySearchFunc(t.seats, node, func(s wire.Seat, id holo.NodeID) int { return s.Node.Compare(id) })
}

// current reports whether m is the life that its node is registered in.
func (t *Table) current(m wire.Member) bool {
	inc, _ := t.Registered(m.Node)
	return m.Incarnation != 0 && inc == m.Incarnation
}

// living reports whether m is registered and its lease has not run out.
func (t *Table) living(m wire.Member) bool {
	inc, alive := t.Registered(m.Node)
	return alive && inc == m.Incarnation
}

func (t *Table) put(c wire.ShardConfig) {
	t.slots[c.Shard] = wire.ShardSlot{Changed: t.version, Config: c}
}

// Reasons of the refusals of this package.
const (
	ReasonStaleEpoch = "stale_epoch"
	ReasonStaleLife  = "stale_incarnation"
	ReasonNotMember  = "not_member"
	ReasonFloor      = "under_replicated"
	ReasonLost       = "shard_lost"
	ReasonFull       = "cluster_full"
)

func notSeated(what string, node holo.NodeID) error {
	return holo.Errorf(holo.NotFound, "%s node %s: not a node of this cluster", what, node)
}
