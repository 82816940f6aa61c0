// Package memory is a node's part in the memory of the cluster. Pages are read
// and written at the home of their shard (read.go, write.go, mutate.go); of
// sealed arrays any member will do, because what it answers is checked against
// the root that was sealed (sealed.go). What other nodes' homes lend is kept for
// a while (cache.go), what this node's memory cannot hold lies in its spill
// folder (spill.go), and all of it is read again to find damage (scrub.go).
//
// The replicas themselves are one machine, internal/core/shard. It belongs to
// the goroutine that takes the node's turns, which is told of them here
// (machine.go); everybody else posts and waits. How peers are reached, and who
// leads the catalogue, are the node's to know: it implements Links.
package memory

import (
	"context"
	"log/slog"
	"time"

	"github.com/holocompute/holocompute/internal/core/pagecache"
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/scrub"
	"github.com/holocompute/holocompute/internal/storage"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

// Reasons for which this package refuses.
const (
	ReasonBusy      = "busy"            // too much is on its way to a peer
	ReasonMalformed = "malformed"       // an answer that is none
	ReasonDigest    = "digest_mismatch" // bytes that are not what their digest says
	ReasonNoRoom    = "no_room"         // a copy of a shard that came has no room in the page memory
	ReasonNotOpen   = "array_not_open"  // a write to an array that is sealed or being sealed
	ReasonNoHome    = "no_home"         // nobody serves the shard just now
	ReasonLost      = "data_lost"       // no holder of a shard is left
	ReasonSlow      = "slow"            // not done yet; it may be later
)

// opDeadline bounds one operation on arrays over all its retries. A failover
// takes up to 12 s when the Raft leader died (ruling 6).
const opDeadline = 15 * time.Second

// Links is what a node's memory needs of the node. Its methods are safe for
// concurrent use.
type Links interface {
	// Ask sends one request to a peer and gives its one answer.
	Ask(ctx context.Context, to holo.NodeID, class transport.Class, req wire.Message) (wire.Message, error)
	// Call does the same where there are many answers: each says when it has all.
	Call(ctx context.Context, to holo.NodeID, class transport.Class, req wire.Message, each func(wire.Message) (done bool, err error)) error
	// Send sends a message that nobody waits for.
	Send(to holo.NodeID, class transport.Class, m wire.Message)
	// Blame notes that a member did what the error is about, and gives the error.
	Blame(peer holo.NodeID, err error) error
	// Unexpected blames a member for an answer that answers nothing.
	Unexpected(peer holo.NodeID, m wire.Message) error
	// Corrupt reports an answer that is not what it claims to be.
	Corrupt(peer holo.NodeID, err error)
	// Members are the nodes of the cluster, this one included.
	Members() []holo.NodeID
	// Record asks the catalogue for one array.
	Record(ctx context.Context, q wire.CatalogQuery) (*wire.ArrayRecord, error)
}

// Request is what a peer asks of this node's memory. Answer writes one message
// back.
type Request struct {
	From   holo.NodeID
	Msg    wire.Message
	Answer func(wire.Message) error
}

// Config says what a node's memory is made of.
type Config struct {
	Self        holo.NodeID
	Incarnation holo.Incarnation
	Bytes       uint64           // of page memory
	SpillDir    string           // where pages go that do not fit; empty: nowhere
	SpillLimit  uint64           // of files there
	ScrubRate   uint64           // bytes per second that are read again; 0: scrub.DefaultRate
	Turns       *wait.Turns      // of the goroutine that owns the replicas
	Group       *wait.Group      // for goroutines
	Now         func() holo.Time // as the replicas are told it
	Links       Links
	Refused     func(reason string) // counts a refusal
	Recorded    func(reason string) // counts what gets a record of its own, by Found
	Copied      func(shard.Event)   // is told of each copy of pages that was made here, and counts
	Log         *slog.Logger

	// Reconfigured is told of shards that are in a later epoch: how many, and one of
	// them.
	Reconfigured func(shards uint64, last wire.ShardConfig)
}

// Node is the memory of one node. What is documented as a turn's is called by
// the goroutine that takes the turns; all else is safe for concurrent use.
type Node struct {
	// Configs is who holds which shard, as far as this node was told.
	Configs *Configs
	// Found is what scrubbing found.
	Found scrub.Book

	config      Config
	self        holo.NodeID
	incarnation holo.Incarnation
	turns       *wait.Turns
	group       *wait.Group
	links       Links
	now         func() holo.Time
	refused     func(reason string)
	recorded    func(reason string)
	log         *slog.Logger

	flows   *flows
	ops     *operations
	records *records
	seals   *seals
	cache   *readCache

	laneChanged wait.Signal // after each operation on a lane of which this node is home

	machine *shard.Machine // the turn's
	spill   *spill         // the turn's; nil: all pages are in memory
	swept   holo.Time      // when the read cache was, last
	answers map[uint64]func(shard.Answer)
	next    uint64
}

// New makes a node's memory. Open comes next, Close at the end.
func New(c Config) *Node {
	n := &Node{
		Configs: newConfigs(), config: c, self: c.Self, incarnation: c.Incarnation, turns: c.Turns, group: c.Group, links: c.Links, now: c.Now,
		refused: c.Refused, recorded: c.Recorded, log: c.Log, flows: newFlows(), ops: newOperations(), records: newRecords(), seals: newSeals(), cache: newReadCache(),
		machine: newMachine(&c), answers: map[uint64]func(shard.Answer){},
	}
	n.Configs.recovered, n.Configs.reconfigured = func() { n.Forget(0) }, c.Reconfigured
	return n
}

// Close ends it. The turns must be over.
func (n *Node) Close() error {
	if n.spill == nil {
		return nil
	}
	return n.spill.store.Close()
}

// Store is the spill folder, nil where the node has none.
func (n *Node) Store() *storage.Store {
	if n.spill == nil {
		return nil
	}
	return n.spill.store
}

// Frames is the cache of pages before the spill folder, the turn's; nil where the
// node has none.
func (n *Node) Frames() *pagecache.Machine {
	if n.spill == nil {
		return nil
	}
	return n.spill.cache
}

// Capacity is how much the node offers: in memory, and on disk beyond it.
func (n *Node) Capacity() (memory, spill uint64) {
	return n.config.Bytes, spillRoom(n.config.Bytes, n.config.SpillLimit)
}

// Usage is what the node holds.
func (n *Node) Usage(ctx context.Context) (*wire.Usage, error) {
	u := &wire.Usage{Incarnation: n.incarnation}
	u.Capacity, u.Spill = n.Capacity()
	err := n.turns.Do(ctx, func(holo.Time) {
		m := n.machine.Usage()
		u.Resident, u.Spilled = uint64(m.Bytes-m.Away+m.Tail+m.Arriving), uint64(m.Away)
	})
	if err != nil {
		return nil, err // and the turn may yet write to u
	}
	u.Cached, u.CacheHits, u.CacheMisses = n.cache.bytes(), n.cache.hits.Load(), n.cache.misses.Load()
	return u, nil
}

// ForgetCached drops what the node keeps of other nodes' pages, so that the next
// read of each asks its home: it is what a cached read is measured against.
func (n *Node) ForgetCached() { n.cache.clear() }
