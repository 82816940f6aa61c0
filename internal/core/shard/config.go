package shard

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Grant gives the node lease and the configurations that it was granted under,
// in one step: a lease without its configuration would make a deposed primary
// legal again (I13). until is on this node's own clock, counted from when it
// asked.
func (m *Machine) Grant(now holo.Time, until holo.Time, configs []wire.ShardConfig) {
	m.Configure(now, configs)
	if !m.held || until > m.lease {
		m.lease, m.held = until, true
	}
}

// Drop gives the node lease up at once: after a suspend the monotonic clock
// may have stood still.
func (m *Machine) Drop() { m.held = false }

// Configure takes configurations, in any order; what is older than what is
// known is ignored.
func (m *Machine) Configure(now holo.Time, configs []wire.ShardConfig) {
	for i := range configs {
		if c := &configs[i]; c.Shard.Valid() && c.Epoch > 0 {
			m.configure(now, m.replica(c.Shard), c)
		}
	}
}

// newer reports whether c is news: a later epoch, or a later learner in the
// same epoch. Raft makes one configuration per epoch and generation (I1), so
// equal numbers mean equal configurations.
func newer(c, known *wire.ShardConfig) bool {
	return c.Epoch > known.Epoch || c.Epoch == known.Epoch && c.LearnerGen > known.LearnerGen
}

func (m *Machine) configure(now holo.Time, r *replica, c *wire.ShardConfig) {
	if !newer(c, &r.config) {
		return
	}
	before := r.config
	r.config = *c
	if before.Learner == m.self && m.seated(c) {
		m.promoted(r)
	}
	m.seat(now, r)
	if in := r.incoming; in != nil && in.arrival > 0 && (c.Learner != m.self || c.LearnerGen != in.key.gen) {
		r.incoming = nil // nobody will send the rest
	}
	switch {
	case c.Lost:
		m.stepDown(r)
		r.forget() // what a copy left over still has must not come back with a recovered shard
	case !m.leads(c):
		m.follow(r)
	case r.lead != nil && r.lead.active && m.continues(r, &before):
		m.carryOn(now, r)
	case r.lead != nil && c.Epoch == before.Epoch:
		// Taking over, and only the learner changed: it is served afterwards.
	default:
		m.takeOver(now, r)
	}
	m.catchUp(now, r)
}

// promoted tells that there is one more copy that counts. Pages that nobody else
// held are committed only now.
func (m *Machine) promoted(r *replica) {
	pages := len(r.table.pages)
	for id := range r.tail.pages {
		if _, too := r.table.pages[id]; !too {
			pages++
		}
	}
	m.event(Promoted, r, r.primary.Node)
	m.out.Events[len(m.out.Events)-1].Pages = pages
}

// follow makes the replica no primary. As a member it promises the epoch:
// nothing older can be acknowledged here any more (I2).
func (m *Machine) follow(r *replica) {
	m.stepDown(r)
	if m.seated(&r.config) && r.config.Epoch > r.promised {
		r.promised = r.config.Epoch
	}
}

// continues reports whether this primary may go on without a pause. It must
// not have missed an epoch, in which somebody else may have been primary, and
// every member must be one it has fed before.
func (m *Machine) continues(r *replica, before *wire.ShardConfig) bool {
	if r.config.Epoch > before.Epoch+1 || before.Primary != m.self.Node {
		return false
	}
	for _, who := range r.config.Members {
		if who.Node != m.self.Node && r.lead.member(who) == nil && !r.lead.teaches(who) {
			return false
		}
	}
	return true
}

// carryOn goes on as primary under a new epoch or with another learner.
func (m *Machine) carryOn(now holo.Time, r *replica) {
	r.promised = max(r.promised, r.config.Epoch)
	r.reconciled = r.promised
	m.enlist(now, r)
	m.advance(now, r)
	m.touch(r)
}

// seat notes when a configuration leaves this node out, and when it does not.
// A suspended node keeps its memory: it may be all that is left of the shard.
func (m *Machine) seat(now holo.Time, r *replica) {
	c := &r.config
	named := m.seated(c) || c.Learner == m.self
	for _, who := range c.Suspended {
		named = named || who == m.self
	}
	if named {
		r.outside = false
	} else if !r.outside {
		r.outside, r.left = true, now
	}
}

// collect frees the memory of a shard that this node was left out of for the
// grace period. Nothing can make it a member again without a snapshot.
func (m *Machine) collect(now holo.Time, r *replica) {
	if !r.outside || now.Sub(r.left) < m.timing.Grace || r.seq == 0 && r.incoming == nil {
		return
	}
	r.forget()
	m.event(Collected, r, holo.NodeID{})
}

// forget makes the replica as empty as that of a shard just created.
func (r *replica) forget() {
	r.table, r.tail, r.incoming = r.table.emptied(), newTail(), nil
	r.seq, r.commit, r.primary, r.sealed = 0, 0, wire.Member{}, false
}
