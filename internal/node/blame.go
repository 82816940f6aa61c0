package node

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/holocompute/holocompute/internal/consensus"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Some refusals say something about who was refused. A member is blamed for what
// no node that runs this program sends, whatever it was told and whenever it
// heard of it, and what nobody can put into its session: the name on the record
// is that of the peer whose key the handshake proved, never of a field.
//
// So these are blamed, each where it is found: a message or an answer that does
// not decode, has no route or is not for nodes to send; content whose own
// message carries another digest; a command that its sender may not propose, or
// that bears no valid signature of the node or client in whose name it comes,
// which every honest node checks before it passes one on; a Raft request in
// another node's name. These are not: what is stale, late, or of who led or held
// a shard a moment ago; what a client asked for and may not; pages of a sealed
// array that another node may have spoilt; records that do not open, since what
// they came in is not what the handshake protects.

// blame is who did what.
type blame struct {
	node   holo.NodeID
	reason string
}

// blames counts them. They are members and constants of the program, so the
// table is bounded as both are.
type blames = ledger[blame]

// blame notes that a member did what the error is about, and gives the error.
// Who is no member is a stranger, and is refused and counted as one.
func (n *Node) blame(peer holo.NodeID, err error) error {
	n.blameFor(peer, holo.ReasonOf(err))
	return err
}

func (n *Node) blameFor(peer holo.NodeID, reason string) {
	if peer != n.self && n.members.has(peer) {
		n.blames.add(blame{peer, reason}, 1)
	}
}

// blameUnsigned blames who handed in a command without the signature that it
// needs. Why else a command is refused can be the doing of whoever asked for it,
// or of time.
func (n *Node) blameUnsigned(from holo.NodeID, refusal error) {
	switch reason := holo.ReasonOf(refusal); reason {
	case catalog.ReasonNodeSig, catalog.ReasonRequestSig:
		n.blameFor(from, reason)
	}
}

// blameRaft takes what Raft refused.
func (n *Node) blameRaft(reason string, peer holo.NodeID) {
	n.refusals.add(reason)
	if reason == consensus.ReasonImpostor {
		n.blameFor(peer, reason)
	}
}

// recordBlames keeps a record for each member and reason. What cannot be
// recorded is counted on and tried again.
func (n *Node) recordBlames(due map[blame]uint64) {
	for who, count := range due {
		n.log.Warn("a member sent what no node of this program sends", "event", "member.blamed", "node", who.node.String(), "reason", who.reason, "count", count)
		r := &wire.AuditRecord{
			Event: "member.blamed", Decision: wire.Refused, Reason: who.reason, Count: count,
			Actor:    wire.Actor{Kind: wire.ActorNode, Key: who.node},
			Resource: wire.AuditText(fmt.Sprintf("node %s %s", who.node.Hex(), n.members.name(who.node))),
		}
		if err := n.audit.Report(r); err != nil {
			n.blames.owe(who, count)
			n.log.Error("blame not recorded", "node", who.node.String(), "reason", who.reason, "error", err)
		}
	}
}

// blameWarnings name in sentences the members that somebody should look at.
func (n *Node) blameWarnings() (out []string) {
	said := map[holo.NodeID][]string{}
	for who, count := range n.blames.all() {
		if n.members.has(who.node) {
			said[who.node] = append(said[who.node], fmt.Sprintf("%s %d", who.reason, count))
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(said), holo.NodeID.Compare) {
		slices.Sort(said[id])
		out = append(out, fmt.Sprintf("Node %s sent what no node of this program sends (%s): its machine may have been taken over, or its memory may be failing. "+
			"holo audit show --event member.blamed has the records; holo node evict puts it out.", n.members.name(id), strings.Join(said[id], ", ")))
	}
	return out
}
