package shard

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// request is a mutation that waits for read leases on its pages to end.
type request struct {
	mutation wire.Mutation
	own      bool  // see SubmitOwn
	plan     *plan // of an operation on a lane
	waiters  []uint64
	asked    holo.Time // when its leases were last withdrawn
}

// pages are those that the mutation changes.
func (q *request) pages() []holo.PageID {
	mu := q.effect()
	ids := make([]holo.PageID, len(mu.Changes))
	for i := range ids {
		ids[i] = holo.PageID{Array: mu.Array, Index: mu.Changes[i].Page}
	}
	return ids
}

// whole reports whether the mutation is about the array as a whole.
func (q *request) whole() bool {
	return q.mutation.Kind == wire.MutateSeal || q.mutation.Kind == wire.MutateDrop
}

// Submit asks this primary for a mutation of one of its shards. The answer
// comes with the same ID from this or a later Ready. The caller has checked the
// digests (VerifyMutation) and does not modify the mutation any more; its
// content is copied.
func (m *Machine) Submit(now holo.Time, id uint64, s holo.ShardID, mu wire.Mutation) {
	if err := m.submit(now, id, s, mu, false); err != nil {
		m.answer(Answer{ID: id, Err: err})
	}
}

// SubmitOwn is Submit of a mutation whose whole pages are memory of their own, that
// no frame or slice is around and nobody changes any more: they are not copied.
func (m *Machine) SubmitOwn(now holo.Time, id uint64, s holo.ShardID, mu wire.Mutation) {
	if err := m.submit(now, id, s, mu, true); err != nil {
		m.answer(Answer{ID: id, Err: err})
	}
}

func (m *Machine) submit(now holo.Time, id uint64, s holo.ShardID, mu wire.Mutation, own bool) error {
	if !s.Valid() {
		return holo.Errorf(holo.Invalid, "write to shard %d: there is no such shard", s)
	}
	if err := mu.Check(); err != nil {
		return err
	}
	r := m.replica(s)
	if err := m.serving(r); err != nil {
		return err
	}
	if rec, ok := r.table.records[keyOf(&mu)]; ok && rec.Array != mu.Array {
		return holo.Errorf(holo.Invalid, "write to array %d: the operation's ID was used for array %d", mu.Array, rec.Array)
	}
	if m.repeated(r, id, &mu) {
		return nil
	}
	if err := m.accepts(now, r); err != nil {
		return err
	}
	q := &request{mutation: mu, own: own, waiters: []uint64{id}}
	if err := r.foresee(q); err != nil {
		return err
	}
	if more := r.growth(q.effect()); !m.fits(more) {
		return holo.Refuse(holo.Exhausted, ReasonMemory, "write to shard %d: %d more bytes of pages, of %d that this node offers %d are in use",
			s, more, m.limits.Capacity, m.books.held)
	}
	r.lead.queue = append(r.lead.queue, q)
	r.lead.queued[keyOf(&mu)] = q
	m.pump(now, r)
	return nil
}

// serving reports whether this node is the shard's active primary and takes new
// work for it.
func (m *Machine) serving(r *replica) error {
	if err := m.showing(r); err != nil {
		return err
	}
	if r.lead.handoff != nil {
		return moving(r)
	}
	return nil
}

func moving(r *replica) error {
	return holo.Refuse(holo.Unavailable, "handoff", "shard %d: moving to node %v", r.shard, r.lead.handoff.to)
}

// showing reports whether this node is the shard's active primary. One that gives
// the shard away shows pages until it proposes the transfer: from then on another
// may be primary, and may have this node dropped if it hears nothing from it.
func (m *Machine) showing(r *replica) error {
	switch {
	case r.config.Lost:
		return lost(r)
	case r.lead == nil:
		return notPrimary(r)
	case !r.lead.active:
		return holo.Refuse(holo.Unavailable, "taking_over", "shard %d: this node is still taking over as its primary", r.shard)
	case r.lead.handoff != nil && r.lead.barred == r.config.Epoch:
		return moving(r)
	}
	return nil
}

// accepts reports whether the primary can take one more mutation. The lease is
// courtesy here: safety comes from every member's acknowledgement.
func (m *Machine) accepts(now holo.Time, r *replica) error {
	switch {
	case !r.enough():
		return holo.Refuse(holo.Unavailable, "under_replicated", "write to shard %d: %d copies, at least %d are needed", r.shard, len(r.config.Members), r.minAck())
	case !m.leased(now):
		return noLease(r)
	case len(r.lead.queue) >= m.limits.Queue || m.logBytes >= m.limits.LogBytes:
		return holo.Refuse(holo.Unavailable, "busy", "write to shard %d: %d writes and %d bytes are waiting", r.shard, len(r.lead.queue), m.logBytes)
	}
	return nil
}

