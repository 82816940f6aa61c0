package shard

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// ReasonMemory: a node's page memory is used up.
const ReasonMemory = "memory"

// books is what the pages of this process take, as counted last and grown since:
// committed ones, what the tails and the queues add to them, and the part of
// copies that arrive that is more than what they replace: how far memory may be
// exceeded while one replaces another, Limits.Arriving says. A node's limit binds
// it as home, as member and as learner alike.
type books struct {
	held  int
	stale bool // to be counted anew before it is used
}

// fits keeps room for so many more bytes of pages, or reports that there is none.
// Something may have been freed since they were counted, so before it says no it
// counts anew, without shards that were left: what was kept of them is of no use.
func (m *Machine) fits(more int) bool {
	if m.limits.Capacity == 0 || more <= 0 {
		return true
	}
	if m.books.stale {
		m.books = books{held: m.inMemory()}
	}
	if m.books.held+more > m.limits.Capacity {
		m.vacate()
		m.books = books{held: m.inMemory()}
	}
	if m.books.held+more > m.limits.Capacity {
		return false
	}
	m.books.held += more
	return true
}

// vacate lets go of shards that were left, before their time.
func (m *Machine) vacate() {
	for _, r := range m.replicas {
		if r != nil && r.outside && r.seq > 0 {
			r.forget()
			m.event(Collected, r, holo.NodeID{})
		}
	}
}

func (m *Machine) inMemory() (bytes int) {
	for _, r := range m.replicas {
		if r == nil {
			continue
		}
		own := r.kept()
		if r.incoming != nil {
			own = max(own, r.incoming.net)
		}
		bytes += own
	}
	return bytes
}

// kept is what the replica's own copy takes once all that waits is committed.
func (r *replica) kept() int {
	bytes := r.table.bytes - r.table.away
	if len(r.tail.pages) > 0 { // even an empty map takes its time, for all shards at each tick
		bytes += r.ahead()
	}
	if r.lead != nil {
		for _, q := range r.lead.queue {
			bytes += r.growth(q.effect())
		}
	}
	return bytes
}

// ahead is what the tail adds to the pages that are committed.
func (r *replica) ahead() (bytes int) {
	for id, s := range r.tail.pages {
		bytes += max(0, len(s.data)-r.table.get(id).size())
	}
	return bytes
}

// Held is how many bytes of pages are in memory, or are on their way there.
func (m *Machine) Held() int {
	if m.books.stale || m.limits.Capacity == 0 {
		m.books = books{held: m.inMemory()}
	}
	return m.books.held
}

// SetCapacity changes how many bytes of pages there may be in memory. What is
// there already stays.
func (m *Machine) SetCapacity(bytes int) { m.limits.Capacity, m.books.stale = bytes, true }

// growth is what a mutation adds to the pages as the newest entry leaves them.
// Writing over a page that is there already always fits.
func (r *replica) growth(mu *wire.Mutation) (more int) {
	for i := range mu.Changes {
		c := &mu.Changes[i]
		size := len(c.Data)
		if c.Kind == wire.PageData || c.Kind == wire.PageDelta || mu.Atomic() {
			size = holo.PageSize
		}
		more += max(0, size-r.latest(holo.PageID{Array: mu.Array, Index: c.Page}).size())
	}
	return more
}

// arrives reports whether a learner takes a chunk of a copy. Only so much of
// copies arrives at a time, for each is in memory until it is complete. The
// oldest always goes on, so that one after the other is completed.
func (m *Machine) arrives(r *replica, t *wire.Transfer) bool {
	size, net := 0, 0
	for i := range t.Images {
		p := &t.Images[i]
		size += len(p.Data)
		net += r.incoming.more(p)
	}
	if limit := m.limits.Arriving; limit > 0 && size > 0 {
		if bytes, oldest := m.arriving(); bytes+size > limit && oldest != nil && oldest != r {
			return false
		}
	}
	had := 0
	if r.incoming != nil {
		had = r.incoming.net
	}
	return m.fits(had + net - max(had, r.kept())) // what it takes the place of is counted already
}

// more is what a page adds to those that are there: of a page that comes twice,
// for there is an uncommitted value as well, one is kept in the end.
func (in *incoming) more(p *wire.PageImage) int {
	if in == nil {
		return len(p.Data)
	}
	return max(0, len(p.Data)-in.sizes[p.Page])
}

func (in *incoming) count(p *wire.PageImage) {
	in.bytes += len(p.Data)
	in.net += in.more(p)
	in.sizes[p.Page] = max(in.sizes[p.Page], len(p.Data))
}

// arriving sums the copies that arrive, and finds whose is the oldest.
func (m *Machine) arriving() (bytes int, oldest *replica) {
	for _, r := range m.replicas {
		if r == nil || r.incoming == nil {
			continue
		}
		bytes += r.incoming.bytes
		if r.incoming.arrival > 0 && (oldest == nil || r.incoming.arrival < oldest.incoming.arrival) {
			oldest = r
		}
	}
	return bytes, oldest
}
