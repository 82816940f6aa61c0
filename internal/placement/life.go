package placement

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Register seats an incarnation. One that is already seated comes back to
// life with its memory; a new one means that the old one's memory is gone, so
// the node leaves every configuration, suspended lists included. MUST only be
// proposed after the old incarnation's lease has run out. The shards left
// without any holder are returned.
func (t *Table) Register(cmd *wire.NodeRegister) (lost []holo.ShardID, err error) {
	i, ok := t.find(cmd.Node)
	if !ok {
		return nil, notSeated("register", cmd.Node)
	}
	s := &t.seats[i]
	if err := checkLife("register", s, cmd.Life); err != nil {
		return nil, err
	}
	if cmd.Incarnation == 0 || slices.Contains(s.Retired, cmd.Incarnation) {
		return nil, holo.Refuse(holo.Stale, ReasonStaleLife, "register node %s: incarnation %x is over", cmd.Node, uint64(cmd.Incarnation))
	}
	if s.Incarnation == cmd.Incarnation && s.Alive {
		return nil, nil
	}
	if s.Incarnation != cmd.Incarnation {
		lost = t.vacate(cmd.Node, true)
		s.Retired = retire(s.Retired, s.Incarnation)
		s.Incarnation = cmd.Incarnation
	}
	s.Alive = true
	s.Life++
	t.revive(wire.Member{Node: s.Node, Incarnation: s.Incarnation})
	return lost, nil
}

// NodeDead marks an incarnation dead: its lease ran out, its memory may still
// be there. The node leaves the configurations that have other members.
func (t *Table) NodeDead(cmd *wire.NodeDead) error {
	i, ok := t.find(cmd.Node)
	if !ok {
		return notSeated("bury", cmd.Node)
	}
	s := &t.seats[i]
	if err := checkLife("bury", s, cmd.Life); err != nil {
		return err
	}
	if !s.Alive || s.Incarnation != cmd.Incarnation {
		return holo.Refuse(holo.Stale, ReasonStaleLife, "bury node %s: incarnation %x is not alive", cmd.Node, uint64(cmd.Incarnation))
	}
	s.Alive = false
	s.Life++
	t.vacate(cmd.Node, false)
	return nil
}

// retire remembers a past incarnation, the oldest forgotten first. The list is
// made anew because seats are handed out.
func retire(past []holo.Incarnation, inc holo.Incarnation) []holo.Incarnation {
	if inc == 0 {
		return past
	}
	past = append(slices.Clone(past), inc)
	return past[max(0, len(past)-wire.MaxRetired):]
}

func checkLife(what string, s *wire.Seat, life uint64) error {
	if s.Life != life {
		return holo.Refuse(holo.Stale, ReasonStaleLife, "%s node %s: stale life %d, now %d", what, s.Node, life, s.Life)
	}
	return nil
}

// vacate takes a node out of every configuration. Shards whose last copy went
// with its memory are Lost, and returned.
func (t *Table) vacate(node holo.NodeID, memoryGone bool) (lost []holo.ShardID) {
	for i := range t.slots {
		c := t.slots[i].Config
		if c.Epoch == 0 || c.Lost {
			continue
		}
		if t.withdraw(&c, node, memoryGone) {
			t.put(c)
		}
		if c.Lost {
			lost = append(lost, c.Shard)
		}
	}
	return lost
}

// withdraw changes one configuration and reports whether it did.
func (t *Table) withdraw(c *wire.ShardConfig, node holo.NodeID, memoryGone bool) (changed bool) {
	if c.Learner.Node == node && c.Learner != (wire.Member{}) {
		dropLearner(c)
		changed = true
	}
	if memoryGone && has(c.Suspended, node) {
		c.Suspended = without(c.Suspended, node)
		changed = true
	}
	gone, ok := c.Member(node)
	if !ok {
		return changed
	}
	rest := without(c.Members, node)
	if len(rest) == 0 {
		back, ok := t.fallback(c, memoryGone)
		if !ok {
			return t.strand(c, memoryGone) || changed
		}
		rest = []wire.Member{back}
		c.Suspended = without(c.Suspended, back.Node)
	}
	if !memoryGone && len(rest) < wire.MinAck(c.Shard.Class()) {
		c.Suspended = with(c.Suspended, gone)
	}
	t.advance(c, rest)
	return true
}

// fallback finds the suspended node that becomes the sole member again. It
// holds every acknowledged write, for nothing was acknowledged without it. A
// dead one will do when the member's memory is gone: it may come back.
func (t *Table) fallback(c *wire.ShardConfig, memoryGone bool) (wire.Member, bool) {
	if i := slices.IndexFunc(c.Suspended, t.living); i >= 0 {
		return c.Suspended[i], true
	}
	if memoryGone && len(c.Suspended) > 0 {
		return c.Suspended[0], true
	}
	return wire.Member{}, false
}

// strand leaves a shard without anybody to turn to. While the sole member's
// memory may be there it stays the member, and the shard waits for it.
func (t *Table) strand(c *wire.ShardConfig, memoryGone bool) bool {
	if !memoryGone {
		return false
	}
	c.Lost = true
	c.Epoch++
	c.Members, c.Primary = nil, holo.NodeID{}
	if c.Learner != (wire.Member{}) {
		dropLearner(c)
	}
	return true
}

// revive gives the shards whose sole member is dead back to a suspended node
// that lives again.
func (t *Table) revive(m wire.Member) {
	for i := range t.slots {
		c := t.slots[i].Config
		if c.Lost || len(c.Members) != 1 || t.living(c.Members[0]) || !slices.Contains(c.Suspended, m) {
			continue
		}
		c.Suspended = with(without(c.Suspended, m.Node), c.Members[0])
		t.advance(&c, []wire.Member{m})
		t.put(c)
	}
}

// advance starts the next epoch with other members. The primary stays when it
// can; otherwise the best ranked living member follows.
func (t *Table) advance(c *wire.ShardConfig, members []wire.Member) {
	c.Members = members
	c.Epoch++
	if c.Has(c.Learner.Node) {
		dropLearner(c)
	}
	if !c.Has(c.Primary) {
		c.Primary = t.successor(c)
	}
}

func (t *Table) successor(c *wire.ShardConfig) holo.NodeID {
	ws := make([]Weighted, 0, len(c.Members))
	for _, m := range c.Members {
		if t.living(m) {
			ws = append(ws, Weighted{m.Node, 1})
		}
	}
	if len(ws) == 0 {
		ws = append(ws, Weighted{c.Members[0].Node, 1})
	}
	return Rank(c.Shard, ws)[0]
}

func dropLearner(c *wire.ShardConfig) {
	c.Learner = wire.Member{}
	c.LearnerGen++
}

func has(ms []wire.Member, node holo.NodeID) bool {
	return slices.ContainsFunc(ms, func(m wire.Member) bool { return m.Node == node })
}

// with and without make new lists: those of a configuration are shared.
func with(ms []wire.Member, m wire.Member) []wire.Member { return append(slices.Clone(ms), m) }

func without(ms []wire.Member, node holo.NodeID) []wire.Member {
	var out []wire.Member
	for _, m := range ms {
		if m.Node != node {
			out = append(out, m)
		}
	}
	return out
}
