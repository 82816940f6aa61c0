package liveness

import (
	"iter"
	"maps"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/wire"
)

// handoffPatience is after how many leases a primary that did not give its shard
// away is taken for one that will not: longer than it tries (shard.Timing).
const handoffPatience = 3

// move is a copy, or only the lead, that goes from one node to another so that
// both hold what their weights say.
type move struct {
	from, to holo.NodeID
	at       holo.Time
}

// balance evens out what the nodes hold: copies first, and where those are even
// who is primary. A node that has just joined, that is back after a death or is
// used again after a drain comes to hold its share, at most maxMoves shards at a
// time and only while nothing else is to be moved. It begins where a node has a
// quarter more than another by their weights, and ends where no move makes both
// more even, so that the chance in a placement costs nothing.
func (k *Keeper) balance(now holo.Time, view View) {
	t, room := view.Shards(), k.newRoom(view)
	maps.DeleteFunc(k.leads, func(s holo.ShardID, m move) bool {
		c, ok := t.Get(s)
		return !ok || c.Primary != m.from || now.Sub(m.at) > handoffPatience*k.timing.TTL
	})
	settled := k.settled(now, t)
	for class := holo.Class(1); class <= holo.MaxClass; class++ {
		e := &k.uneven[class]
		if !t.HasClass(class) {
			*e = uneven{}
			continue
		}
		e.copies = settled.weigh(t.All(), class, k.holders).level(e.copies, func(from, to holo.NodeID) bool {
			return len(k.moves) < maxMoves && k.moveCopy(now, t, room, class, from, to)
		})
		if len(k.moves) == 0 {
			e.leads = settled.weigh(t.All(), class, k.leaders).level(e.leads, func(from, to holo.NodeID) bool {
				return len(k.leads) < maxMoves && k.moveLead(now, t, class, from, to)
			})
		}
	}
}

// EvenOut begins to even out, also what is less than a quarter uneven, and takes
// every node that was heard so far for one that stays. What else bounds it does
// not change: one request more moves nothing faster.
func (k *Keeper) EvenOut(now holo.Time) {
	k.settledBy = now
	for class := range k.uneven {
		k.uneven[class] = uneven{true, true}
	}
}

// uneven is what of a class is being evened out.
type uneven struct{ copies, leads bool }

// holders are the members of a shard, and leaders its primary, once what is on its
// way has arrived.
func (k *Keeper) holders(c *wire.ShardConfig) (ids []holo.NodeID) {
	going := k.moves[c.Shard]
	for _, m := range c.Members {
		if m.Node != going.from {
			ids = append(ids, m.Node)
		}
	}
	if !going.to.IsZero() && !c.Has(going.to) {
		ids = append(ids, going.to)
	}
	return ids
}

func (k *Keeper) leaders(c *wire.ShardConfig) []holo.NodeID {
	for _, going := range []move{k.moves[c.Shard], k.leads[c.Shard]} {
		if going.from == c.Primary {
			return []holo.NodeID{going.to}
		}
	}
	return []holo.NodeID{c.Primary}
}

// scale is what nodes hold of a class, and their weights.
type scale struct {
	ids    []holo.NodeID
	weight map[holo.NodeID]uint64
	load   map[holo.NodeID]uint64
}

// settled are the nodes that take on more and have been heard for so long that
// they are not about to go again, or were there when somebody asked.
func (k *Keeper) settled(now holo.Time, t *placement.Table) *scale {
	s := &scale{weight: map[holo.NodeID]uint64{}}
	for _, id := range k.candidates(now, t) {
		seat, _ := t.Seat(id)
		if l := k.record(id).life(seat.Incarnation); now.Sub(l.since) >= k.timing.Settle || l.since <= k.settledBy {
			s.ids = append(s.ids, id)
			s.weight[id] = max(seat.Weight, 1)
		}
	}
	return s
}

// weigh counts what the shards of a class put on the nodes.
func (s *scale) weigh(shards iter.Seq[*wire.ShardConfig], class holo.Class, what func(*wire.ShardConfig) []holo.NodeID) *scale {
	s.load = map[holo.NodeID]uint64{}
	for c := range shards {
		if c.Shard.Class() == class && !c.Lost {
			for _, id := range what(c) {
				s.load[id]++
			}
		}
	}
	return s
}

