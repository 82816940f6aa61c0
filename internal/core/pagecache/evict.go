package pagecache

import "github.com/holocompute/holocompute/internal/holo"

// warm is how often a page must have been used in the small queue to get into
// the main one.
const warm = 2

// smallPart is the part of the memory that the small queue is to have.
const smallPart = 10

// pump begins what can begin: reads that there is room for, and before and
// after them what brings the memory down to where the lead is free.
func (m *Machine) pump(now holo.Time) {
	m.probe(now)
	m.shrink(now)
	m.startReads()
	m.shrink(now)
}

func (m *Machine) shrink(now holo.Time) {
	for m.resident+m.reserved-m.writing > m.goal() {
		if !m.relieve(now) {
			return
		}
	}
}

// goal is how many pages the memory should have: so many fewer than it may
// that a write finds room at once. While the disk takes nothing the lead is kept
// for changes, so what a write lacked comes on top.
func (m *Machine) goal() int {
	if m.failures > 0 {
		return max(0, m.limits.Memory-m.limits.Lead-m.short)
	}
	return m.limits.Memory - max(m.limits.Lead, m.short)
}

// probeDepth is how far from the end of a queue a page to probe with is sought.
const probeDepth = 16

// probe finds out whether a disk that failed works again, also when nothing has
// to be written: until that is known, writes are refused.
func (m *Machine) probe(now holo.Time) {
	if m.failures == 0 || m.writing > 0 || !m.mayWrite(now) {
		return
	}
	for _, q := range []*queue{&m.small, &m.main} {
		f := q.oldest
		for i := 0; f != nil && i < probeDepth; i++ {
			if f.free() && !f.disk {
				m.write(f)
				return
			}
			f = f.link[links].newer
		}
	}
	m.works() // there is nothing to find it out with
}

// relieve takes one page towards the disk, or lets one go that is there. Where
// nothing can be written only the latter is left.
func (m *Machine) relieve(now holo.Time) bool {
	if !m.mayWrite(now) {
		f := m.clean.oldest
		if f == nil {
			return false
		}
		m.evict(f)
		return true
	}
	f := m.victim()
	switch {
	case f == nil:
		return false
	case f.disk:
		m.evict(f)
	default:
		m.write(f)
	}
	return true
}

// victim finds the next page to leave. A page that something holds is taken
// out of its queue, so that it is met once; settle brings it back.
func (m *Machine) victim() *frame {
	for {
		q := &m.main
		if m.small.len*smallPart > m.limits.Memory || m.main.len == 0 {
			q = &m.small
		}
		f := q.oldest
		switch {
		case f == nil:
			return nil
		case !f.free():
			m.dequeue(f)
		case q == &m.small && f.heat >= warm:
			f.heat = 0
			m.enqueue(f, inMain)
		case q == &m.main && f.heat > 0:
			f.heat--
			m.enqueue(f, inMain)
		default:
			return f
		}
	}
}

// evict lets go of a page's copy in memory.
func (m *Machine) evict(f *frame) {
	m.dequeue(f)
	f.memory = false
	m.resident--
	m.evictions++
	f.ghost, f.left, f.heat = f.place == inSmall, m.evictions, 0
	f.place = nowhere
	m.settle(f)
	m.out.Evict = append(m.out.Evict, f.Page)
}

// remembered reports whether the page was let go of from the small queue and
// no more pages have left since than fit into memory: had the queue been
// longer, the page would still be there.
func (m *Machine) remembered(f *frame) bool {
	return f.ghost && m.evictions-f.left < uint64(m.limits.Memory)
}

// mayWrite reports whether one more page may be written now. After a failure
// one write at a time finds out whether the disk works again.
func (m *Machine) mayWrite(now holo.Time) bool {
	at := m.limits.Writes
	if m.failures > 0 {
		at = 1
		if now < m.retryAt {
			at = 0
		}
	}
	return m.writing < at && m.spilled < m.limits.Disk
}

func (m *Machine) write(f *frame) {
	m.dequeue(f)
	f.io, f.heat, f.probe = writing, 0, m.failures > 0
	m.writing++
	m.spilled++
	m.settle(f)
	m.out.Write = append(m.out.Write, f.Page)
}
