package shard

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/invariant"
	"github.com/holocompute/holocompute/internal/wire"
)

// phase is how far a primary has come with one follower.
type phase uint8

const (
	sealing      phase = iota // a member that has not yet promised the epoch
	transferring              // a member or learner that is being made equal
	following                 // gets every entry
)

// follower is what a primary knows of one member or of the learner.
type follower struct {
	who    wire.Member
	phase  phase
	synced bool // a learner whose acknowledgement every commit waits for

	acked holo.Seq   // it holds everything up to here
	sent  holo.Seq   // sent up to here
	owes  holo.Seq   // sent up to here at some time, so that it owes an answer
	known holo.Seq   // it knows that everything up to here is committed
	told  holo.Seq   // was told so at some time
	epoch holo.Epoch // the newest that it answered in

	out     *outgoing // the transfer under way
	heard   holo.Time // when it last made progress, or began to owe some
	next    holo.Time // when to send again
	backoff holo.Duration
	asked   holo.Time // when something about it was last proposed
}

// leader is the primary's side of a replica, from taking over to stepping
// down: one activation.
type leader struct {
	activation uint64
	began      holo.Epoch // the epoch it took over in
	active     bool

	members []*follower
	learner *follower // gets a copy; nil: none
	gen     uint64    // of the learner

	first   holo.Seq // sequence number of entries[0]
	entries []*item  // that some follower may still need
	ended   int      // bytes of all entries of this activation
	held    holo.Seq // taken over below minAck: entries up to here may or may not have been acknowledged

	queue   []*request
	queued  map[opKey]*request
	handoff *handoff
	holds   []hold     // write leases that may still run
	barred  holo.Epoch // in this epoch a Transfer was proposed: no read leases
}

func (l *leader) member(who wire.Member) *follower {
	for _, f := range l.members {
		if f.who == who {
			return f
		}
	}
	return nil
}

// teaches reports whether who is the learner and in sync.
func (l *leader) teaches(who wire.Member) bool {
	return l.learner != nil && l.learner.who == who && l.learner.synced
}

// follower finds a member or the learner.
func (l *leader) follower(who wire.Member) *follower {
	if f := l.member(who); f != nil {
		return f
	}
	if l.learner != nil && l.learner.who == who {
		return l.learner
	}
	return nil
}

// each calls do for every follower that gets entries.
func (l *leader) each(do func(*follower)) {
	for _, f := range l.members {
		do(f)
	}
	if l.learner != nil {
		do(l.learner)
	}
}

// current checks that a follower's answer is to this activation, and finds the
// follower. An answer to an earlier activation of this same process counts
// entries that may since have been replaced, and an answer from another
// incarnation of the follower speaks of another memory (I12).
func (m *Machine) current(r *replica, who wire.Member, h *wire.ShardHead) *follower {
	if r.lead == nil || h.Epoch < r.lead.began || h.Epoch > r.promised {
		return nil
	}
	return r.lead.follower(who)
}

// progress notes that a follower did what it owed.
func (m *Machine) progress(now holo.Time, f *follower) {
	f.heard, f.backoff = now, m.timing.Resend
	f.next = now.Add(f.backoff)
}

// due reports whether to send to a follower again, and doubles the time to the
// next. Sixteen times is where waiting longer gains nothing.
func (m *Machine) due(now holo.Time, f *follower) bool {
	if now < f.next {
		return false
	}
	f.backoff = min(2*f.backoff, 16*m.timing.Resend)
	f.next = now.Add(f.backoff)
	return true
}

// mayAsk allows a proposal about a follower once per Resend.
func (m *Machine) mayAsk(now holo.Time, f *follower) bool {
	if f.asked != 0 && now.Sub(f.asked) < m.timing.Resend {
		return false
	}
	f.asked = now
	return true
}

// enlist brings the followers of an active primary in line with the
// configuration. A promoted learner keeps its state: it is in sync already.
func (m *Machine) enlist(now holo.Time, r *replica) {
	l, c := r.lead, &r.config
	members := make([]*follower, 0, len(c.Members))
	for _, who := range c.Members {
		if who.Node == m.self.Node {
			continue
		}
		f := l.follower(who)
		invariant.Check(f != nil, "shard %d: member %v of epoch %d is unknown to its primary", r.shard, who.Node, c.Epoch)
		members = append(members, f)
	}
	l.members = members
	if l.learner != nil && (l.learner.who != c.Learner || l.gen != c.LearnerGen) {
		l.learner = nil
	}
	if l.learner == nil && c.Learner.Incarnation != 0 && l.member(c.Learner) == nil && c.Learner.Node != m.self.Node {
		l.learner = &follower{who: c.Learner, phase: transferring}
		l.gen = c.LearnerGen
		m.progress(now, l.learner)
	}
	m.trim(r)
}

// trim forgets entries that every follower holds.
func (m *Machine) trim(r *replica) {
	l := r.lead
	need := r.commit
	l.each(func(f *follower) {
		if f.phase == following || f.out != nil {
			need = min(need, f.acked)
		}
	})
	for len(l.entries) > 0 && l.first <= need {
		m.logBytes -= l.entries[0].size
		l.entries[0] = nil
		l.entries = l.entries[1:]
		l.first++
	}
}

// stepDown ends an activation. What was queued is refused; what is in the tail
// may yet be committed by the next primary, so its outcome is unknown. Read
// leases stay: they end by time.
func (m *Machine) stepDown(r *replica) {
	l := r.lead
	if l == nil {
		return
	}
	r.lead = nil
	for _, it := range l.entries {
		m.logBytes -= it.size
	}
	for _, it := range r.tail.items {
		for _, w := range it.waiters {
			m.answer(Answer{ID: w.id, Err: holo.Refuse(holo.Indeterminate, "deposed",
				"write to shard %d: this node stopped being its primary before all members had it", r.shard)})
		}
		it.waiters = nil
	}
	for _, q := range l.queue {
		m.refuse(q.waiters, notPrimary(r))
	}
	m.event(SteppedDown, r, holo.NodeID{})
}

func (m *Machine) refuse(ids []uint64, err error) {
	for _, id := range ids {
		m.answer(Answer{ID: id, Err: err})
	}
}
