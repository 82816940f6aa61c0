package shard

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// tickLearner brings a learner forward: a snapshot, then every entry, and when
// it holds all that is committed, the proposal to make it a member. From the
// snapshot's acknowledgement on it is synchronous: every commit waits for it,
// before the promotion is proposed and whatever becomes of the proposal. So who
// enters the members holds everything acknowledged (I4).
func (m *Machine) tickLearner(now holo.Time, r *replica, f *follower) {
	switch {
	case f.out == nil && f.phase == transferring: // begins when it is its turn (teach)
	case f.phase == transferring && m.logBytes >= m.limits.LogBytes && now.Sub(f.heard) > m.timing.SlowMember:
		f.out = nil // it is silent, and the entries kept for it fill the log
		m.trim(r)
	case f.phase == transferring && m.due(now, f):
		m.resendTransfer(r, f)
	case f.synced:
		m.nudge(now, r, f)
		if f.acked >= r.commit && m.mayAsk(now, f) {
			m.propose(&wire.ShardPromote{Shard: r.shard, Epoch: r.config.Epoch, By: m.self, Learner: f.who, Gen: r.lead.gen})
		}
	}
}

// teach begins to copy to learners, a few at a time, so that each is finished
// soon instead of all of them late. First come those for whom reads wait: of a
// shard that was taken over with too few members, the pages last written are held
// back until there is a second copy. A copy that makes no progress stands in
// nobody's way.
func (m *Machine) teach(now holo.Time) {
	var waiting, later []*replica
	free := m.limits.Copies
	for _, r := range m.replicas {
		if r == nil || r.lead == nil || !r.lead.active || r.lead.learner == nil || r.lead.learner.phase != transferring {
			continue
		}
		switch f := r.lead.learner; {
		case f.out != nil:
			if now.Sub(f.heard) <= m.timing.SlowMember {
				free--
			}
		case r.commit < r.lead.held:
			waiting = append(waiting, r)
		default:
			later = append(later, r)
		}
	}
	for _, r := range append(waiting, later...) {
		if free--; free < 0 {
			return
		}
		m.progress(now, r.lead.learner)
		m.startTransfer(r, r.lead.learner, 0)
	}
}

func (m *Machine) onSnapAck(now holo.Time, r *replica, who wire.Member, msg *wire.SnapAck) {
	f := m.current(r, who, msg.Head())
	if f == nil || f != r.lead.learner || msg.Gen != r.lead.gen || f.phase != transferring || f.out == nil || f.out.stream != msg.Stream {
		return
	}
	if !msg.Done {
		m.feedTransfer(now, r, f, msg.Stream, msg.Next)
		return
	}
	f.phase, f.synced, f.out = following, true, nil
	m.progress(now, f)
	m.touch(r)
}

// onSnap takes the chunks of a snapshot, as a learner. A member's copy is never
// replaced by one, nor that of a later generation or of a later stream: they
// may be complete and acknowledged already.
func (m *Machine) onSnap(r *replica, who wire.Member, msg *wire.Snap) {
	if !r.foreseen(m.self, msg) {
		return
	}
	key := streamKey{msg.Gen, msg.Started, msg.Stream}
	ack := &wire.SnapAck{ShardHead: m.head(r, who), Gen: msg.Gen, Stream: msg.Stream}
	ack.Epoch = msg.Epoch
	switch c := key.compare(r.learned); {
	case c < 0:
		return
	case c == 0:
		ack.Done = true
		m.send(who, ack)
		return
	}
	if r.incoming != nil && key.compare(r.incoming.key) > 0 {
		r.incoming = nil // of a stream that nobody goes on with
	}
	if !m.arrives(r, &msg.Transfer) {
		m.event(NoRoom, r, who.Node) // sent again later, or to another node
		return
	}
	in := r.receive(who, msg.Gen, &msg.Transfer)
	if in == nil {
		return
	}
	if in.arrival == 0 {
		m.arrivals++
		in.arrival = m.arrivals
	}
	if ack.Next = in.next; in.complete {
		m.learn(r, who, msg.Epoch, in)
		ack.Done = true
	}
	m.send(who, ack)
}

// foreseen reports whether the configuration says that this node learns, and
// whether the snapshot's numbers are possible. Higher ones would stand in the way
// of every later snapshot.
func (r *replica) foreseen(self wire.Member, msg *wire.Snap) bool {
	return r.config.Learner == self && msg.Gen == r.config.LearnerGen && msg.Started <= msg.Epoch
}

// learn puts a complete snapshot in place of whatever the copy held. Until this
// moment the old copy was untouched: a suspended node may be all that is left.
func (m *Machine) learn(r *replica, who wire.Member, e holo.Epoch, in *incoming) {
	r.incoming = nil
	r.table = r.table.emptied()
	r.reconcile(in)
	r.promised, r.reconciled, r.primary, r.sealed = e, e, who, false
	r.learned = in.key
	m.event(Learned, r, who.Node)
}
