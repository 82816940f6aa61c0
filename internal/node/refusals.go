package node

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/holocompute/holocompute/internal/buffer"
	"github.com/holocompute/holocompute/internal/consensus"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/core/pagecache"
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/core/tally"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/storage"
	"github.com/holocompute/holocompute/internal/transport"
)

// refusals counts what was refused, by reason. Reasons are constants of the
// program, so the table stays small whatever strangers send. Those without a
// record of their own in the audit log are owed to it, and paid by number.
type refusals struct {
	mu struct {
		sync.Mutex
		count map[string]uint64
		owed  *tally.Tally[string]
	}
}

// recordEvery is the least time between two records of a reason.
const recordEvery = 60 * holo.Second

// Reasons for which this package refuses.
const (
	reasonUnknownRoute = "unknown_route"   // no route for the message
	reasonNotAllowed   = "not_allowed"     // a route, but not for this kind of session
	reasonBusy         = "busy"            // a quota class is full
	reasonMalformed    = "malformed"       // a message that does not decode
	reasonDigest       = "digest_mismatch" // bytes that are not what their digest says
	reasonNoRoom       = "no_room"         // a copy of a shard that came has no room in the page memory
	reasonNotLeader    = "not_leader"      // the catalogue is led elsewhere
	reasonNoLeader     = "no_leader"       // nobody leads the catalogue just now
	reasonUnreachable  = "unreachable"     // the node did not answer
	reasonMembership   = "unknown_node"    // a node that is not in the verified chain
	reasonNotOpen      = "array_not_open"  // a write to an array that is sealed or being sealed
	reasonCorruptChain = "corrupt_chain"   // membership records that do not verify
	reasonModuleHash   = "module_hash"     // module bytes that are not what their hash says
	reasonNoHome       = "no_home"         // nobody serves the shard just now
	reasonLost         = "data_lost"       // no holder of a shard is left
	reasonDraining     = "draining"        // the node takes no new work
	reasonElsewhere    = "elsewhere"       // another node has to be asked
	reasonSlow         = "slow"            // not done yet; it may be later
	reasonEvicted      = "evicted"         // this node was removed from the cluster
	reasonOldKey       = "old_cluster_key" // a member that has confirmed a later key than it comes with
	reasonRenamed      = "kernel_renamed"  // a kernel's name was given to another module
	reasonPending      = "pending"         // this node waits for votes
	reasonClosing      = "closing"         // this node is shutting down
	reasonClockSkew    = "clock_skew"      // a token from the future: clocks are further apart than a minute
	reasonTokens       = "tokens_refused"  // token keys or revocations that nobody who may has signed

	reasonClientsOff     = "clients_off"      // clients of other machines are not let in
	reasonTooManyLinks   = "too_many_links"   // clients have as many links as they may
	reasonTooManyStreams = "too_many_streams" // a client has as many connections in its link as it may
)

// routine are the reasons for which nodes and clients are sent elsewhere or
// told to try again while the cluster works as it should. They are counted, and
// not recorded: nobody did anything.
var routine = []string{
	reasonNotLeader, reasonNoLeader, reasonUnreachable, reasonNoHome, reasonElsewhere, reasonSlow, reasonClosing,
	consensus.ReasonClosed, transport.ReasonRetry, transport.ReasonDisconnected, transport.ReasonBackOff, transport.ReasonNoAddress,
	transport.ReasonQueueFull, placement.ReasonStaleEpoch, placement.ReasonStaleLife, placement.ReasonNotMember, placement.ReasonFloor,
	"taking_over", "recovering", "handoff", "not_primary", "no_lease", "not_sealed_here",
	"deposed", "stopping", "node_lost", catalog.ReasonStaleStamp,
	shard.ReasonLocked, pagecache.ReasonChanged, pagecache.ReasonBusy, storage.ReasonClosed, "page_healing", reasonNoRoom,
	buffer.ReasonFull, buffer.ReasonForgotten, buffer.ReasonOrder, buffer.ReasonOver,
}

func newRefusals() *refusals {
	r := &refusals{}
	r.mu.count, r.mu.owed = map[string]uint64{}, tally.New[string](recordEvery)
	return r
}

// add counts a refusal that has no record of its own.
func (r *refusals) add(reason string) {
	if reason == "" {
		return
	}
	r.count(reason)
	if !slices.Contains(routine, reason) {
		r.owe(reason, 1)
	}
}

// count counts a refusal that was recorded.
func (r *refusals) count(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.count[reason]++
}

// owe notes refusals that are still to be recorded.
func (r *refusals) owe(reason string, count uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.owed.Owe(reason, count)
}

// due takes what is to be recorded now.
func (r *refusals) due(now holo.Time) map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.owed.Due(now)
}

// rest takes all that is still to be recorded.
func (r *refusals) rest() map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.owed.Rest()
}

// recorded marks a refusal that has a record of its own.
type recorded struct{ error }

func (r recorded) Unwrap() error { return r.error }

// addErr counts an error by its reason and returns it. What has a record was
// counted with it.
func (r *refusals) addErr(err error) error {
	if _, ok := errors.AsType[recorded](err); !ok {
		r.add(holo.ReasonOf(err))
	}
	return err
}

func (r *refusals) all() map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.mu.count)
}
