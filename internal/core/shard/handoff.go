package shard

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// handoff is a primary's attempt to give its shard to another member.
type handoff struct {
	to    holo.NodeID
	until holo.Time
	asked holo.Time
}

// Handoff asks the primary of a shard to give it to another member: it takes no
// more writes and grants no more leases, finishes what it has, waits for its read
// leases to end, and proposes the transfer. It is read from until then. If that
// takes too long it goes on as before.
func (m *Machine) Handoff(now holo.Time, s holo.ShardID, to holo.NodeID) {
	r := m.replica(s)
	if r.lead == nil || !r.lead.active || r.lead.handoff != nil || to == m.self.Node || !r.config.Has(to) {
		return
	}
	r.lead.handoff = &handoff{to: to, until: now.Add(m.timing.Handoff)}
}

func (m *Machine) tickHandoff(now holo.Time, r *replica) {
	h := r.lead.handoff
	if now >= h.until || !r.config.Has(h.to) {
		r.lead.handoff = nil
		return
	}
	ask := h.asked == 0 || now.Sub(h.asked) >= m.timing.Resend
	if ask {
		h.asked = now
	}
	leased := m.withdraw(now, r, r.leasedPages(0), ask)
	if leased || len(r.lead.queue) > 0 || r.commit < r.seq || !ask {
		return
	}
	// From here on the transfer may happen at any time in this epoch, even after
	// this node has given up waiting for it: it grants no read lease any more,
	// because the next primary would not know of it.
	r.lead.barred = r.config.Epoch
	m.propose(&wire.ShardTransfer{Shard: r.shard, Epoch: r.config.Epoch, By: m.self, To: h.to})
}
