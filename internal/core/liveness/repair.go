package liveness

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/wire"
)

const (
	// maxLearners bounds the learners at work in the cluster, so that repair
	// leaves the links to the users: 64 snapshots of some MiB each.
	maxLearners = 64
	// learnerLeases is after how many leases a learner that was not promoted
	// gives way to another: a minute. The primary may not reach it.
	learnerLeases = 20
)

// drop is a primary's request to be rid of a member, waiting until every
// remaining member has answered a grant sent after the request.
type drop struct {
	cmd   wire.ShardShrink
	after uint64 // number of the last grant sent before the request
}

// stay is since when a learner has been at work.
type stay struct {
	gen uint64
	at  holo.Time
}

// choice is the learner that was proposed for a shard as it was. Until the catalogue
// has it, or a lease has passed, it counts as if it were there: two shards that chose
// one node in the same moment would not both fit.
type choice struct {
	epoch holo.Epoch
	gen   uint64
	node  holo.NodeID
	at    holo.Time
}

// coming is the learner that was proposed for a shard, if it is not there yet.
func (k *Keeper) coming(c *wire.ShardConfig) (id holo.NodeID, ok bool) {
	chosen, ok := k.chosen[c.Shard]
	if !ok || chosen.epoch != c.Epoch || chosen.gen != c.LearnerGen || c.Has(chosen.node) || c.Learner.Node == chosen.node {
		return id, false
	}
	return chosen.node, true
}

// serve answers the primaries' requests.
func (k *Keeper) serve(now holo.Time, view View) {
	t := view.Shards()
	requests := k.requests
	k.requests = nil
	for _, r := range requests {
		switch m := r.msg.(type) {
		case *wire.ShardShrink:
			if c := k.primary(t, r.from, m.By, m.Shard, m.Epoch); c != nil {
				k.shrink(now, view, c, m)
			}
		case *wire.ShardPromote:
			if c := k.primary(t, r.from, m.By, m.Shard, m.Epoch); c != nil && c.Learner == m.Learner && c.LearnerGen == m.Gen {
				k.propose(now, proposal{shard: m.Shard, node: m.Learner.Node, epoch: m.Epoch, gen: m.Gen}, m)
			}
		case *wire.ShardTransfer:
			if c := k.primary(t, r.from, m.By, m.Shard, m.Epoch); c != nil && c.Has(m.To) && c.Primary != m.To {
				k.propose(now, proposal{shard: m.Shard, node: m.To, epoch: m.Epoch}, m)
			}
		}
	}
}

// primary checks that who asks is the shard's primary in its registered life
// and knows the newest epoch. If not, it is told the configuration.
func (k *Keeper) primary(t *placement.Table, from holo.NodeID, by wire.Member, shard holo.ShardID, epoch holo.Epoch) *wire.ShardConfig {
	c, ok := t.Get(shard)
	inc, alive := t.Registered(from)
	if !ok || !alive || inc != by.Incarnation || from != by.Node {
		return nil
	}
	if c.Primary != from || c.Epoch != epoch {
		k.send(from, &wire.ConfigPush{Configs: []wire.ShardConfig{c}})
		return nil
	}
	return &c
}

// shrink replaces before it removes: below the floor a learner comes first,
// and the drop is remembered until it has become a member.
func (k *Keeper) shrink(now holo.Time, view View, c *wire.ShardConfig, m *wire.ShardShrink) {
	if m.Drop == c.Primary || !c.Has(m.Drop) {
		return
	}
	if len(c.Members)-1 < wire.MinAck(c.Shard.Class()) {
		k.wanted[c.Shard] = m.Drop
		if c.Learner == (wire.Member{}) {
			k.addLearner(now, view.Shards(), c, k.newLoads(now, view))
		}
		return
	}
	if d, waits := k.drops[c.Shard]; !waits || d.cmd.Epoch != c.Epoch {
		k.drops[c.Shard] = drop{cmd: *m, after: k.base + k.grants}
	}
}

