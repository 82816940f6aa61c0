package shard

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Reasons for which a write lease, or a mutation because of one, is refused.
const (
	ReasonLocked = "locked" // somebody else has a write lease there
	ReasonFenced = "fenced" // the write lease is over, or was never there
)

// hold is a write lease: while it runs, its pages change under its name or not
// at all. It belongs to an activation and is replicated to nobody. So it ends
// with the activation, and whoever believes to have it still is fenced by every
// later home (I11): two who both believe can never both write.
//
// Its token counts, not its name: a request to take it that was repeated on the
// way can come when the lease is over, and gives out another one then.
type hold struct {
	wire.Hold
	token holo.Token
	until holo.Time
}

// meets reports whether it is about any of a run of pages.
func (h *hold) meets(array holo.ArrayID, first, end holo.PageIndex) bool {
	return h.Array == array && h.Run.First < end && first < h.end()
}

func (h *hold) end() holo.PageIndex { return h.Run.First + holo.PageIndex(h.Run.Count) }

// same reports whether a request is about this lease.
func (h *hold) same(req *wire.Hold) bool {
	return h.Lease == req.Lease && h.Array == req.Array && h.Run == req.Run
}

// Hold takes, lengthens or ends a write lease at this primary. Where it gives
// another token than before, what the caller had is over. An error of kind
// Unavailable says that another try may succeed.
func (m *Machine) Hold(now holo.Time, req *wire.Hold) (holo.Token, error) {
	r := m.replica(req.Run.Shard)
	if err := m.serving(r); err != nil {
		return holo.Token{}, err
	}
	if !m.leased(now) {
		return holo.Token{}, noLease(r)
	}
	l := r.lead
	l.lapse(now)
	if req.For == 0 {
		l.holds = slices.DeleteFunc(l.holds, func(h hold) bool { return h.same(req) })
		return holo.Token{}, nil
	}
	i := slices.IndexFunc(l.holds, func(h hold) bool { return h.same(req) })
	if i < 0 {
		if err := m.mayHold(r, req); err != nil {
			return holo.Token{}, err
		}
		m.grants++
		i = len(l.holds)
		l.holds = append(l.holds, hold{Hold: *req, token: holo.Token{Lease: req.Lease, Epoch: r.promised, Number: m.grants}})
	}
	l.holds[i].until = now.Add(min(req.For, wire.MaxHold))
	return l.holds[i].token, nil
}

// mayHold reports whether a write lease can be given out. Writes that are ordered
// and not committed end first: else its holder could read what they are about to
// replace.
func (m *Machine) mayHold(r *replica, req *wire.Hold) error {
	l, h := r.lead, hold{Hold: *req}
	switch r.state(req.Array) {
	case wire.MarkDropped:
		return r.marked(req.Array, holo.Refuse(holo.NotFound, "dropped", "lease array %d: it was deleted", req.Array))
	case wire.MarkSealed:
		return r.marked(req.Array, holo.Refuse(holo.Conflict, "sealed", "lease array %d: it is sealed", req.Array))
	}
	if slices.ContainsFunc(l.holds, func(o hold) bool { return o.meets(h.Array, h.Run.First, h.end()) }) {
		return locked(req.Array)
	}
	if len(l.holds) >= m.limits.Holds {
		return holo.Refuse(holo.Unavailable, "busy", "lease array %d: shard %d has %d write leases already", req.Array, r.shard, len(l.holds))
	}
	for p := h.Run.First; p < h.end(); p++ {
		if _, changing := r.tail.pages[holo.PageID{Array: h.Array, Index: p}]; changing {
			return holo.Refuse(holo.Unavailable, "busy", "lease array %d: page %d is being written", req.Array, p)
		}
	}
	return nil
}

// lapse forgets the write leases that are over.
func (l *leader) lapse(now holo.Time) {
	l.holds = slices.DeleteFunc(l.holds, func(h hold) bool { return now >= h.until })
}

// allows reports whether a mutation of pages may take effect now: it is made
// under the lease that each of its pages has, or neither has one. It is asked
// when the mutation gets its place in the history, and not before: a lease may
// end while its mutation waits.
func (l *leader) allows(now holo.Time, mu *wire.Mutation) error {
	l.lapse(now)
	for i := range mu.Changes {
		p := mu.Changes[i].Page
		k := slices.IndexFunc(l.holds, func(h hold) bool { return h.meets(mu.Array, p, p+1) })
		switch {
		case mu.Under.Lease != 0 && (k < 0 || l.holds[k].token != mu.Under):
			return fenced(mu.Array)
		case mu.Under.Lease == 0 && k >= 0:
			return locked(mu.Array)
		}
	}
	return nil
}

func fenced(array holo.ArrayID) error {
	return holo.Refuse(holo.Conflict, ReasonFenced, "array %d: the write lease is over, or its home changed: take it anew, and read again what it was for", array)
}

func locked(array holo.ArrayID) error {
	return holo.Refuse(holo.Conflict, ReasonLocked, "array %d: somebody else has a write lease there", array)
}
