// Package pagecache decides which of a node's pages lie in its memory and
// which on its disk: what to write out, what to let go of, what to read back,
// and what to refuse when neither has room.
//
// Its one idea: a page is a frame with two copies, one in memory and one on
// disk, of which at least one is always there. A write makes a new frame, so a
// frame has one version for ever, and nothing that is under way for an old one
// can touch a new one.
//
// Which pages leave is S3-FIFO (Yang et al., SOSP 2023): what comes in waits in
// a small queue, and only what is used there again, or comes back soon after it
// left, gets into the main queue. One pass over more pages than fit goes through
// the small queue and leaves the main one as it was.
//
// It is a machine: no I/O, no clock, no goroutine, no lock, no chance. The
// driver calls it, does what Ready says, and reports what became of it. It
// holds no bytes of pages.
package pagecache

import "github.com/holocompute/holocompute/internal/holo"

// Ref names a frame: one version of one page, as long as it is kept. It is
// never used again.
type Ref uint64

// Page is a frame as the driver sees it.
type Page struct {
	Ref     Ref
	ID      holo.PageID
	Version holo.Version
	Shard   holo.ShardID // where the driver finds it; nothing here looks at it
}

// Limits says how much there may be of everything. All counts are pages.
type Limits struct {
	Memory  int           // in memory; more than Lead
	Disk    int           // on disk; 0: nothing is ever written
	Lead    int           // of Memory kept free ahead of need
	Writes  int           // being written at once; at least 1
	Reads   int           // being read at once, and how far they may exceed Memory; at least 1
	Waiting int           // uses that wait for their pages
	Retry   holo.Duration // after a write that failed until the next; doubles up to 8 times
}

// Capacity is how many pages can be kept in all. The lead is not for keeping:
// it is where a page that lies on a full disk is changed.
func (l Limits) Capacity() int { return l.Memory - l.Lead + l.Disk }

// Machine is the cache of one node. It is not safe for concurrent use.
//
// Invariants: a live frame has a copy in memory or on disk, or is being read
// from the one on disk. resident counts the frames in memory and being read,
// spilled those on disk and being written; resident+reserved never exceeds
// Memory by more than Reads and what was put without a reservation. spilled
// never exceeds Disk. A frame is in a queue only while it is live and in memory.
type Machine struct {
	limits Limits

	last    Ref
	current map[holo.PageID]*frame // the newest of each page
	busy    map[Ref]*frame         // with I/O under way or in use, the dead among them

	small, main queue
	clean       queue  // live, in both places, idle: can leave at no cost; oldest first
	evictions   uint64 // counts them: what ghosts are measured by

	resident, spilled int
	reading, writing  int
	reserved          int // pages that are about to be put
	fresh             int // those of them that are not kept yet
	short             int // pages that a refused reservation wanted

	uses    map[uint64]*use
	waiting []*use         // whose reads have not begun, oldest first
	awaited map[Ref][]*use // who waits for which page

	failures uint      // of writes, without a success since
	retryAt  holo.Time // when to write again after one

	out Ready
}

// Ready is what the machine wants done. Evict and Forget concern what nobody
// uses any more; Granted and Failed end waiting.
type Ready struct {
	Evict   []Page   // let go of the bytes in memory: they are on disk
	Write   []Page   // to disk, then call Wrote
	Read    []Page   // from disk, then call Loaded
	Forget  []Page   // the copy on disk is of no use any more
	Granted []uint64 // uses all of whose pages are in memory
	Failed  []Failure
	Events  []Event
}

// Failure is a use that ended because a page could not be read.
type Failure struct {
	Use     uint64
	Page    Page
	Outcome Outcome
}

// Outcome is what became of a write or a read.
type Outcome uint8

// The outcomes.
const (
	Done    Outcome = iota
	NoSpace         // a write: the disk is full
	Broken          // the disk failed; it may work again later
	Damaged         // a read: the bytes are not those that were written
)

// Event tells that something changed, for logs and counters. Each kind comes
// once when the state begins, however long it lasts.
type Event struct {
	Kind EventKind
	Page Page // of PageDamaged
}

// EventKind sorts events.
type EventKind uint8

// The kinds.
const (
	DiskFull    EventKind = iota + 1 // a write found no space
	DiskBroken                       // a write failed otherwise
	DiskWorks                        // a write succeeded after such
	PageDamaged                      // a copy on disk is not what was written
)

var eventNames = [...]string{"", "disk_full", "disk_broken", "disk_works", "page_damaged"}

// String is the kind's stable name.
func (k EventKind) String() string { return eventNames[k] }

// New makes the cache of a node that holds nothing.
func New(l Limits) *Machine {
	return &Machine{
		limits: l, current: map[holo.PageID]*frame{}, busy: map[Ref]*frame{}, uses: map[uint64]*use{}, awaited: map[Ref][]*use{},
		small: queue{which: links}, main: queue{which: links}, clean: queue{which: cleanLinks},
	}
}

// Limits says how much there may be of everything.
func (m *Machine) Limits() Limits { return m.limits }

// Ready returns what is to be done and forgets it.
func (m *Machine) Ready(now holo.Time) Ready {
	m.pump(now)
	out := m.out
	m.out = Ready{}
	return out
}

// Usage says how much there is of everything, in pages.
type Usage struct {
	Pages    int // live
	Resident int // in memory, or being read; old versions in use among them
	Spilled  int // on disk, or being written
	Reserved int
	Failing  bool // the last write failed
}

// Usage says how much there is of everything.
func (m *Machine) Usage() Usage {
	return Usage{
		Pages: len(m.current), Resident: m.resident, Spilled: m.spilled, Reserved: m.reserved, Failing: m.failures > 0,
	}
}

func (m *Machine) event(k EventKind, p Page) { m.out.Events = append(m.out.Events, Event{k, p}) }