// repeated answers a mutation that was seen before, or makes its sender wait
// for the same outcome: an operation takes effect at most once (I10).
func (m *Machine) repeated(r *replica, id uint64, mu *wire.Mutation) bool {
	k := keyOf(mu)
	if rec, ok := r.table.records[k]; ok {
		m.answer(Answer{ID: id, Version: rec.Version, Applied: rec.Applied, Old: rec.Old, Duplicate: true})
		return true
	}
	if it, ok := r.tail.pending[k]; ok {
		it.await(id, k)
		return true
	}
	if q, ok := r.lead.queued[k]; ok {
		q.waiters = append(q.waiters, id)
		return true
	}
	return false
}

// pump orders every queued mutation whose pages have no read lease any more and,
// as far as it changes only part of them, are not away.
// One that still waits holds back those after it that touch the same pages or
// arrays, and no others.
func (m *Machine) pump(now holo.Time, r *replica) {
	l := r.lead
	var waiting []*request // not a part of the queue, which would keep what left it
	for i, q := range l.queue {
		err := r.foresee(q)
		if err == nil {
			err = m.spoiled(r, q.effect())
		}
		if err != nil {
			delete(l.queued, keyOf(&q.mutation))
			m.refuse(q.waiters, err)
			continue
		}
		if m.blocked(now, r, q) || m.absent(r, r.bases(q.effect())) || slices.ContainsFunc(waiting, func(w *request) bool { return overlap(w, q) }) {
			waiting = append(waiting, l.queue[i])
			continue
		}
		delete(l.queued, keyOf(&q.mutation))
		m.order(now, r, q)
	}
	l.queue = waiting
	m.advance(now, r)
}

func overlap(a, b *request) bool {
	if a.mutation.Array != b.mutation.Array {
		return false
	}
	if a.whole() || b.whole() {
		return true
	}
	for i := range a.mutation.Changes {
		for j := range b.mutation.Changes {
			if a.mutation.Changes[i].Page == b.mutation.Changes[j].Page {
				return true
			}
		}
	}
	return false
}

// order gives a mutation its place in the history.
func (m *Machine) order(now holo.Time, r *replica, q *request) {
	mu := &q.mutation
	switch st := r.state(mu.Array); {
	case st == wire.MarkDropped && mu.Kind != wire.MutateDrop:
		m.refuse(q.waiters, r.marked(mu.Array, holo.Refuse(holo.NotFound, "dropped", "write to array %d: it was deleted", mu.Array)))
		return
	case st == wire.MarkSealed && !q.whole():
		m.refuse(q.waiters, r.marked(mu.Array, holo.Refuse(holo.Conflict, "sealed", "write to array %d: it is sealed", mu.Array)))
		return
	}
	if err := r.lead.allows(now, mu); err != nil {
		m.refuse(q.waiters, err)
		return
	}
	n := &wire.Entry{Seq: r.seq + 1, Epoch: r.promised, Applied: true, Mutation: *mu}
	switch {
	case mu.Atomic():
		r.decide(n)
	case q.plan != nil:
		q.plan.into(n)
	}
	it := r.append(n, q.own)
	for _, id := range q.waiters {
		it.await(id, keyOf(mu))
	}
	l := r.lead
	l.ended += it.size
	it.end = l.ended
	l.entries = append(l.entries, it)
	m.logBytes += it.size
	m.touch(r)
}

// marked is the refusal of what an array's mark does not allow. A mark that is not
// committed must not be told, for a read that comes later is not shown it: whoever
// asks is to try again.
func (r *replica) marked(array holo.ArrayID, refusal error) error {
	if _, open := r.tail.marks[array]; open {
		return holo.Refuse(holo.Unavailable, "busy", "use array %d: it is being sealed or deleted", array)
	}
	return refusal
}

// committed answers those who wait for an item.
func (m *Machine) committed(it *item) {
	for _, w := range it.waiters {
		rec := &it.records[w.record]
		m.answer(Answer{ID: w.id, Version: rec.Version, Applied: rec.Applied, Old: rec.Old})
	}
	it.waiters = nil
}

func notPrimary(r *replica) error {
	if r.config.Epoch == 0 {
		return holo.Refuse(holo.Unavailable, "not_primary", "shard %d: this node does not know it", r.shard)
	}
	return holo.Refuse(holo.Unavailable, "not_primary", "shard %d: its primary in epoch %d is node %v", r.shard, r.config.Epoch, r.config.Primary)
}

func noLease(r *replica) error {
	return holo.Refuse(holo.Unavailable, "no_lease", "shard %d: this node's lease ran out; it cannot reach the cluster's leader", r.shard)
}

func lost(r *replica) error {
	return holo.Refuse(holo.DataLost, "lost", "shard %d: no holder of its pages is left", r.shard)
}