// executeDrops proposes the drops for which the round trip is complete. A
// heartbeat alone proves nothing: it may have been sent before its sender
// died. An echo of a grant sent after the request proves that the remaining
// member was there after it.
func (k *Keeper) executeDrops(now holo.Time, t *placement.Table) {
	if len(k.drops) == 0 {
		return
	}
	for c := range t.All() {
		d, waits := k.drops[c.Shard]
		if !waits {
			continue
		}
		if d.cmd.Epoch != c.Epoch || c.Lost {
			delete(k.drops, c.Shard)
			continue
		}
		if k.remain(t, c, d) {
			k.propose(now, proposal{shard: c.Shard, node: d.cmd.Drop, epoch: c.Epoch}, &d.cmd)
		}
	}
}

func (k *Keeper) remain(t *placement.Table, c *wire.ShardConfig, d drop) bool {
	for _, m := range c.Members {
		if m.Node == d.cmd.Drop {
			continue
		}
		s, ok := t.Seat(m.Node)
		if !ok || !s.Alive || s.Incarnation != m.Incarnation || k.doomed(&s) || k.echo(m) <= d.after {
			return false
		}
	}
	return true
}

func (k *Keeper) echo(m wire.Member) uint64 {
	if r := k.nodes[m.Node]; r != nil {
		for _, l := range r.lives {
			if l.incarnation == m.Incarnation {
				return l.echo
			}
		}
	}
	return 0
}

// repair adds learners where copies are missing, the fewest copies first, of
// those first where the primary was lost, because readers may wait for the second
// copy there; and it hints at drops where there are too many.
func (k *Keeper) repair(now holo.Time, view View) {
	t := view.Shards()
	budget, moves := maxLearners, maxMoves
	var short, moving []*wire.ShardConfig
	for c := range t.All() {
		k.watchLearner(now, c)
		if len(c.Members) >= int(c.Shard.Class()) {
			k.homes[c.Shard] = c.Primary
		}
		switch {
		case c.Lost:
			delete(k.wanted, c.Shard)
		case c.Learner != wire.Member{}:
			budget--
			moves--
			if k.stuck(now, c) {
				short = append(short, c)
			}
		case len(c.Members) < int(c.Shard.Class()):
			short = append(short, c)
		case len(k.moving(now, t, c)) > 0:
			if k.relieve(now, t, c, k.moving(now, t, c)) {
				moving = append(moving, c)
			}
		case len(c.Members) > int(c.Shard.Class()):
			k.trim(now, c)
		}
	}
	if len(short) == 0 { // who has too few copies comes before who only moves
		short = moving[:min(len(moving), max(moves, 0))]
		k.balance(now, view)
	}
	k.cramped = Cramped{}
	if len(short) == 0 {
		return
	}
	slices.SortStableFunc(short, func(a, b *wire.ShardConfig) int { return k.urgency(a) - k.urgency(b) })
	loads := k.newLoads(now, view)
	for _, c := range short {
		if c.Learner == (wire.Member{}) && budget <= 0 {
			continue
		}
		if k.addLearner(now, t, c, loads) && c.Learner == (wire.Member{}) {
			budget-- // what nobody has room for keeps nobody from being helped
		}
	}
}

// urgency orders what is repaired: the least comes first.
func (k *Keeper) urgency(c *wire.ShardConfig) int {
	if home, known := k.homes[c.Shard]; known && home != c.Primary {
		return 2 * len(c.Members)
	}
	return 2*len(c.Members) + 1
}

func (k *Keeper) watchLearner(now holo.Time, c *wire.ShardConfig) {
	switch s, known := k.learners[c.Shard]; {
	case c.Learner == wire.Member{}:
		delete(k.learners, c.Shard)
	case !known || s.gen != c.LearnerGen:
		k.learners[c.Shard] = stay{c.LearnerGen, now}
	}
}

func (k *Keeper) stuck(now holo.Time, c *wire.ShardConfig) bool {
	return now.Sub(k.learners[c.Shard].at) > learnerLeases*k.timing.TTL
}

