package liveness

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/wire"
)

// startRound asks for one verification for all heartbeats that wait. The round
// begins after they came: a leader elected later waits a full lease from a
// moment after they were sent. A round without an answer is given up after a
// lease, when its grants would be over anyway.
func (k *Keeper) startRound(now holo.Time) {
	if len(k.inRound) > 0 && now.Sub(k.roundAt) < k.timing.TTL {
		return
	}
	if len(k.waiting) == 0 || now.Sub(k.first) < k.timing.Batch {
		return
	}
	k.round++
	k.inRound, k.waiting = k.waiting, nil
	k.roundAt, k.verified = now, false
	k.out.VerifyRound = k.round
}

// release answers the heartbeats of a verified round.
func (k *Keeper) release(view View) {
	if !k.verified {
		return
	}
	beats := k.inRound
	k.inRound, k.verified = nil, false
	for _, b := range beats {
		if !k.condemned(b.from) && k.mayGrant(view, b) {
			k.grant(view, b)
		}
	}
}

// mayGrant: only to the registered incarnation, while it counts as alive and
// no death of it is proposed, and only when the view is as new as what the
// node knows.
func (k *Keeper) mayGrant(view View, b beat) bool {
	s, ok := view.Shards().Seat(b.from)
	return ok && s.Alive && s.Incarnation == b.hb.Incarnation && !k.doomed(&s) && b.hb.ConfigVersion <= view.Version()
}

func (k *Keeper) grant(view View, b beat) {
	k.grants++
	k.send(b.from, &wire.Grant{
		Incarnation: b.hb.Incarnation, Number: k.base + k.grants, Sent: b.hb.Sent, TTL: k.timing.TTL,
		ConfigVersion: view.Version(), AccessEpoch: view.AccessEpoch(), Configs: view.Shards().ChangedSince(b.hb.ConfigVersion),
	})
}

// checkLives proposes deaths, returns and new incarnations.
func (k *Keeper) checkLives(now holo.Time, t *placement.Table) {
	for i := range t.Seats() {
		s := &t.Seats()[i]
		over := !s.Alive || k.silent(now, s)
		next, ok := k.successor(now, s)
		switch {
		case ok && over:
			k.doom(now, s, &wire.NodeRegister{Node: s.Node, Incarnation: next, Life: s.Life})
		case s.Alive && (over || k.doomed(s)):
			k.doom(now, s, &wire.NodeDead{Node: s.Node, Incarnation: s.Incarnation, Life: s.Life})
		}
	}
}

// silent reports whether the registered incarnation's lease has run out for
// certain: nothing heard for Patience, and this keeper at work for that long.
func (k *Keeper) silent(now holo.Time, s *wire.Seat) bool {
	last := k.since
	if heard, ok := k.Heard(s.Node, s.Incarnation); ok {
		last = max(last, heard)
	}
	return now.Sub(last) > k.timing.Patience()
}

// successor is the incarnation that the seat should have: that which appeared
// last, if it still sends, was never retired, and is not what is seated
// already.
func (k *Keeper) successor(now holo.Time, s *wire.Seat) (holo.Incarnation, bool) {
	r := k.nodes[s.Node]
	if r == nil {
		return 0, false
	}
	for _, l := range slices.Backward(r.lives) {
		fresh := now.Sub(l.heard) <= k.timing.TTL && l.incarnation != 0 && !slices.Contains(s.Retired, l.incarnation)
		if fresh && (l.incarnation != s.Incarnation || !s.Alive) {
			return l.incarnation, true
		}
	}
	return 0, false
}

// condemned reports whether the node is about to be evicted: a heartbeat that
// came before gets no lease after.
func (k *Keeper) condemned(node holo.NodeID) bool {
	r := k.nodes[node]
	return r != nil && k.lastTick < r.condemned
}

// doomed reports whether the end of the seat's life has been proposed. The
// proposal may be committed at any time from then on, so no lease is granted
// until the life has ended, whatever is heard.
func (k *Keeper) doomed(s *wire.Seat) bool {
	r := k.nodes[s.Node]
	return r != nil && r.doomed && r.doomedLife == s.Life
}

func (k *Keeper) doom(now holo.Time, s *wire.Seat, msg wire.Message) {
	r := k.record(s.Node)
	r.doomed, r.doomedLife = true, s.Life
	k.propose(now, proposal{node: s.Node, gen: s.Life}, msg)
}
