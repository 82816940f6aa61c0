package node

import (
	"context"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/wire"
)

// ownerRecords is how much of the chain one answer of OwnerState tells: with the
// longest records about 130 KiB.
const ownerRecords = feedRecords

// OwnerState tells what a succession of the owner is signed over, for the signer
// to verify: the chain from a record on, the token keys, and the access epoch.
func (n *Node) OwnerState(ctx context.Context, _ door.Caller, m *holov1.OwnerStateRequest) (*holov1.OwnerStateResponse, error) {
	if m.GetFirst() == 0 {
		n.followOnce(ctx)
	}
	records, _ := n.members.state()
	first := min(int(m.GetFirst()), len(records))
	out := &holov1.OwnerStateResponse{}
	for i := range records[first:min(len(records), first+ownerRecords)] {
		out.Chain = append(out.Chain, wire.Encode(&records[first+i]))
	}
	if len(out.Chain) > 0 {
		return out, nil
	}
	f, err := queryOne[*wire.TokenFeed](ctx, n, wire.CatalogQuery{What: wire.QueryTokenFeed})
	if err != nil {
		return nil, err
	}
	out.Access = wire.Encode(f)
	return out, nil
}

// SucceedOwner brings the succession of the owner's key to the catalogue. Whoever
// sends it, the signatures of both keys decide.
func (n *Node) SucceedOwner(ctx context.Context, _ door.Caller, m *holov1.SucceedOwnerRequest) (*holov1.SucceedOwnerResponse, error) {
	msg, err := wire.Decode(m.GetSuccession())
	cmd, ok := msg.(*wire.OwnerSuccession)
	if err != nil || !ok {
		return nil, holo.Errorf(holo.Invalid, "replace owner key: the request holds no succession")
	}
	head, err := proposeFor[*wire.AccessHead](ctx, n, cmd)
	if err != nil {
		return nil, n.refusals.addErr(err)
	}
	n.learnNow(ctx)
	return &holov1.SucceedOwnerResponse{Epoch: head.Epoch}, nil
}

// knowOwner follows the chain to the owner that a policy or a token key speaks of,
// where that is another one than is known here. Only the chain says who it is.
func (n *Node) knowOwner(ctx context.Context, owner holo.PrincipalID) {
	for _, ask := range []func(version uint64, chain int) *wire.CatalogFeed{
		n.replicaFeed,
		func(version uint64, chain int) *wire.CatalogFeed { return n.leaderFeed(ctx, version, chain) },
	} {
		for more := true; more && n.members.owner() != owner; {
			f := ask(n.members.at())
			more = f != nil && n.learnMembers(f)
		}
	}
}

// saveOwner moves the node's own pin on, behind the chain that leads there: a
// chain without that owner is refused from then on. It is called under saving.
func (n *Node) saveOwner() error {
	owner := n.members.owner()
	if owner == n.members.kept {
		return nil
	}
	settings := *n.home.settings
	settings.Owner = owner
	if err := identity.WriteCluster(n.home.path(identity.ClusterFile), &settings); err != nil {
		return err
	}
	n.members.kept = owner
	return nil
}