// addLearner proposes the least loaded candidate with room that is neither a
// member nor the present learner; ties go by chance, so that no unlucky choice
// repeats for ever. Where there is none, the present learner itself begins anew:
// what its copy lacks nobody else may have any more.
func (k *Keeper) addLearner(now holo.Time, t *placement.Table, c *wire.ShardConfig, loads *loads) (added bool) {
	before, ok := k.coming(c)
	id := before
	if !ok || !slices.Contains(loads.ids, id) {
		id, ok = k.choose(c, loads)
	}
	if !ok {
		k.cramped.count(loads, c)
		return false
	}
	inc, _ := t.Registered(id)
	if id != before {
		k.chosen[c.Shard] = choice{c.Epoch, c.LearnerGen, id, now}
		if id != c.Learner.Node {
			loads.copies[id]++
			loads.room.take(id, c.Shard)
		}
	}
	learner := wire.Member{Node: id, Incarnation: inc}
	k.propose(now, proposal{shard: c.Shard, node: id, epoch: c.Epoch, gen: c.LearnerGen},
		&wire.ShardLearner{Shard: c.Shard, Epoch: c.Epoch, Gen: c.LearnerGen, Learner: learner})
	return true
}

func (k *Keeper) choose(c *wire.ShardConfig, loads *loads) (id holo.NodeID, ok bool) {
	id, ok = k.moves[c.Shard].to, true
	if id.IsZero() || c.Has(id) || c.Learner.Node == id || !slices.Contains(loads.ids, id) {
		id, ok = loads.lightest(k, c)
	}
	if !ok && slices.Contains(loads.ids, c.Learner.Node) {
		return c.Learner.Node, true // nobody else: it begins anew, with another generation
	}
	return id, ok
}

// loads counts the copies that each candidate holds or is about to hold.
type loads struct {
	ids    []holo.NodeID
	weight map[holo.NodeID]uint64
	copies map[holo.NodeID]uint64
	room   *room
}

func (k *Keeper) newLoads(now holo.Time, view View) *loads {
	t := view.Shards()
	l := &loads{ids: k.candidates(now, t), weight: map[holo.NodeID]uint64{}, copies: map[holo.NodeID]uint64{}, room: k.newRoom(view)}
	for _, s := range t.Seats() {
		l.weight[s.Node] = max(s.Weight, 1)
	}
	for c := range t.All() {
		for _, m := range c.Members {
			l.copies[m.Node]++
		}
		if c.Learner != (wire.Member{}) {
			l.copies[c.Learner.Node]++
		}
		if id, ok := k.coming(c); ok {
			l.copies[id]++
		}
	}
	return l
}

func (l *loads) lightest(k *Keeper, c *wire.ShardConfig) (best holo.NodeID, ok bool) {
	ties := 0
	for _, id := range l.ids {
		if c.Has(id) || c.Learner.Node == id || !l.room.fits(id, c) {
			continue
		}
		mine, least := l.copies[id]*l.weight[best], l.copies[best]*l.weight[id]
		switch {
		case !ok || mine < least:
			best, ok, ties = id, true, 1
		case mine == least:
			if ties++; k.rng.IntN(ties) == 0 {
				best = id
			}
		}
	}
	return best, ok
}

// trim hints at a member too many: the one whose removal was wanted, else the
// one heard from longest ago. The primary turns the hint into a request, and
// the round trip makes sure that those who remain are there.
func (k *Keeper) trim(now holo.Time, c *wire.ShardConfig) {
	if at, ok := k.hinted[c.Shard]; ok && now.Sub(at) < k.timing.Beat {
		return
	}
	if _, waits := k.drops[c.Shard]; waits {
		return
	}
	k.hinted[c.Shard] = now
	k.send(c.Primary, &wire.ShrinkHint{Shard: c.Shard, Epoch: c.Epoch, Drop: k.superfluous(c)})
}

func (k *Keeper) superfluous(c *wire.ShardConfig) (drop holo.NodeID) {
	if id, ok := k.wanted[c.Shard]; ok && c.Has(id) && id != c.Primary {
		return id
	}
	delete(k.wanted, c.Shard)
	var longest holo.Time
	for _, m := range c.Members {
		heard, _ := k.Heard(m.Node, m.Incarnation)
		if m.Node != c.Primary && (drop.IsZero() || heard < longest) {
			drop, longest = m.Node, heard
		}
	}
	return drop
}
