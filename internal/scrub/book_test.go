package scrub

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func found(i int, healed bool) Entry {
	return Entry{Page: holo.PageID{Array: 7, Index: holo.PageIndex(i)}, Healed: healed, Where: "on disk"}
}

// Each finding is named once, in order.
func TestFindingsAreTakenOnce(t *testing.T) {
	var b Book
	b.Add(found(1, false))
	b.Add(Entry{Page: holo.PageID{Array: 7, Index: 1}, Healed: true, Where: "node a"})
	list, more := b.Take()
	if len(list) != 2 || more != 0 || list[0].Healed || !list[1].Healed {
		t.Fatalf("%+v and %d more", list, more)
	}
	if list, more := b.Take(); len(list) != 0 || more != 0 {
		t.Errorf("taken twice: %+v and %d more", list, more)
	}
	s := b.State()
	if s.Damaged != 1 || s.Healed != 1 || s.Last != "page a7/1 was replaced from node a" || s.LastAt.IsZero() {
		t.Errorf("%+v", s)
	}
}

// A disk that is damaged as a whole names so many pages and counts the others,
// until they are taken.
func TestFindingsBeyondTheNamedAreCounted(t *testing.T) {
	var b Book
	const pages = 10*maxEntries + 3
	for i := range pages {
		b.Add(found(i, false))
	}
	list, more := b.Take()
	if len(list) != maxEntries || more != pages-maxEntries || list[0].Page.Index != 0 {
		t.Errorf("%d named from %v on, %d counted; want %d and %d", len(list), list[0].Page, more, maxEntries, pages-maxEntries)
	}
	if s := b.State(); s.Damaged != pages {
		t.Errorf("%d damaged, want %d", s.Damaged, pages)
	}
	b.Add(found(pages, false))
	if list, more := b.Take(); len(list) != 1 || more != 0 {
		t.Errorf("after they were taken: %d named, %d counted", len(list), more)
	}
}
