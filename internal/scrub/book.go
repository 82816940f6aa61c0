package scrub

import (
	"sync"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

// maxEntries bounds the findings that are named. A disk that is damaged as a
// whole has thousands; the others are counted.
const maxEntries = 64

// Entry is one finding.
type Entry struct {
	Page   holo.PageID
	Healed bool
	Where  string // "memory", "disk", or of a healed one the node that gave it
}

// Book is what was found. It is safe for concurrent use; the zero value is empty.
type Book struct {
	mu      sync.Mutex
	state   State
	entries []Entry // not taken yet
	more    uint64  // nor named
}

// State says how far the scrubbing is and what came of it.
type State struct {
	Rounds  uint64
	Period  time.Duration // that the last round took
	Bytes   uint64        // read in all
	Damaged uint64        // copies that were not what was written
	Healed  uint64        // of them replaced by sound ones
	Last    string        // finding; "" none
	LastAt  time.Time
}

// State says how far the scrubbing is and what came of it.
func (b *Book) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

func (b *Book) read(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state.Bytes += uint64(n)
}

func (b *Book) round(took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state.Rounds++
	b.state.Period = took
}

// Add notes a finding.
func (b *Book) Add(e Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state.LastAt = time.Now(); e.Healed {
		b.state.Healed++
		b.state.Last = "page " + e.Page.String() + " was replaced from " + e.Where
	} else {
		b.state.Damaged++
		b.state.Last = "page " + e.Page.String() + " was damaged " + e.Where
	}
	if len(b.entries) == maxEntries {
		b.more++
		return
	}
	b.entries = append(b.entries, e)
}

// Take gives what was found since the last call, and how many more are not named.
func (b *Book) Take() (list []Entry, more uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list, more = b.entries, b.more
	b.entries, b.more = nil, 0
	return list, more
}
