package placement

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Record is the whole table as one message.
func (t *Table) Record() *wire.ShardTable {
	r := &wire.ShardTable{Version: t.version, Seats: slices.Clone(t.seats)}
	for i := range t.slots {
		if t.slots[i].Config.Epoch > 0 {
			r.Slots = append(r.Slots, t.slots[i])
		}
	}
	return r
}

// FromRecord makes the table that a record tells. It refuses one that no
// sequence of transitions could have made.
func FromRecord(r *wire.ShardTable) (*Table, error) {
	t := &Table{version: r.Version, seats: slices.Clone(r.Seats)}
	for i := range t.seats {
		s := &t.seats[i]
		if i > 0 && t.seats[i-1].Node.Compare(s.Node) >= 0 || s.Weight > MaxWeight || s.Alive && s.Incarnation == 0 {
			return nil, holo.Errorf(holo.Corrupt, "read shard table: seat %d is out of order or impossible", i)
		}
	}
	for i := range r.Slots {
		s := &r.Slots[i]
		if i > 0 && r.Slots[i-1].Config.Shard >= s.Config.Shard || s.Changed > r.Version {
			return nil, holo.Errorf(holo.Corrupt, "read shard table: slot %d is out of order", i)
		}
		if err := t.Check(&s.Config); err != nil {
			return nil, err
		}
		t.slots[s.Config.Shard] = *s
	}
	return t, nil
}

// Check reports whether a configuration is one that the table may hold: what
// every transition promises to keep.
func (t *Table) Check(c *wire.ShardConfig) error {
	bad := func(what string) error {
		return holo.Errorf(holo.Corrupt, "shard %d at epoch %d: %s", c.Shard, uint64(c.Epoch), what)
	}
	_, primary := c.Member(c.Primary)
	switch {
	case !c.Shard.Valid() || c.Epoch == 0:
		return bad("it does not exist")
	case c.Lost:
		if len(c.Members) > 0 || len(c.Suspended) > 0 || !c.Primary.IsZero() || c.Learner != (wire.Member{}) {
			return bad("it is lost and has holders")
		}
		return nil
	case !primary:
		return bad("its primary is not a member")
	case c.Has(c.Learner.Node):
		return bad("its learner is a member")
	case len(c.Suspended) > 0 && len(c.Members) >= wire.MinAck(c.Shard.Class()):
		return bad("nodes are suspended though enough members remain")
	}
	seen := map[holo.NodeID]bool{}
	for _, m := range slices.Concat(c.Members, c.Suspended) {
		if seen[m.Node] || !t.current(m) {
			return bad("a holder is named twice, or in a life that is over")
		}
		seen[m.Node] = true
	}
	return nil
}