// level moves things from the fullest node to the emptiest, and reports whether it
// is not even yet. Where do finds nothing to move there, as where a node has no room,
// the next is the emptiest. Unless it is under way already it begins only at a quarter.
func (s *scale) level(begun bool, do func(from, to holo.NodeID) bool) (left bool) {
	takes := slices.Clone(s.ids)
	for len(takes) > 0 {
		from, to := s.fullest(), s.emptiest(takes)
		full, empty := s.load[from]*s.weight[to], (s.load[to]+1)*s.weight[from]
		if from == to || full <= empty || !begun && 4*full <= 5*empty {
			return left
		}
		if !do(from, to) {
			left = true
			takes = slices.DeleteFunc(takes, func(id holo.NodeID) bool { return id == to })
			continue
		}
		begun = true
		s.load[from]--
		s.load[to]++
	}
	return left
}

// fullest is the node that holds most by its weight, and emptiest the one of some
// that holds least.
func (s *scale) fullest() (full holo.NodeID) {
	for i, id := range s.ids {
		if i == 0 || s.load[id]*s.weight[full] > s.load[full]*s.weight[id] {
			full = id
		}
	}
	return full
}

func (s *scale) emptiest(of []holo.NodeID) holo.NodeID {
	empty := of[0]
	for _, id := range of {
		if s.load[id]*s.weight[empty] < s.load[empty]*s.weight[id] {
			empty = id
		}
	}
	return empty
}

// moveCopy begins to move a copy of some shard of the class that there is room
// for, rather one that is no primary. Where none can be moved it reports false.
func (k *Keeper) moveCopy(now holo.Time, t *placement.Table, room *room, class holo.Class, from, to holo.NodeID) bool {
	if now < k.paced {
		return false
	}
	var found *wire.ShardConfig
	for c := range t.All() {
		if c.Shard.Class() == class && k.still(t, c) && c.Has(from) && !c.Has(to) && room.fits(to, c) && (found == nil || found.Primary == from && c.Primary != from) {
			found = c
		}
	}
	if found == nil {
		return false
	}
	k.moves[found.Shard] = move{from, to, now}
	room.take(to, found.Shard)
	k.pace(now, room.sizes.Bytes(found.Shard))
	return true
}

// pace has the next copy wait until this one is paid for at MoveRate, so that in
// any span of time no more is moved than the rate allows and one copy.
func (k *Keeper) pace(now holo.Time, bytes uint64) {
	if rate := k.timing.MoveRate; rate > 0 {
		k.paced = now.Add(holo.Duration(float64(bytes) / float64(rate) * float64(holo.Second)))
	}
}

// moveLead asks the primary of some shard of the class to give it away.
func (k *Keeper) moveLead(now holo.Time, t *placement.Table, class holo.Class, from, to holo.NodeID) bool {
	for c := range t.All() {
		if c.Shard.Class() == class && k.still(t, c) && c.Primary == from && c.Has(to) {
			k.leads[c.Shard] = move{from, to, now}
			k.send(from, &wire.Handoff{Shard: c.Shard, To: to})
			return true
		}
	}
	return false
}

// still reports whether nothing else is being done to a shard.
func (k *Keeper) still(t *placement.Table, c *wire.ShardConfig) bool {
	_, moves := k.moves[c.Shard]
	_, leads := k.leads[c.Shard]
	return !moves && !leads && !c.Lost && c.Learner == (wire.Member{}) && len(c.Members) == int(c.Shard.Class()) && len(t.Leaving(c)) == 0
}

// moving is from which members a shard is to be moved: those that drain, and the
// one whose copy is moved to where there is less. A move that cannot be finished
// is forgotten: a copy too many is trimmed.
func (k *Keeper) moving(now holo.Time, t *placement.Table, c *wire.ShardConfig) []holo.NodeID {
	leaving := t.Leaving(c)
	m, ok := k.moves[c.Shard]
	switch {
	case !ok:
		return leaving
	case !c.Has(m.from) || len(leaving) > 0 || now.Sub(m.at) > learnerLeases*k.timing.TTL:
		delete(k.moves, c.Shard)
		return leaving
	}
	return []holo.NodeID{m.from}
}
