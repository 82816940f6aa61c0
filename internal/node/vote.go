package node

import (
	"context"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Approve votes for a node that waits: as the owner where the owner's signature
// is in the request, else as this node, with its key. A node votes under the
// policy of the chain that it verified for itself.
func (n *Node) Approve(ctx context.Context, _ door.Caller, m *holov1.ApproveRequest) (*holov1.ApproveResponse, error) {
	id := holo.NodeID(m.GetNode())
	vote := wire.Vote{Voter: n.members.owner()}
	if sig := m.GetOwnerSignature(); len(sig) > 0 {
		copy(vote.Sig[:], sig)
	} else {
		p, err := n.pendingNode(ctx, id)
		if err != nil {
			return nil, err
		}
		vote.Voter = n.self
		copy(vote.Sig[:], n.sign(n.voteProof(&p.Admit)))
	}
	decided, err := n.propose(ctx, &wire.AdmitVote{Node: id, Vote: vote})
	if err != nil {
		return nil, n.refusals.addErr(err)
	}
	if p, waits := decided.(*wire.PendingRecord); waits {
		return &holov1.ApproveResponse{Have: uint32(len(p.Votes)), Need: uint32(p.Need)}, nil
	}
	return &holov1.ApproveResponse{Admitted: true}, nil
}

func (n *Node) pendingNode(ctx context.Context, id holo.NodeID) (*wire.PendingRecord, error) {
	all, err := queryAll[*wire.PendingRecord](ctx, n, wire.CatalogQuery{What: wire.QueryPending})
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if p.Admit.Node == id {
			return p, nil
		}
	}
	return nil, holo.Errorf(holo.NotFound, "vote for node %s: it does not wait for votes", id)
}

func (n *Node) voteProof(a *wire.Admit) []byte {
	records, _ := n.members.state()
	policy, _ := catalog.PolicyOf(records)
	return api.VoteProof(n.cluster, policy, a.Node, a.InviteKey, a.HandshakeHash, a.Name)
}

// SetPolicy brings the owner's word about votes to the catalogue.
func (n *Node) SetPolicy(ctx context.Context, _ door.Caller, m *holov1.PolicyRequest) error {
	_, err := n.propose(ctx, &wire.PolicyPut{Need: uint8(m.GetVotes()), OwnerSig: [64]byte(m.GetOwnerSignature())})
	return n.refusals.addErr(err)
}

func pendingOut(p *wire.PendingRecord) *holov1.PendingNode {
	a := &p.Admit
	return &holov1.PendingNode{
		Node: a.Node[:], Name: a.Name, InviteKey: a.InviteKey[:], HandshakeHash: a.HandshakeHash[:],
		Have: uint32(len(p.Votes)), Need: uint32(p.Need), SinceUnix: p.Since, ExpiresUnix: p.Expires,
	}
}
