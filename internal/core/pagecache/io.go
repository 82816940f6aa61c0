package pagecache

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/invariant"
)

// maxDoublings bounds the time between two tries of a disk that fails: 8 times
// Retry.
const maxDoublings = 3

// Wrote reports what became of a Write. A page whose write failed stays in
// memory and is tried again later.
func (m *Machine) Wrote(now holo.Time, r Ref, o Outcome) {
	f := m.busy[r]
	invariant.Check(f != nil && f.io == writing, "pagecache: write of frame %d ended that did not begin", r)
	f.io = idle
	m.writing--
	if o == Done {
		m.wrote(f)
	} else {
		m.spilled--
		m.failed(now, f, o)
		m.settle(f)
	}
}

// wrote lets go of the page, unless a use came meanwhile, which heats it. That the
// disk works again says only a write that began after the failure.
func (m *Machine) wrote(f *frame) {
	f.disk = true
	if f.probe {
		m.works()
	}
	if !f.dead && f.heat == 0 && m.resident+m.reserved > m.goal() {
		m.evict(f)
		return
	}
	m.settle(f)
}

// works ends what a failure began.
func (m *Machine) works() {
	if m.failures > 0 {
		m.failures = 0
		m.event(DiskWorks, Page{})
	}
}

// failed puts off further writes, each time longer. Those that were under way when
// the first one failed say nothing new.
func (m *Machine) failed(now holo.Time, f *frame, o Outcome) {
	if m.failures > 0 && !f.probe {
		return
	}
	if m.failures == 0 && o == NoSpace {
		m.event(DiskFull, Page{})
	} else if m.failures == 0 {
		m.event(DiskBroken, Page{})
	}
	m.retryAt = now.Add(m.limits.Retry << min(m.failures, maxDoublings))
	m.failures++
}

// Loaded reports what became of a Read. On Done the bytes are in memory, at
// the version that the page names.
func (m *Machine) Loaded(r Ref, o Outcome) {
	f := m.busy[r]
	invariant.Check(f != nil && f.io == reading, "pagecache: read of frame %d ended that did not begin", r)
	f.io = idle
	m.reading--
	if o == Done {
		m.loaded(f)
		return
	}
	m.resident--
	if o == Damaged && !f.damaged {
		f.damaged = true
		m.event(PageDamaged, f.Page)
	}
	m.fail(f, o)
	m.settle(f)
}

// loaded puts the page into the main queue if it came back soon, else into the
// small one.
func (m *Machine) loaded(f *frame) {
	f.memory = true
	f.place = inSmall
	if m.remembered(f) {
		f.place = inMain
	}
	f.ghost = false
	m.arrived(f)
	m.settle(f)
}
