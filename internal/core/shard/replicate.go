package shard

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// replicate sends every follower the entries that it has not been sent, as far
// as its window allows, many to a message.
func (m *Machine) replicate(now holo.Time, r *replica) {
	r.lead.each(func(f *follower) {
		if f.phase == following {
			m.stream(now, r, f)
		}
	})
}

func (m *Machine) stream(now holo.Time, r *replica, f *follower) {
	if f.owes <= f.acked && f.sent < r.seq {
		m.progress(now, f) // its silence counts only from now on
	}
	for f.sent < r.seq && m.flying(r.lead, f) < m.limits.WindowBytes {
		msg := &wire.Repl{ShardHead: m.head(r, f.who), Commit: r.commit}
		for size := 0; f.sent < r.seq && len(msg.Entries) < wire.MaxEntries; f.sent++ {
			it := r.lead.entry(f.sent + 1)
			if size += it.size; size > m.limits.FrameBytes && len(msg.Entries) > 0 {
				break
			}
			msg.Entries = append(msg.Entries, *it.entry)
		}
		m.send(f.who, msg)
		f.owes, f.told = max(f.owes, f.sent), r.commit
	}
}

// entry finds an entry of this activation by its sequence number.
func (l *leader) entry(s holo.Seq) *item { return l.entries[s-l.first] }

// flying is the number of bytes sent to a follower and not acknowledged.
func (m *Machine) flying(l *leader, f *follower) int {
	if f.sent == f.acked {
		return 0
	}
	sent := l.entry(f.sent).end
	if f.acked < l.first {
		return sent - l.entries[0].end + l.entries[0].size
	}
	return sent - l.entry(f.acked).end
}

// onAck counts what a follower holds. Only one that gets entries can hold them:
// what a learner's former copy acknowledged says nothing about its new one.
func (m *Machine) onAck(now holo.Time, r *replica, who wire.Member, msg *wire.Ack) {
	f := m.current(r, who, msg.Head())
	if f == nil || !r.lead.active || f.phase != following || msg.Seq > r.seq {
		return
	}
	f.known = max(f.known, min(msg.Commit, r.commit))
	first := msg.Epoch > f.epoch
	f.epoch = max(f.epoch, msg.Epoch)
	if msg.Seq <= f.acked {
		if first && msg.Seq == f.acked && f.sent > f.acked {
			f.sent = f.acked // it may have dropped what came before it knew of this epoch
			m.touch(r)
		}
		return
	}
	f.acked = msg.Seq
	f.sent = max(f.sent, f.acked)
	m.progress(now, f)
	m.advance(now, r)
	m.touch(r)
}

// advance commits what every member and the synchronous learner hold, if the
// members are enough (I3, I6). Nobody else's word replaces a member's.
func (m *Machine) advance(_ holo.Time, r *replica) {
	if !r.enough() {
		return
	}
	w := r.seq
	r.lead.each(func(f *follower) {
		if f != r.lead.learner || f.synced {
			w = min(w, f.acked)
		}
	})
	for _, it := range r.commitTo(w) {
		m.committed(it)
	}
	m.trim(r)
}

// tickActive does a primary's regular duties.
func (m *Machine) tickActive(now holo.Time, r *replica) {
	for _, f := range r.lead.members {
		m.nudge(now, r, f)
		if f.acked < r.seq {
			m.proposeShrink(now, r, f)
		}
	}
	if r.lead.learner != nil {
		m.tickLearner(now, r, r.lead.learner)
	}
	if r.stirs() {
		m.pump(now, r)
	}
	if r.lead.handoff != nil {
		m.tickHandoff(now, r)
	}
}

// stirs reports whether a primary has anything to order, to commit or to forget:
// of all the shards of a node hardly any has at a tick.
func (r *replica) stirs() bool {
	return len(r.lead.queue) > 0 || len(r.lead.entries) > 0 || r.commit < r.seq
}

// nudge sends again what a follower did not acknowledge, from there on; or
// tells it the commit watermark, so that a takeover has little to reconcile and
// to hold back, and a sealed array can be read from it.
func (m *Machine) nudge(now holo.Time, r *replica, f *follower) {
	switch {
	case f.acked < r.seq:
		if m.due(now, f) {
			f.sent = f.acked
			m.touch(r)
		}
	case f.known < r.commit:
		// Soon the first time, unless the next entries take it along.
		if f.told < r.commit && now.Sub(f.heard) >= m.timing.Resend/tellSoon || m.due(now, f) {
			m.send(f.who, &wire.Repl{ShardHead: m.head(r, f.who), Commit: r.commit})
			f.told = r.commit
		}
	}
}

// tellSoon is the part of Resend after which a follower that has everything is
// told that it is committed.
const tellSoon = 8
