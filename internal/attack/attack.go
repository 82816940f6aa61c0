// Package attack is somebody with less than full rights: attacks on a live node
// from outside it, over the network, with nothing but what such an attacker
// would have. It speaks the real protocols, since an attack that a typing error
// keeps out proves nothing; each attack that is refused here succeeds with the
// right credentials (the tests' controls).
//
// There are strangers, who want to be let in (stranger.go), and a member that
// lies about the pages it holds (liar.go, driver.go, serve.go). Nothing in the
// production code knows of this package: it gets no favours.
package attack

import (
	"context"
	"log/slog"

	"github.com/holocompute/holocompute/internal/holo"
)

// anyLoopback is where attackers live: a free port of this machine.
const anyLoopback = "127.0.0.1:0"

var quiet = slog.New(slog.DiscardHandler)

// Target is the node that is attacked. Refusals reads its counters; that is not
// the attacker's doing but the observer's, who wants to know why it failed.
type Target struct {
	Address  string
	Cluster  holo.ClusterID
	Node     holo.NodeID
	Refusals func(context.Context) (map[string]uint64, error)
}

// Outcome is what became of an attack. It is refused only when the attacker got
// nothing and the node counted that it refused, for a reason that fits.
type Outcome struct {
	Refused bool
	Reason  string // the counter of the target that moved, empty when none did
	Detail  string // one line for people
}
