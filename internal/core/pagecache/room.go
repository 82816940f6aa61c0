package pagecache

import (
	"fmt"

	"github.com/holocompute/holocompute/internal/holo"
)

// Reserve keeps room in memory for pages that are about to be put, fresh of
// which the cache has no frame of yet. What a page was before counts as well until
// the new content is put, and longer where it is in use or on its way to disk. Unreserve MUST follow, when they were
// put or will not be. It refuses what memory and disk together have no room for,
// and what memory has no room for yet: then another try soon is worth it where
// the error is Unavailable.
func (m *Machine) Reserve(pages, fresh int) error {
	if kept := len(m.current) + m.fresh; fresh > 0 && kept+fresh > m.limits.Capacity() {
		return holo.Refuse(holo.Exhausted, ReasonRoom, "%d more pages: %d are kept, memory has room for %d and the disk for %d",
			fresh, kept, m.limits.Memory-m.limits.Lead, m.limits.Disk)
	}
	if m.resident+m.reserved+pages > m.room(fresh) {
		m.short = min(pages, m.limits.Memory)
		return m.noRoom(pages)
	}
	m.reserved += pages
	m.fresh += fresh
	m.short = 0
	return nil
}

// room is how full the memory may get. While the disk takes nothing, the lead is
// for changes of pages that are there.
func (m *Machine) room(fresh int) int {
	if fresh > 0 && m.failures > 0 {
		return m.limits.Memory - m.limits.Lead
	}
	return m.limits.Memory
}

// noRoom says why there is none: pages are on their way to the disk, or about
// to be let go of, or it takes none.
func (m *Machine) noRoom(pages int) error {
	if pages > m.limits.Memory || m.failures > 0 && m.clean.len < pages || m.limits.Disk == 0 {
		return holo.Refuse(holo.Exhausted, ReasonFull, "%d more pages: %d of the %d that fit into memory are used, and the disk %s",
			pages, m.resident+m.reserved, m.limits.Memory, m.trouble())
	}
	return holo.Refuse(holo.Unavailable, ReasonBusy, "%d more pages: %d of the %d that fit into memory are used, and %d are being written to disk",
		pages, m.resident+m.reserved, m.limits.Memory, m.writing)
}

func (m *Machine) trouble() string {
	if m.failures > 0 {
		return fmt.Sprintf("refused the last %d writes", m.failures)
	}
	return "has no room"
}

// Unreserve gives reserved room back.
func (m *Machine) Unreserve(pages, fresh int) {
	m.reserved -= pages
	m.fresh -= fresh
}
