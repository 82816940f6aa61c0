package placement

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Create makes all shards of a class. Members are proposed by rendezvous rank
// over the living nodes and held to each node's fair share, so that any run of
// consecutive shards, which is what an array lies on, is spread within about
// one shard per node; plain rendezvous would fill one node of three 10 % above
// its share too often for an array that nearly fills them all.
func (t *Table) Create(class holo.Class) error {
	plan, err := t.Plan(class)
	for _, c := range plan {
		t.put(c)
	}
	return err
}

// Plan is what Create would make.
func (t *Table) Plan(class holo.Class) ([]wire.ShardConfig, error) {
	nodes := t.Open()
	switch {
	case !class.Valid():
		return nil, holo.Errorf(holo.Invalid, "create shards: %d copies, want 1 to %d", class, holo.MaxClass)
	case t.HasClass(class):
		return nil, holo.Errorf(holo.Exists, "create shards: class %d exists", class)
	case len(nodes) < wire.MinAck(class):
		return nil, holo.Refuse(holo.Unavailable, ReasonFloor, "create shards of %d copies: %d nodes live and do not drain, %d needed", class, len(nodes), wire.MinAck(class))
	}
	plan := make([]wire.ShardConfig, holo.ShardCount)
	copies, primaries := newShares(nodes), newShares(nodes)
	for n := range plan {
		shard := holo.MakeShardID(class, uint64(n))
		chosen := copies.pick(Rank(shard, nodes), min(int(class), len(nodes)))
		plan[n] = wire.ShardConfig{Shard: shard, Epoch: 1, Primary: primaries.pick(chosen, 1)[0], Members: t.members(chosen)}
	}
	return plan, nil
}

func (t *Table) members(nodes []holo.NodeID) []wire.Member {
	ms := make([]wire.Member, len(nodes))
	for i, id := range nodes {
		s, _ := t.Seat(id)
		ms[i] = wire.Member{Node: id, Incarnation: s.Incarnation}
	}
	return ms
}

// shares deals places out in proportion to weight: at each step a node's fair
// share grows, and nodes at or below theirs go first.
type shares struct {
	total uint64
	dealt uint64 // places dealt so far
	node  map[holo.NodeID]*share
}

type share struct{ weight, held uint64 }

func newShares(nodes []Weighted) *shares {
	s := &shares{node: make(map[holo.NodeID]*share, len(nodes))}
	for _, n := range nodes {
		s.total += n.Weight
		s.node[n.Node] = &share{weight: n.Weight}
	}
	return s
}

// pick takes n of the ranked nodes: first those within their share, then the
// least loaded, in rank order among equals.
func (s *shares) pick(ranked []holo.NodeID, n int) []holo.NodeID {
	s.dealt += uint64(n)
	chosen := make([]holo.NodeID, 0, n)
	for _, id := range ranked {
		if h := s.node[id]; len(chosen) < n && h.held*s.total <= h.weight*s.dealt {
			chosen = s.take(chosen, id)
		}
	}
	for len(chosen) < n {
		chosen = s.take(chosen, s.leastLoaded(ranked, chosen))
	}
	return chosen
}

func (s *shares) take(chosen []holo.NodeID, id holo.NodeID) []holo.NodeID {
	s.node[id].held++
	return append(chosen, id)
}

func (s *shares) leastLoaded(ranked, except []holo.NodeID) (best holo.NodeID) {
	for _, id := range ranked {
		if contains(except, id) {
			continue
		}
		if best.IsZero() || s.node[id].held*s.node[best].weight < s.node[best].held*s.node[id].weight {
			best = id
		}
	}
	return best
}

func contains(ids []holo.NodeID, id holo.NodeID) bool {
	for _, x := range ids {
		if x == id {
			return true
		}
	}
	return false
}

// SetLearner names the node that is to become a member, or none. The learner
// may be suspended: it MUST then keep what it holds until the snapshot is
// complete, for it may yet have to become the sole member again.
func (t *Table) SetLearner(cmd *wire.ShardLearner) error {
	c, err := t.at("set learner", cmd.Shard, cmd.Epoch)
	switch {
	case err != nil:
		return err
	case c.LearnerGen != cmd.Gen:
		return holo.Refuse(holo.Stale, ReasonStaleEpoch, "set learner of shard %d: stale generation %d, now %d", cmd.Shard, cmd.Gen, c.LearnerGen)
	case cmd.Learner == wire.Member{}:
		dropLearner(&c)
		t.put(c)
		return nil
	case c.Has(cmd.Learner.Node):
		return holo.Errorf(holo.Invalid, "set learner of shard %d: node %s is a member", cmd.Shard, cmd.Learner.Node)
	case !t.living(cmd.Learner):
		return holo.Refuse(holo.Stale, ReasonStaleLife, "set learner of shard %d: node %s is not alive in incarnation %x", cmd.Shard, cmd.Learner.Node, uint64(cmd.Learner.Incarnation))
	}
	c.Learner = cmd.Learner
	c.LearnerGen++
	t.put(c)
	return nil
}

