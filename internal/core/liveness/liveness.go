// Package liveness decides which nodes are alive, by leases. Holder is a
// node's side, Keeper that of the Raft leader; gossip and guesses have no say.
//
// A lease counts on the holder's monotonic clock from the moment its heartbeat
// was sent, never from when the answer came, so no two clocks are compared; of
// the clocks only a bound on their rates is assumed. The keeper answers only
// after Raft has verified its leadership in a round that began after the
// heartbeat came, so a deposed leader cannot grant. It declares a node dead
// when it has heard nothing for a lease and the clock error, and a new keeper,
// which knows no leases, first waits that long.
//
// The keeper also asks for the repairs: learners where copies are missing,
// drops where there are too many. It decides nothing by itself: it proposes
// commands, which Raft orders and the shard table may refuse.
package liveness

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
)

// Timing is the spans of time that nodes and keeper share. It is the same on
// every node of a cluster.
type Timing struct {
	TTL        holo.Duration // of a node lease
	Beat       holo.Duration // between heartbeats: a fifth of TTL, so that four may be lost
	ReadTTL    holo.Duration // of a read lease
	SlowMember holo.Duration // silence after which a primary asks to replace a member
	Resend     holo.Duration // between repeats of a message
	Settle     holo.Duration // how long a node is heard before more is moved to it only to even things out
	Batch      holo.Duration // heartbeats of this long share one round of verification
	Epsilon    float64       // assumed bound on the error of a clock's rate

	// MoveRate is how many bytes a second are moved only to even things out, as the
	// arrays take them in full; 0: any number. Only the keeper's counts.
	MoveRate uint64
}

// DefaultMoveRate leaves most of a link of 1 Gbit/s to the users: 32 MiB/s.
const DefaultMoveRate = 32 << 20

// DefaultTiming is what clusters run with. One percent is a generous bound:
// oscillators are within 0.01 %.
func DefaultTiming() Timing {
	return Timing{
		TTL: 3 * holo.Second, Beat: 600 * holo.Millisecond, ReadTTL: 2 * holo.Second, SlowMember: 500 * holo.Millisecond,
		Resend: 100 * holo.Millisecond, Settle: 10 * holo.Second, Batch: 20 * holo.Millisecond, Epsilon: 0.01, MoveRate: DefaultMoveRate,
	}
}

// Patience is how long the keeper waits before it declares a lease over. The
// holder's clock may run slow and the keeper's fast, each by Epsilon; twice
// the sum leaves room for the rounding of both.
func (t Timing) Patience() holo.Duration {
	return holo.Duration(float64(t.TTL) * (1 + 4*t.Epsilon))
}

// View is what the keeper sees of the catalogue. Shards MUST be the state at
// exactly Version, and include everything committed before the keeper's
// leadership began (the driver's barrier).
type View interface {
	Version() uint64
	Shards() *placement.Table
	AccessEpoch() uint64 // counts the changes of who may do what
	Sizes
}

// Sizes are what shards take and nodes offer.
type Sizes interface {
	// Bytes is what the arrays take in each copy of a shard, if all their pages
	// are written.
	Bytes(holo.ShardID) uint64
	// Offers is how many bytes of pages a node may be given to hold, in memory and
	// in its spill folder.
	Offers(holo.NodeID) (memory, spill uint64)
}
