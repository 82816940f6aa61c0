package node

import (
	"github.com/holocompute/holocompute/internal/consensus"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/core/pagecache"
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/jobs"
	"github.com/holocompute/holocompute/internal/transport"
)

// eventsOf names the records of refusals that somebody should look for by what
// happened: who was not let in, what was not taken from who is in. All others
// are refusals.counted. The reason says the rest.
var eventsOf = map[string][]string{
	"auth.failed": {
		handshake.ReasonUnknownNode, handshake.ReasonUnknownPSK, handshake.ReasonBadHandshake, handshake.ReasonBadIdentity,
		handshake.ReasonDowngrade, handshake.ReasonSuiteRefused, handshake.ReasonReflection, handshake.ReasonWrongCluster,
		handshake.ReasonWrongKind, handshake.ReasonVersion, handshake.ReasonBadHello, transport.ReasonWrongPeer, reasonOldKey,
	},
	"authz.denied":            {catalog.ReasonNotGranted, catalog.ReasonNotReleased},
	"clock.skew":              {handshake.ReasonClockSkew},
	"epoch.stale":             {shard.ReasonStaleMessage},
	"module.hash_mismatch":    {reasonModuleHash, jobs.ReasonModuleHash},
	"quota.denied":            {catalog.ReasonQuota, shard.ReasonMemory, pagecache.ReasonRoom},
	"node.duplicate_identity": {transport.ReasonDuplicate},
	"msg.rejected": {
		transport.ReasonDatagram, transport.ReasonBadRecord, reasonMalformed, reasonUnknownRoute, reasonNotAllowed, reasonBadDigest,
		consensus.ReasonImpostor, catalog.ReasonNodeSig, catalog.ReasonRequestSig, catalog.ReasonNotTheirs, catalog.ReasonBadChain,
	},
}

// reasonBadDigest is why a shard's machine takes no content (core/shard), and
// the door no body.
const reasonBadDigest = "bad_digest"

var eventOf = byReason(eventsOf)

func byReason(events map[string][]string) map[string]string {
	of := map[string]string{}
	for event, reasons := range events {
		for _, reason := range reasons {
			of[reason] = event
		}
	}
	return of
}

// refusalEvent is the name of the record of refusals for a reason.
func refusalEvent(reason string) string {
	if event, ok := eventOf[reason]; ok {
		return event
	}
	return "refusals.counted"
}
