// Package shard replicates pages: the machine that one node runs for all the
// shards it holds a copy of. A shard has a primary and in-sync members; who
// they are is decided by Raft and arrives here as configurations with epochs.
//
// A write is ordered by the primary, held by every member before it counts,
// and only then shown and acknowledged. A new primary first makes every member
// promise its epoch and equal to itself, so each acknowledged write is in the
// memory of every member of every later epoch. The comments name the invariants
// of the protocol's design that they keep, I1 to I13. Clocks decide only how
// long a primary may answer reads: a broken clock can make a read stale, never
// lose a write.
//
// A replica keeps two things: a table of what is committed, and a tail of what
// is not yet. Only the table is ever read. Because the table below a commit
// watermark is the same history on every member, a watermark is all that a
// member has to tell a new primary.
//
// The machine does no I/O and reads no clock. One goroutine calls it: Step for
// a message, Submit for a mutation, BeginRead and FinishRead around an answer,
// Tick now and then, and after each of them Ready for what is to be done.
package shard

import (
	"fmt"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Timing holds the machine's times. DefaultTiming says what they are for.
type Timing struct {
	ReadTTL    holo.Duration // the longest read lease
	Resend     holo.Duration // before an unanswered message is sent again; doubles up to 16 times
	SlowMember holo.Duration // silence after which a primary asks to replace a member
	Handoff    holo.Duration // how long a primary tries to give a shard away
	Grace      holo.Duration // how long the memory of a shard that was left is kept
	Epsilon    float64       // assumed bound on the error of a clock's rate
}

// DefaultTiming is for machines on one network. A rate error of 1 % is a
// hundred times that of an oscillator.
func DefaultTiming() Timing {
	return Timing{
		ReadTTL: 2 * holo.Second, Resend: 100 * holo.Millisecond, SlowMember: 500 * holo.Millisecond,
		Handoff: 5 * holo.Second, Grace: 60 * holo.Second, Epsilon: 0.01,
	}
}

// Limits bounds every queue of the machine. What does not fit is refused as
// busy, or waits for its turn.
type Limits struct {
	Queue       int // mutations per shard that wait for a read lease to end
	LogBytes    int // entries not yet held by every follower, over all shards
	FrameBytes  int // of entries in one message; a longer entry travels alone
	WindowBytes int // of entries on their way to one follower
	ChunkBytes  int // of pages in one chunk of a transfer
	ChunkWindow int // chunks on their way to one follower
	Copies      int // of shards, on their way to learners at a time
	Leases      int // read leases that may still run, one for each page and reader, over all shards
	Holds       int // write leases of a shard
	Capacity    int // bytes of pages in memory; 0: somebody else sees to it
	Arriving    int // bytes of copies that arrive, besides the oldest; 0: no limit
}

// DefaultLimits keeps what is in flight to one follower at 8 MiB, which fills
// 10 Gbit/s at a round trip of 6 ms; so do the copies, 16 MiB of them. The read leases are those of 4 GiB of pages
// and take about 10 MiB.
func DefaultLimits() Limits {
	return Limits{
		Queue: 1024, LogBytes: 256 << 20, FrameBytes: 1 << 20, WindowBytes: 8 << 20,
		ChunkBytes: 512 << 10, ChunkWindow: 4, Copies: 8, Leases: 1 << 16, Holds: 256,
	}
}

// Options says whose machine it is.
type Options struct {
	Self   wire.Member // this process: its node and its incarnation
	Timing Timing
	Limits Limits
	Track  bool // tell of committed pages of 64 KiB, which may go away
}

// Machine holds this process's replicas. It is not safe for concurrent use;
// what it returns may be used anywhere, since a page that anyone can see is
// never modified.
type Machine struct {
	self   wire.Member
	timing Timing
	limits Limits

	replicas [holo.MaxClass * holo.ShardCount]*replica
	lease    holo.Time // until when this node may serve reads (I7)
	held     bool      // a lease was ever held
	logBytes int       // of entries kept for followers, over all shards
	books    books     // what the pages take

	activations uint64 // counts takeovers of any shard
	arrivals    uint64 // numbers the copies that arrive
	grants      uint64 // numbers read leases, over all shards and activations
	granted     grants // those that may still run
	streams     uint64 // numbers transfers

	track bool
	dirty []*replica // primaries that may have entries to send
	out   Ready
}

// Ready is what the machine wants done, in order. The driver sends the
// messages, gives the answers to those who wait, and sends the proposals to the
// Raft leader's keeper.
type Ready struct {
	Send    []wire.Envelope
	Answers []Answer
	Propose []wire.Message // ShardShrink, ShardPromote, ShardTransfer
	Events  []Event
	Pages   []PageChange // with Track
	Wants   []Want
}

// Answer is the outcome of a Submit with the same ID. An error of kind
// Unavailable, Conflict, NotFound, Exhausted, Invalid or DataLost means that the
// mutation was not applied; Indeterminate that it may be, and that sending it
// again with its operation ID is safe.
type Answer struct {
	ID        uint64
	Version   holo.Version
	Applied   bool   // false: a compare-and-set found something else
	Old       uint64 // what an atomic operation met, as in memory
	Duplicate bool   // it had been applied before
	Err       error
}

// New makes the machine of a process that has just started: it holds nothing.
func New(o Options) *Machine {
	return &Machine{self: o.Self, timing: o.Timing, limits: o.Limits, track: o.Track}
}

// Ready returns what is to be done and forgets it.
func (m *Machine) Ready(now holo.Time) Ready {
	for _, r := range m.dirty {
		r.dirty = false
		if r.lead != nil && r.lead.active {
			m.replicate(now, r)
		}
	}
	m.dirty = m.dirty[:0]
	out := m.out
	m.out = Ready{}
	return out
}

// Tick sends again what was not answered, proposes what is due, and lets go of
// the memory of shards left long ago. Call it about four times per Resend.
func (m *Machine) Tick(now holo.Time) {
	m.expire(now)
	m.books.stale = true
	for _, r := range m.replicas {
		if r == nil {
			continue
		}
		m.tickHeals(now, r)
		switch {
		case r.lead == nil:
			m.collect(now, r)
		case r.lead.active:
			m.tickActive(now, r)
		default:
			m.tickTakeover(now, r)
		}
	}
	m.teach(now)
}

// Step takes a message of the shard protocol from a node. It must have passed
// Verify. What is not for this incarnation is ignored (I12).
func (m *Machine) Step(now holo.Time, from holo.NodeID, msg wire.Message) {
	sm, ok := msg.(wire.ShardMessage)
	if !ok || !sm.Head().Shard.Valid() {
		m.event(IgnoredMessage, nil, from)
		return
	}
	h := sm.Head()
	if h.To != m.self.Incarnation {
		m.event(OtherIncarnation, nil, from)
		return
	}
	m.take(now, m.replica(h.Shard), wire.Member{Node: from, Incarnation: h.From}, sm)
}

// take sorts what a primary says to the others and what they answer. It is the
// part of Step that a message kept for later goes through again.
func (m *Machine) take(now holo.Time, r *replica, who wire.Member, msg wire.ShardMessage) {
	switch msg := msg.(type) {
	case *wire.Repl:
		if m.heeds(r, who, msg) {
			m.onRepl(r, who, msg)
		}
	case *wire.Seal:
		if m.heeds(r, who, msg) {
			m.onSeal(r, who, msg)
		}
	case *wire.Recon:
		if m.heeds(r, who, msg) {
			m.onRecon(r, who, msg)
		}
	case *wire.Snap:
		if m.heeds(r, who, msg) {
			m.onSnap(r, who, msg)
		}
	default:
		m.takeAnswer(now, r, who, msg)
	}
}

func (m *Machine) takeAnswer(now holo.Time, r *replica, who wire.Member, msg wire.ShardMessage) {
	switch msg := msg.(type) {
	case *wire.Ack:
		m.onAck(now, r, who, msg)
	case *wire.SealAck:
		m.onSealAck(now, r, who, msg)
	case *wire.ReconAck:
		m.onReconAck(now, r, who, msg)
	case *wire.SnapAck:
		m.onSnapAck(now, r, who, msg)
	case *wire.InvalAck:
		m.onInvalAck(now, r, who, msg)
	case *wire.PageAsk:
		m.onPageAsk(r, who, msg)
	case *wire.PageGive:
		m.onPageGive(now, r, who, msg)
	default:
		m.event(IgnoredMessage, r, who.Node) // an Inval is for the node's Cache
	}
}

// replica finds or makes the replica of a shard. A new one is empty: that is
// what a member of a shard just created holds, and nobody else is one without
// a transfer.
func (m *Machine) replica(s holo.ShardID) *replica {
	if m.replicas[s] == nil {
		m.replicas[s] = newReplica(s, m.log())
	}
	return m.replicas[s]
}

func (m *Machine) head(r *replica, to wire.Member) wire.ShardHead {
	return wire.ShardHead{Shard: r.shard, Epoch: r.promised, From: m.self.Incarnation, To: to.Incarnation}
}

func (m *Machine) send(to wire.Member, msg wire.Message) {
	m.out.Send = append(m.out.Send, wire.Envelope{To: to.Node, Msg: msg})
}

func (m *Machine) answer(a Answer) { m.out.Answers = append(m.out.Answers, a) }

func (m *Machine) propose(msg wire.Message) { m.out.Propose = append(m.out.Propose, msg) }

// leased reports whether the node lease runs.
func (m *Machine) leased(now holo.Time) bool { return m.held && now < m.lease }

// touch makes Ready look for entries to send.
func (m *Machine) touch(r *replica) {
	if !r.dirty {
		r.dirty = true
		m.dirty = append(m.dirty, r)
	}
}

// Event tells that something changed, for logs and counters.
type Event struct {
	Kind  EventKind
	Shard holo.ShardID
	Epoch holo.Epoch
	Node  holo.NodeID // the other side, if any
	Page  holo.PageID // of PageDamaged and PageHealed
	Pages int         // in the copy, of Promoted
}

// EventKind sorts events.
type EventKind uint8

// The kinds.
const (
	TookOver         EventKind = iota + 1 // began to take over as primary
	Activated                             // serves as primary
	SteppedDown                           // is primary no more
	Learned                               // holds a complete copy as a learner
	Collected                             // let go of a shard left long ago
	OtherIncarnation                      // a message for a past or future life of this node
	IgnoredMessage                        // a message that makes no sense here
	PageDamaged                           // a copy here does not have its digest
	PageHealed                            // it was replaced by the copy of that node
	NoRoom                                // pages from the primary that the memory has no room for
	StaleMessage                          // what only a primary sends, of an epoch that is over
	Promoted                              // became a member, with the copy that it learned
	eventKinds
)

var eventNames = [...]string{"", "took_over", "activated", "stepped_down", "learned", "collected", "other_incarnation", "ignored_message", "page_damaged", "page_healed", "no_room", "stale_message", "promoted"}

// String is the kind's stable name.
func (k EventKind) String() string {
	if k == 0 || k >= eventKinds {
		return fmt.Sprintf("event(%d)", uint8(k))
	}
	return eventNames[k]
}

func (m *Machine) event(k EventKind, r *replica, node holo.NodeID) {
	e := Event{Kind: k, Node: node}
	if r != nil {
		e.Shard, e.Epoch = r.shard, r.promised
	}
	m.out.Events = append(m.out.Events, e)
}