// Promote makes the learner a member. The primary asks for it when the learner
// is synchronous; incarnation and generation must be those named, or a process
// that restarted would enter with empty memory.
func (t *Table) Promote(cmd *wire.ShardPromote) error {
	c, err := t.by("promote learner", cmd.Shard, cmd.Epoch, cmd.By)
	switch {
	case err != nil:
		return err
	case cmd.Learner == wire.Member{} || c.Learner != cmd.Learner || c.LearnerGen != cmd.Gen:
		return holo.Refuse(holo.Stale, ReasonStaleEpoch, "promote learner of shard %d: node %s of generation %d is not the learner", cmd.Shard, cmd.Learner.Node, cmd.Gen)
	case !t.current(cmd.Learner):
		return holo.Refuse(holo.Stale, ReasonStaleLife, "promote learner of shard %d: node %s has another incarnation", cmd.Shard, cmd.Learner.Node)
	}
	c.Learner = wire.Member{}
	t.advance(&c, with(c.Members, cmd.Learner))
	if len(c.Members) >= wire.MinAck(cmd.Shard.Class()) {
		c.Suspended = nil
	}
	t.put(c)
	return nil
}

// Shrink drops a member that is not the primary, never below the floor: a
// member is replaced before it is removed.
func (t *Table) Shrink(cmd *wire.ShardShrink) error {
	c, err := t.by("shrink", cmd.Shard, cmd.Epoch, cmd.By)
	switch {
	case err != nil:
		return err
	case cmd.Drop == c.Primary || !c.Has(cmd.Drop):
		return holo.Refuse(holo.Invalid, ReasonNotMember, "shrink shard %d: node %s is the primary or no member", cmd.Shard, cmd.Drop)
	case len(c.Members)-1 < wire.MinAck(cmd.Shard.Class()):
		return holo.Refuse(holo.Unavailable, ReasonFloor, "shrink shard %d: %d members would be left, at least %d", cmd.Shard, len(c.Members)-1, wire.MinAck(cmd.Shard.Class()))
	}
	t.advance(&c, without(c.Members, cmd.Drop))
	t.put(c)
	return nil
}

// Transfer makes another living member the primary, at the primary's request.
func (t *Table) Transfer(cmd *wire.ShardTransfer) error {
	c, err := t.by("transfer", cmd.Shard, cmd.Epoch, cmd.By)
	if err != nil {
		return err
	}
	to, ok := c.Member(cmd.To)
	if !ok || !t.living(to) {
		return holo.Refuse(holo.Invalid, ReasonNotMember, "transfer shard %d: node %s is not a living member", cmd.Shard, cmd.To)
	}
	c.Primary = to.Node
	t.advance(&c, c.Members)
	t.put(c)
	return nil
}

// Recover gives a Lost shard new and empty members. The caller MUST have
// recorded which arrays lost data with it: they read as DataLost for ever.
func (t *Table) Recover(shard holo.ShardID) error {
	c, ok := t.Get(shard)
	nodes := t.Open()
	switch {
	case !ok || !c.Lost:
		return holo.Errorf(holo.Invalid, "recover shard %d: it is not lost", shard)
	case len(nodes) == 0:
		return holo.Refuse(holo.Unavailable, ReasonFloor, "recover shard %d: no node is alive", shard)
	}
	ranked := Rank(shard, nodes)
	t.advance(&c, t.members(ranked[:min(len(ranked), int(shard.Class()))]))
	c.Lost = false
	t.put(c)
	return nil
}

// at finds a configuration by compare-and-set.
func (t *Table) at(what string, shard holo.ShardID, epoch holo.Epoch) (wire.ShardConfig, error) {
	c, ok := t.Get(shard)
	switch {
	case !ok:
		return c, holo.Errorf(holo.NotFound, "%s of shard %d: no such shard", what, shard)
	case c.Epoch != epoch:
		return c, holo.Refuse(holo.Stale, ReasonStaleEpoch, "%s of shard %d: stale epoch %d, now %d", what, shard, epoch, c.Epoch)
	case c.Lost:
		return c, holo.Refuse(holo.DataLost, ReasonLost, "%s of shard %d: no holder is left", what, shard)
	}
	return c, nil
}

// by is at for what only the primary may ask, in the life it is registered in.
func (t *Table) by(what string, shard holo.ShardID, epoch holo.Epoch, by wire.Member) (wire.ShardConfig, error) {
	c, err := t.at(what, shard, epoch)
	if err != nil {
		return c, err
	}
	if c.Primary != by.Node || !t.current(by) {
		return c, holo.Refuse(holo.Stale, ReasonStaleLife, "%s of shard %d: node %s is not its primary", what, shard, by.Node)
	}
	return c, nil
}
