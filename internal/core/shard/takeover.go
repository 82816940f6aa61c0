package shard

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// takeOver begins an activation: every member must promise the new epoch and
// be made equal before anything is served. The tail of this replica becomes
// part of the history; what other members hold above their watermark does not,
// unless it is here too.
func (m *Machine) takeOver(now holo.Time, r *replica) {
	m.stepDown(r)
	m.activations++
	r.promised, r.sealed, r.incoming = r.config.Epoch, false, nil
	r.lead = &leader{activation: m.activations, began: r.config.Epoch, queued: map[opKey]*request{}}
	for _, who := range r.config.Members {
		if who.Node != m.self.Node {
			f := &follower{who: who}
			m.progress(now, f)
			r.lead.members = append(r.lead.members, f)
			m.seal(r, f)
		}
	}
	m.event(TookOver, r, holo.NodeID{})
	m.tryActivate(now, r)
}

func (m *Machine) seal(r *replica, f *follower) {
	m.send(f.who, &wire.Seal{ShardHead: m.head(r, f.who)})
}

// tickTakeover sends again, and asks to be rid of members that do not answer:
// only the control plane may decide that a member is gone.
func (m *Machine) tickTakeover(now holo.Time, r *replica) {
	for _, f := range r.lead.members {
		if f.phase == following {
			continue
		}
		if m.due(now, f) {
			if f.phase == sealing {
				m.seal(r, f)
			} else {
				m.resendTransfer(r, f)
			}
		}
		m.proposeShrink(now, r, f)
	}
}

// onSealAck starts to make a member equal: it gets everything above its
// watermark. What it knows to be committed is, so this replica commits it too;
// as a member of the epoch that committed it, it holds it (I5).
func (m *Machine) onSealAck(now holo.Time, r *replica, who wire.Member, msg *wire.SealAck) {
	f := m.current(r, who, msg.Head())
	if f == nil || r.lead.active || msg.Epoch != r.promised || f.phase != sealing {
		return
	}
	if msg.Commit > r.seq {
		m.event(IgnoredMessage, r, who.Node) // no member can know more than this one as committed
		return
	}
	r.commitTo(msg.Commit)
	f.phase = transferring
	m.progress(now, f)
	m.startTransfer(r, f, msg.Commit)
}

func (m *Machine) onReconAck(now holo.Time, r *replica, who wire.Member, msg *wire.ReconAck) {
	f := m.current(r, who, msg.Head())
	if f == nil || r.lead.active || msg.Epoch != r.promised || f.phase == following {
		return
	}
	if msg.Done {
		f.phase, f.out = following, nil
		m.progress(now, f)
		m.tryActivate(now, r)
		return
	}
	m.feedTransfer(now, r, f, msg.Stream, msg.Next)
}

// tryActivate begins to serve once every member is equal to this replica: all
// that it holds is then in the memory of all of them, hence committed, unless
// they are too few. In that case what was in the tail is held back: it may or
// may not have been acknowledged before (I6).
func (m *Machine) tryActivate(now holo.Time, r *replica) {
	l := r.lead
	for _, f := range l.members {
		if f.phase != following {
			return
		}
	}
	l.active = true
	l.first = r.seq + 1
	l.held = r.seq
	r.primary, r.reconciled = m.self, r.promised
	for _, f := range l.members {
		f.acked, f.sent = r.seq, r.seq
		m.progress(now, f)
	}
	m.event(Activated, r, holo.NodeID{})
	m.enlist(now, r)
	m.advance(now, r)
}

// proposeShrink asks to drop a member that owes an answer for too long. The
// keeper replaces it first.
func (m *Machine) proposeShrink(now holo.Time, r *replica, f *follower) {
	if now.Sub(f.heard) > m.timing.SlowMember && m.mayAsk(now, f) {
		m.propose(&wire.ShardShrink{Shard: r.shard, Epoch: r.config.Epoch, By: m.self, Drop: f.who.Node})
	}
}

// ShrinkHint is the keeper's wish to be asked to drop a superfluous member.
func (m *Machine) ShrinkHint(_ holo.Time, msg *wire.ShrinkHint) {
	r := m.replica(msg.Shard)
	if r.lead != nil && r.lead.active && r.config.Epoch == msg.Epoch {
		m.propose(&wire.ShardShrink{Shard: r.shard, Epoch: msg.Epoch, By: m.self, Drop: msg.Drop})
	}
}
