package shard

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/invariant"
	"github.com/holocompute/holocompute/internal/wire"
)

// PageChange says that a committed page of 64 KiB came or went, which a node
// with a disk keeps book of (decision record 0021).
type PageChange struct {
	Shard   holo.ShardID
	Page    holo.PageID
	Version holo.Version
	Gone    bool
}

// Want asks for pages of a shard that are away, all of them in memory at once,
// and then for Resume. Until then the machine does not ask again for this shard.
type Want struct {
	Shard holo.ShardID
	Pages []PageChange // as they are in the table, those not away among them
}

func (m *Machine) log() *[]PageChange {
	if !m.track {
		return nil
	}
	return &m.out.Pages
}

// page finds a page of the table at a version.
func (m *Machine) page(s holo.ShardID, id holo.PageID, v holo.Version) (stored, bool) {
	r := m.replicas[s]
	if r == nil {
		return stored{}, false
	}
	p, ok := r.table.pages[id]
	return p, ok && p.version == v && p.kind == wire.PageData
}

// Committed is a page of 64 KiB as it is in the table, if it is there at that
// version.
func (m *Machine) Committed(s holo.ShardID, id holo.PageID, v holo.Version) (View, bool) {
	p, ok := m.page(s, id, v)
	if !ok {
		return View{}, false
	}
	return p.view(id), true
}

// Hashed notes the digest of a page, which somebody else has computed.
func (m *Machine) Hashed(s holo.ShardID, id holo.PageID, v holo.Version, sum holo.Digest) {
	if p, ok := m.page(s, id, v); ok && !p.hashed {
		p.digest, p.hashed = sum, true
	}
}

// Away lets go of a page's bytes: they lie on disk. Its digest must be known.
func (m *Machine) Away(s holo.ShardID, id holo.PageID, v holo.Version) {
	p, ok := m.page(s, id, v)
	if !ok || p.away {
		return
	}
	invariant.Check(p.hashed, "shard %d: page %v goes away without a digest", s, id)
	p.data, p.away = nil, true
	m.replicas[s].table.away += holo.PageSize
}

// Back gives a page its bytes again. The caller has checked the digest and does
// not modify them any more. One that was damaged is new to who keeps book of it.
func (m *Machine) Back(s holo.ShardID, id holo.PageID, v holo.Version, data []byte) {
	p, ok := m.page(s, id, v)
	if !ok || !p.away {
		return
	}
	t, healed := &m.replicas[s].table, p.damaged
	p.data, p.away, p.damaged = data, false, false
	if t.away -= holo.PageSize; healed {
		t.tell(id, p, false)
	}
}

// Resume goes on with what waited for pages of a shard, or asks for them again.
func (m *Machine) Resume(now holo.Time, s holo.ShardID) {
	r := m.replicas[s]
	if r == nil {
		return
	}
	r.wanting = false
	m.goOn(now, r)
}

// goOn does what can be done with the pages that are in memory now.
func (m *Machine) goOn(now holo.Time, r *replica) {
	m.giveAll(r)
	if h := r.held; h != nil {
		r.held = nil
		m.take(now, r, h.from, h.msg)
	}
	if r.lead == nil {
		return
	}
	if r.lead.active {
		m.pump(now, r)
	}
	r.lead.each(func(f *follower) {
		if f.out != nil {
			m.pumpTransfer(r, f)
		}
	})
}

// absent reports whether pages are away, and if so asks for all of them: had
// some gone while the others come, they would never be there together.
func (m *Machine) absent(r *replica, effects []effect) bool {
	away := false
	for _, e := range effects {
		away = away || e.away
		if e.damaged {
			return true // comes back by being healed, if at all
		}
	}
	if !away || r.wanting {
		return away
	}
	w := Want{Shard: r.shard}
	for _, e := range effects {
		if s, ok := r.table.pages[e.id]; ok && s.page == e.page && s.kind == wire.PageData {
			w.Pages = append(w.Pages, PageChange{Shard: r.shard, Page: e.id, Version: s.version})
		}
	}
	r.wanting = true
	m.out.Wants = append(m.out.Wants, w)
	return true
}

// bases are the pages that a mutation changes part of, as they are now.
func (r *replica) bases(mu *wire.Mutation) (list []effect) {
	for i := range mu.Changes {
		if c := &mu.Changes[i]; c.Kind == wire.PageDelta || mu.Atomic() {
			id := holo.PageID{Array: mu.Array, Index: c.Page}
			list = append(list, effect{id, r.latest(id)})
		}
	}
	return list
}

// spoiled refuses a mutation that changes part of a damaged page.
func (m *Machine) spoiled(r *replica, mu *wire.Mutation) error {
	for _, e := range r.bases(mu) {
		if e.damaged {
			return m.Spoilt(r.shard, e.id)
		}
	}
	return nil
}

// gone reports whether a page of the chunk was replaced while it was away, so
// that the transfer cannot be as it was frozen.
func (c *chunk) gone() bool {
	for _, e := range c.effects {
		if e.gone {
			return true
		}
	}
	return false
}
