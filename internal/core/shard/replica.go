package shard

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// replica is this node's copy of one shard.
//
// Invariants: commit <= seq; the table is the history up to commit, the tail
// what lies above; promised never falls (I2) and is never above the epoch of the
// newest configuration known here; lead is set exactly while this incarnation is
// that one's primary.
type replica struct {
	shard  holo.ShardID
	config wire.ShardConfig // the newest known; epoch 0: none
	early  *early           // waits for a newer one; nil: nothing does
	dirty  bool

	promised   holo.Epoch  // nothing older is accepted
	primary    wire.Member // that this copy was last made equal to
	reconciled holo.Epoch  // when
	sealed     bool        // promised to a new primary and not yet equal to it

	seq    holo.Seq
	commit holo.Seq
	table  table
	tail   tail

	learned  streamKey // the newest snapshot that was completed
	incoming *incoming // a transfer under way
	left     holo.Time // when a configuration without this node was learnt
	outside  bool      // left is set

	held    *early // a Repl some of whose entries change pages that are away
	wanting bool   // pages that are away were asked for

	heals []*heal // damaged pages, oldest first
	gives []give  // pages asked for that are away here

	lead   *leader
	leases map[holo.PageID][]lease // read leases granted and not yet over (I9)
}

func newReplica(s holo.ShardID, log *[]PageChange) *replica {
	return &replica{shard: s, table: newTable(s, log), tail: newTail(), leases: map[holo.PageID][]lease{}}
}

// minAck is the fewest members with which anything is acknowledged (I6).
func (r *replica) minAck() int { return wire.MinAck(r.shard.Class()) }

// enough reports whether the configuration has that many members.
func (r *replica) enough() bool { return len(r.config.Members) >= r.minAck() }

// seated reports whether the configuration names this incarnation as a member.
func (m *Machine) seated(c *wire.ShardConfig) bool {
	me, ok := c.Member(m.self.Node)
	return ok && me == m.self
}

// leads reports whether the configuration names this incarnation as primary.
// A restarted process is another incarnation, and no member (I12).
func (m *Machine) leads(c *wire.ShardConfig) bool {
	return c.Primary == m.self.Node && m.seated(c)
}

// State is what a replica is, for status output and tests.
type State uint8

// The states.
const (
	None       State = iota // no member; memory may still be there
	Learner                 // gets a snapshot and every new entry
	Member                  // in sync with the primary
	Sealed                  // promised to a new primary, not yet equal to it
	TakingOver              // primary, making the members equal to itself
	Active                  // primary
	Degraded                // primary with too few members: reads only
	Handoff                 // primary, giving the shard away
	Lost                    // no holder is left
)

var stateNames = [...]string{"none", "learner", "member", "sealed", "taking_over", "active", "degraded", "handoff", "lost"}

// String is the state's stable name.
func (s State) String() string { return stateNames[s] }

func (m *Machine) state(r *replica) State {
	c := &r.config
	switch {
	case c.Lost:
		return Lost
	case r.lead != nil && !r.lead.active:
		return TakingOver
	case r.lead != nil && r.lead.handoff != nil:
		return Handoff
	case r.lead != nil && !r.enough():
		return Degraded
	case r.lead != nil:
		return Active
	case r.sealed:
		return Sealed
	case m.seated(c):
		return Member
	case c.Learner == m.self:
		return Learner
	}
	return None
}

// Status describes one replica.
type Status struct {
	Shard     holo.ShardID
	State     State
	Config    wire.ShardConfig
	Promised  holo.Epoch
	Seq       holo.Seq
	Commit    holo.Seq
	Pages     int
	Bytes     int // of page data
	Queued    int // mutations waiting for read leases
	TakeoverN uint64
}

// Status describes this node's replica of a shard.
func (m *Machine) Status(s holo.ShardID) Status {
	r := m.replicas[s]
	if r == nil {
		return Status{Shard: s}
	}
	st := Status{
		Shard: s, State: m.state(r), Config: r.config, Promised: r.promised,
		Seq: r.seq, Commit: r.commit, Pages: len(r.table.pages), Bytes: r.table.bytes,
	}
	if r.lead != nil {
		st.Queued, st.TakeoverN = len(r.lead.queue), r.lead.activation
	}
	return st
}

// Usage sums what the machine holds.
type Usage struct {
	Shards   int // with a copy here
	Pages    int
	Bytes    int // of committed pages, those on disk included
	Away     int // bytes of those not in memory
	Damaged  int // pages whose bytes are neither in memory nor sound on disk
	Tail     int // bytes of pages not yet committed
	Arriving int // bytes of pages of transfers that are not complete
	LogBytes int // bytes of entries kept for followers
}

// Usage sums what the machine holds. It looks at every replica: call it for a
// report, not for every write.
func (m *Machine) Usage() Usage {
	u := Usage{LogBytes: m.logBytes}
	for _, r := range m.replicas {
		if r == nil {
			continue
		}
		u.Shards++
		u.Pages += len(r.table.pages)
		u.Bytes += r.table.bytes
		u.Away += r.table.away
		u.Damaged += r.damaged()
		for _, s := range r.tail.pages {
			u.Tail += len(s.data)
		}
		if r.incoming != nil {
			u.Arriving += r.incoming.bytes
		}
	}
	return u
}

// Primary says who the newest known configuration names as primary.
func (m *Machine) Primary(s holo.ShardID) (holo.NodeID, bool) {
	r := m.replicas[s]
	if r == nil || r.config.Epoch == 0 || r.config.Lost {
		return holo.NodeID{}, false
	}
	return r.config.Primary, true
}
