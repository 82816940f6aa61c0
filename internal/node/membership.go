package node

import (
	"context"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// ListMembers tells who is a member, by the chain that this node verified, and
// the end of that chain, for which the owner signs what comes next.
func (n *Node) ListMembers(ctx context.Context, _ door.Caller) (*holov1.ListMembersResponse, error) {
	nodes, err := queryAll[*wire.NodeRecord](ctx, n, wire.CatalogQuery{What: wire.QueryNodes})
	if err != nil {
		return nil, err
	}
	keys, err := queryOne[*wire.ClusterKeyState](ctx, n, wire.CatalogQuery{What: wire.QueryKeys})
	if err != nil {
		return nil, err
	}
	confirmed := map[holo.NodeID]uint64{}
	for _, k := range keys.Confirmed {
		confirmed[k.Node] = k.Epoch
	}
	pending, err := queryAll[*wire.PendingRecord](ctx, n, wire.CatalogQuery{What: wire.QueryPending})
	if err != nil {
		return nil, err
	}
	n.followOnce(ctx)
	records, _ := n.members.state()
	head := catalog.RecordHash(&records[len(records)-1])
	out := &holov1.ListMembersResponse{Head: head[:]}
	out.KeyEpoch, out.KeySettled = n.keys.at()
	policy, need := catalog.PolicyOf(records)
	out.Policy, out.Votes = policy[:], uint32(need)
	for _, p := range pending {
		out.Pending = append(out.Pending, pendingOut(p))
	}
	for _, r := range nodes {
		if n.members.has(r.Node) {
			m := membershipOut(r)
			m.KeyEpoch = confirmed[r.Node]
			out.Members = append(out.Members, m)
		}
	}
	return out, nil
}

func membershipOut(r *wire.NodeRecord) *holov1.Membership {
	m := &holov1.Membership{Node: r.Node[:], Name: r.Name, State: lifeOf(r), Admission: r.Admission[:], JoinedUnix: r.Joined, Held: r.Held}
	if len(r.Place.Addresses) > 0 {
		m.Address = r.Place.Addresses[0]
	}
	return m
}

func lifeOf(r *wire.NodeRecord) string {
	switch {
	case !r.Alive:
		return "dead"
	case r.Draining && r.Held > 0:
		return "draining"
	case r.Draining:
		return "drained"
	}
	return "active"
}

var _ door.Nodes = (*Node)(nil)
