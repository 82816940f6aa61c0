package node

import (
	"maps"
	"sync"

	"github.com/holocompute/holocompute/internal/holo"
)

// refusals counts what was refused, by reason. Reasons are constants of the
// program, so the table stays small whatever strangers send.
type refusals struct {
	mu struct {
		sync.Mutex
		count map[string]uint64
	}
}

// Reasons for which this package refuses.
const (
	reasonUnknownRoute = "unknown_route"   // no route for the message
	reasonNotAllowed   = "not_allowed"     // a route, but not for this kind of session
	reasonBusy         = "busy"            // a quota class is full
	reasonMalformed    = "malformed"       // a message that does not decode
	reasonDigest       = "digest_mismatch" // bytes that are not what their digest says
	reasonMemory       = "memory"          // the page memory budget is used up
	reasonNotLeader    = "not_leader"      // the catalogue is led elsewhere
	reasonNoLeader     = "no_leader"       // nobody leads the catalogue just now
	reasonUnreachable  = "unreachable"     // the node did not answer
	reasonMembership   = "unknown_node"    // a node that is not in the verified chain
	reasonNotOpen      = "array_not_open"  // a write to an array that is sealed or being sealed
	reasonCorruptChain = "corrupt_chain"   // membership records that do not verify
	reasonModuleHash   = "module_hash"     // module bytes that are not what their hash says
	reasonNoHome       = "no_home"         // nobody serves the shard just now
	reasonLost         = "data_lost"       // no holder of a shard is left
	reasonElsewhere    = "elsewhere"       // another node has to be asked
	reasonSlow         = "slow"            // not done yet; it may be later
	reasonEvicted      = "evicted"         // this node was removed from the cluster
	reasonOldKey       = "old_cluster_key" // a member that has confirmed a later key than it comes with
	reasonRenamed      = "kernel_renamed"  // a kernel's name was given to another module
	reasonPending      = "pending"         // this node waits for votes
	reasonClosing      = "closing"         // this node is shutting down
)

func newRefusals() *refusals {
	r := &refusals{}
	r.mu.count = make(map[string]uint64)
	return r
}

func (r *refusals) add(reason string) {
	if reason == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.count[reason]++
}

// addErr counts an error by its reason and returns it.
func (r *refusals) addErr(err error) error {
	r.add(holo.ReasonOf(err))
	return err
}

func (r *refusals) all() map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.mu.count)
}
