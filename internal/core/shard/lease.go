package shard

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// lease is a read lease as its home remembers it. The home counts it longer
// than its holder does, by the assumed error of both clocks.
type lease struct {
	holder wire.Member
	number uint64
	until  holo.Time
}

// grantLease lets a reader cache what it read. It ends before this node's own
// lease does, so a later primary never has to wait for it (I8). None is granted
// while a change of a page is under way, nor while the shard is given away, which
// waits until they end, nor after a Transfer was proposed: the next primary would
// not know of it.
func (m *Machine) grantLease(now holo.Time, r *replica, rd *Read) {
	if r.lead.barred == r.config.Epoch || m.changing(r, rd) {
		return
	}
	if r.lead.handoff != nil {
		return
	}
	rest := holo.Duration(float64(m.lease.Sub(now)) * (1 - 2*m.timing.Epsilon))
	d := min(m.timing.ReadTTL, rest)
	if d <= 0 {
		return
	}
	if !m.roomFor(now, len(rd.Pages)) {
		return
	}
	m.grants++
	rd.Lease = Lease{Epoch: r.promised, Number: m.grants, For: d}
	until := now.Add(holo.Duration(float64(d) * (1 + 4*m.timing.Epsilon)))
	for i := range rd.Pages {
		m.remember(r, rd.Pages[i].Page, lease{rd.holder, m.grants, until})
	}
}

// changing reports whether a page of the read has changed since, or is about to.
func (m *Machine) changing(r *replica, rd *Read) bool {
	for i := range rd.Pages {
		v := &rd.Pages[i]
		if _, uncommitted := r.tail.pages[v.Page]; uncommitted || r.table.get(v.Page).version != v.Version {
			return true
		}
		if r.state(v.Page.Array) == wire.MarkDropped {
			return true
		}
		for _, q := range r.lead.queue {
			for _, id := range q.pages() {
				if id == v.Page {
					return true
				}
			}
			if q.mutation.Kind == wire.MutateDrop && q.mutation.Array == v.Page.Array {
				return true
			}
		}
	}
	return false
}

// remember notes a lease; a holder's later one replaces its earlier one, and
// ends no sooner.
func (m *Machine) remember(r *replica, id holo.PageID, l lease) {
	ls := r.leases[id]
	i := slices.IndexFunc(ls, func(old lease) bool { return old.holder == l.holder })
	if i >= 0 {
		l.until = max(l.until, ls[i].until)
		ls[i] = l
	} else {
		r.leases[id] = append(ls, l)
	}
	m.granted.add(grant{l, r, id})
}

// live forgets the leases on a page that are over and returns the others.
func (r *replica) live(now holo.Time, id holo.PageID) []lease {
	ls := r.leases[id]
	keep := ls[:0]
	for _, l := range ls {
		if now < l.until {
			keep = append(keep, l)
		}
	}
	if len(keep) == 0 {
		delete(r.leases, id)
		return nil
	}
	r.leases[id] = keep
	return keep
}

// blocked reports whether read leases stand in the way of a mutation, and
// withdraws them (I9).
func (m *Machine) blocked(now holo.Time, r *replica, q *request) bool {
	ids := q.pages()
	if q.mutation.Kind == wire.MutateDrop {
		ids = r.leasedPages(q.mutation.Array)
	}
	held := m.withdraw(now, r, ids, q.asked == 0 || now.Sub(q.asked) >= m.timing.Resend)
	if held && (q.asked == 0 || now.Sub(q.asked) >= m.timing.Resend) {
		q.asked = now
	}
	return held
}

// withdraw reports whether any of the pages is leased, and asks the holders to
// drop their copies.
func (m *Machine) withdraw(now holo.Time, r *replica, ids []holo.PageID, ask bool) bool {
	held := false
	var out recall
	for _, id := range ids {
		for _, l := range r.live(now, id) {
			held = true
			if ask {
				out.add(m, r, l.holder, id, m.grants)
			}
		}
	}
	out.send(m)
	return held
}

// leasedPages lists the leased pages of an array, or of all arrays for 0, in
// order.
func (r *replica) leasedPages(array holo.ArrayID) []holo.PageID {
	var ids []holo.PageID
	for id := range r.leases {
		if array == 0 || id.Array == array {
			ids = append(ids, id)
		}
	}
	sortPages(ids)
	return ids
}

// onInvalAck releases leases whose copies are gone. It covers only grants up to
// the number it names: a late duplicate must not release a newer one.
func (m *Machine) onInvalAck(now holo.Time, r *replica, who wire.Member, msg *wire.InvalAck) {
	for _, id := range msg.Pages {
		ls := r.leases[id]
		keep := ls[:0]
		for _, l := range ls {
			if l.holder != who || l.number > msg.UpTo {
				keep = append(keep, l)
			}
		}
		if r.leases[id] = keep; len(keep) == 0 {
			delete(r.leases, id)
		}
	}
	if r.lead != nil && r.lead.active {
		m.pump(now, r)
	}
}
