package pagecache

import "github.com/holocompute/holocompute/internal/holo"

// Put says that a page has new content, which is in memory. What the cache had
// of the page before is over; its bytes stay with those who use them.
func (m *Machine) Put(id holo.PageID, v holo.Version, s holo.ShardID) Ref {
	m.last++
	f := &frame{Page: Page{m.last, id, v, s}, memory: true}
	to := inSmall
	if old := m.current[id]; old != nil {
		if f.heat = old.heat; old.place == inMain || m.remembered(old) {
			to = inMain
		}
		f.heated()
		m.retire(old)
	}
	m.current[id] = f
	m.resident++
	m.enqueue(f, to)
	m.settle(f)
	return f.Ref
}

// Drop says that a page is gone.
func (m *Machine) Drop(id holo.PageID) {
	if f := m.current[id]; f != nil {
		m.retire(f)
	}
}

// Touch says that a page in memory was used.
func (m *Machine) Touch(id holo.PageID) {
	if f := m.current[id]; f != nil && f.memory {
		f.heated()
	}
}

// Has reports whether a page is kept, and whether in memory.
func (m *Machine) Has(id holo.PageID) (p Page, memory, there bool) {
	f := m.current[id]
	if f == nil {
		return Page{}, false, false
	}
	return f.Page, f.memory, true
}

// retire ends a frame's being the newest. Who uses it goes on; a write or read
// under way ends first.
func (m *Machine) retire(f *frame) {
	delete(m.current, f.ID)
	m.dequeue(f)
	if f.listed {
		f.listed = false
		m.clean.remove(f)
	}
	f.dead = true
	m.settle(f)
}
