package node

import (
	"context"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/wire"
)

// ListMembers tells who is a member, by the chain that this node verified, and
// the end of that chain, for which the owner signs what comes next.
func (n *Node) ListMembers(ctx context.Context, _ door.Caller) (*holov1.ListMembersResponse, error) {
	nodes, err := queryAll[*wire.NodeRecord](ctx, n, wire.CatalogQuery{What: wire.QueryNodes})
	if err != nil {
		return nil, err
	}
	n.followOnce(ctx)
	records, _ := n.members.state()
	head := catalog.RecordHash(&records[len(records)-1])
	out := &holov1.ListMembersResponse{Head: head[:]}
	for _, r := range nodes {
		if n.members.has(r.Node) {
			out.Members = append(out.Members, membershipOut(r))
		}
	}
	return out, nil
}

func membershipOut(r *wire.NodeRecord) *holov1.Membership {
	m := &holov1.Membership{Node: r.Node[:], Name: r.Name, State: lifeOf(r), Admission: r.Admission[:], JoinedUnix: r.Joined}
	if len(r.Place.Addresses) > 0 {
		m.Address = r.Place.Addresses[0]
	}
	return m
}

func lifeOf(r *wire.NodeRecord) string {
	if r.Alive {
		return "active"
	}
	return "dead"
}

var _ door.Nodes = (*Node)(nil)
