package pagecache

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
)

// Reasons for which a use or a reservation is refused.
const (
	ReasonChanged = "page_changed" // the page has another version by now: look again
	ReasonBusy    = "spill_busy"   // too many wait for the disk: try again
	ReasonDamaged = "page_damaged" // the page's copy on disk is not what was written
	ReasonFull    = "spill_full"   // the disk has no room, or does not work
	ReasonRoom    = "spill_room"   // memory and disk together are used up
)

// use is somebody who needs pages in memory, all of them at once: whoever got
// some and waited for the rest could wait for ever for another who does the same.
type use struct {
	id     uint64
	frames []*frame
	left   int  // frames that are not in memory yet
	begun  bool // its reads were started
}

// Use holds pages in memory until Release. granted says that all are there;
// else Ready names the use as granted or failed later. The ID is the caller's,
// and of no other use under way. Pages that changed since the caller looked are
// refused, and so are more than Reads of them.
func (m *Machine) Use(id uint64, pages []Page) (granted bool, err error) {
	if len(pages) > m.limits.Reads {
		return false, holo.Errorf(holo.Invalid, "use %d pages at once: at most %d", len(pages), m.limits.Reads)
	}
	u := &use{id: id, frames: make([]*frame, len(pages))}
	for i, p := range pages {
		if u.frames[i], err = m.find(p); err != nil {
			return false, err
		}
		if !u.frames[i].memory {
			u.left++
		}
	}
	if u.left > 0 && len(m.waiting) >= m.limits.Waiting {
		return false, holo.Refuse(holo.Unavailable, ReasonBusy, "read %d pages from disk: %d reads are waiting", u.left, len(m.waiting))
	}
	m.begin(u)
	return u.left == 0, nil
}

// find is the frame of a page as the caller saw it: by its reference, or by
// its version where the reference is 0.
func (m *Machine) find(p Page) (*frame, error) {
	f := m.current[p.ID]
	switch {
	case f == nil || f.Version != p.Version || p.Ref != 0 && p.Ref != f.Ref:
		return nil, holo.Refuse(holo.Unavailable, ReasonChanged, "use page %v at %v: it has changed", p.ID, p.Version)
	case f.damaged && !f.memory:
		return nil, holo.Refuse(holo.Corrupt, ReasonDamaged, "use page %v: its copy on disk is not what was written", p.ID)
	}
	return f, nil
}

func (m *Machine) begin(u *use) {
	for _, f := range u.frames {
		f.uses++
		f.heated()
		if !f.memory {
			m.awaited[f.Ref] = append(m.awaited[f.Ref], u)
		}
		m.settle(f)
	}
	m.uses[u.id] = u
	if u.left > 0 {
		m.waiting = append(m.waiting, u)
	}
}

// Release ends a use, granted or not.
func (m *Machine) Release(id uint64) {
	u := m.uses[id]
	if u == nil {
		return // it failed
	}
	delete(m.uses, id)
	m.unqueue(u)
	for _, f := range u.frames {
		if f.uses--; f.uses == 0 {
			delete(m.awaited, f.Ref)
		}
		m.settle(f)
	}
}

func (m *Machine) unqueue(u *use) {
	if !u.begun {
		m.waiting = slices.DeleteFunc(m.waiting, func(w *use) bool { return w == u })
	}
}

// startReads begins to read for those who wait, in their order, as far as the
// disk and the memory allow. Where nobody holds anything one of them always
// can: else what was put without a reservation could keep them out for ever.
func (m *Machine) startReads() {
	for len(m.waiting) > 0 {
		u := m.waiting[0]
		need := u.missing()
		if m.reading+need > m.limits.Reads || m.resident+need > m.limits.Memory+m.limits.Reads && len(m.uses) > len(m.waiting) {
			return
		}
		m.waiting, u.begun = m.waiting[1:], true
		for _, f := range u.frames {
			m.read(f)
		}
	}
}

// missing counts the pages that nobody is reading yet.
func (u *use) missing() (n int) {
	for _, f := range u.frames {
		if !f.memory && f.io == idle {
			n++
		}
	}
	return n
}

func (m *Machine) read(f *frame) {
	if f.memory || f.io != idle {
		return
	}
	f.io = reading
	m.reading++
	m.resident++
	m.settle(f)
	m.out.Read = append(m.out.Read, f.Page)
}

// arrived tells the uses of a page that it is in memory.
func (m *Machine) arrived(f *frame) {
	for _, u := range m.waitFor(f) {
		if u.left--; u.left == 0 {
			m.unqueue(u)
			m.out.Granted = append(m.out.Granted, u.id)
		}
	}
}

// fail ends the uses of a page that could not be read.
func (m *Machine) fail(f *frame, o Outcome) {
	for _, u := range m.waitFor(f) {
		if m.uses[u.id] == u {
			m.out.Failed = append(m.out.Failed, Failure{u.id, f.Page, o})
			m.Release(u.id)
		}
	}
}

// waitFor takes the uses that wait for a page and are not over, in their order.
func (m *Machine) waitFor(f *frame) []*use {
	list := slices.DeleteFunc(m.awaited[f.Ref], func(u *use) bool { return m.uses[u.id] != u })
	delete(m.awaited, f.Ref)
	return list
}
