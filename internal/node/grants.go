package node

import (
	"context"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/policy"
	"github.com/holocompute/holocompute/internal/wire"
)

// accessNow asks the catalogue for the policy as it is now.
func (n *Node) accessNow(ctx context.Context) (*wire.AccessHead, []wire.GrantRecord, error) {
	found, err := n.query(ctx, wire.CatalogQuery{What: wire.QueryAccess})
	if err != nil {
		return nil, nil, err
	}
	head, records, err := accessOf(found)
	if err == nil && head == nil {
		err = holo.Errorf(holo.Internal, "query the policy: no answer")
	}
	return head, records, err
}

// queryAccess answers QueryAccess: the head and all grants, nothing when the
// asker has them.
func queryAccess(c *catalog.Catalog, known uint64) []wire.Message {
	if known == c.AccessEpoch() {
		return nil
	}
	return append([]wire.Message{c.AccessHead()}, pointers(c.Grants())...)
}

// ListGrants lists all grants, as the catalogue has them now.
func (n *Node) ListGrants(ctx context.Context, _ door.Caller) (*holov1.ListGrantsResponse, error) {
	head, records, err := n.accessNow(ctx)
	if err != nil {
		return nil, err
	}
	return &holov1.ListGrantsResponse{Grants: grantsOut(records), Epoch: head.Epoch}, nil
}

// PutGrant brings a grant to the catalogue, which checks the signature and how
// far its granter may go.
func (n *Node) PutGrant(ctx context.Context, c door.Caller, m *holov1.PutGrantRequest) (*holov1.Grant, error) {
	a, err := accessIn(m.GetGrant())
	if err != nil {
		return nil, err
	}
	cmd := &wire.GrantPut{Access: *a, Epoch: m.GetEpoch(), By: c.Principal}
	copy(cmd.Sig[:], m.GetSignature())
	return n.changeAccess(ctx, cmd)
}

// RevokeGrant ends a grant.
func (n *Node) RevokeGrant(ctx context.Context, c door.Caller, m *holov1.RevokeGrantRequest) (*holov1.Grant, error) {
	cmd := &wire.GrantRevoke{ID: m.GetId(), Epoch: m.GetEpoch(), By: c.Principal}
	copy(cmd.Sig[:], m.GetSignature())
	return n.changeAccess(ctx, cmd)
}

func (n *Node) changeAccess(ctx context.Context, cmd wire.Message) (*holov1.Grant, error) {
	r, err := proposeFor[*wire.GrantRecord](ctx, n, cmd)
	if err != nil {
		n.refusals.addErr(err)
		return nil, err
	}
	n.learnNow(ctx)
	return grantOut(r), nil
}

// learnNow has the change be in force here when its asker is answered. On the
// other nodes it is within a lease.
func (n *Node) learnNow(ctx context.Context) {
	head, records, err := n.accessNow(ctx)
	if err == nil {
		n.knowOwner(ctx, head.Owner)
		err = n.learnAccess(head, records)
	}
	if err != nil {
		n.log.Warn("the newest policy is not known here yet", "error", err)
	}
}

// WhoAmI tells the caller who it is and what is granted to it, as far as is
// known here.
func (n *Node) WhoAmI(_ context.Context, c door.Caller) (*holov1.WhoAmIResponse, error) {
	out := &holov1.WhoAmIResponse{Principal: c.Principal.Hex(), Owner: c.Principal == n.members.owner(), Epoch: n.access.epoch()}
	if s := n.access.set.Load(); s != nil {
		out.Grants = grantsOut(s.Grants(c.Principal))
	}
	return out, nil
}

// Explain tells what is missing for a call, by the very decision that the call
// would get.
func (n *Node) Explain(ctx context.Context, c door.Caller, m *holov1.ExplainRequest) (*holov1.ExplainResponse, error) {
	if m.GetPrincipal() != "" {
		who, err := holo.ParsePrincipalID(m.GetPrincipal())
		if err != nil {
			return nil, err
		}
		c = door.Caller{Principal: who}
	}
	needs, q, err := n.explained(ctx, m)
	if err != nil {
		return nil, err
	}
	q.Principal = c.Principal
	v := n.Authorize(ctx, c, needs, false)
	out := &holov1.ExplainResponse{Allowed: v.Allowed, Policies: v.Policies, Epoch: v.Epoch, Principal: c.Principal.Hex()}
	if v.Err != nil && holo.KindOf(v.Err) != holo.Denied {
		return nil, v.Err
	}
	if s := n.access.set.Load(); !v.Allowed && s != nil {
		out.Missing = append([]string{v.Err.Error()}, s.Explain(q, policy.Facts{Node: n.self, Unix: unixNow()})...)
	}
	return out, nil
}

// explained turns the request into the rights that a call would need, and the
// question that the last of them puts.
func (n *Node) explained(ctx context.Context, m *holov1.ExplainRequest) ([]door.Access, authz.Question, error) {
	action, err := holo.ParseAction(m.GetAction())
	need, q := door.Access{Action: action}, authz.Question{Action: action, Resource: authz.Resource{Kind: authz.Cluster}}
	if err != nil {
		return nil, q, err
	}
	switch {
	case action.OfCluster():
		return []door.Access{need}, q, nil
	case action == holo.ActionRun || action == holo.ActionModulePut:
		q.Resource.Kind = authz.Kernel
		need.On = door.Target{Kernel: m.GetResource(), New: action == holo.ActionModulePut}
		n.fillModule(ctx, &q, m.GetResource())
	default:
		q.Resource.Kind = authz.Array
		need.On = door.Target{Array: m.GetResource(), New: action == holo.ActionAllocate}
	}
	if q.Resource.Name = m.GetResource(); q.Resource.Name == "" {
		if action != holo.ActionObserve {
			return nil, q, holo.Errorf(holo.Invalid, "explain %s: name the %s", action, kindName(q.Resource.Kind))
		}
		q.Resource.Kind, need.On = authz.Cluster, door.Target{}
	}
	if action != holo.ActionCompute {
		return []door.Access{need}, q, nil
	}
	n.fillModule(ctx, &q, m.GetModule())
	need.Action, need.Or = holo.ActionRead, holo.ActionCompute
	return []door.Access{{Action: holo.ActionRun, On: door.Target{Kernel: m.GetModule()}}, need}, q, nil
}

// fillModule finds the module of a kernel; one that is not there is told by the
// decision itself.
func (n *Node) fillModule(ctx context.Context, q *authz.Question, kernel string) {
	if k, err := n.kernel(ctx, kernel); err == nil {
		q.Resource.Module = k.Module
	}
}

func kindName(k authz.Kind) string {
	if k == authz.Kernel {
		return "kernel"
	}
	return "array"
}

func grantsOut(records []wire.GrantRecord) []*holov1.Grant {
	list := make([]*holov1.Grant, len(records))
	for i := range records {
		list[i] = grantOut(&records[i])
	}
	return list
}

func grantOut(r *wire.GrantRecord) *holov1.Grant {
	s := &r.Access.Scope
	out := &holov1.Grant{
		Id: r.ID, Principal: r.Access.Principal.Hex(), Label: r.Access.Label, Role: r.Access.Role.String(), Release: r.Access.Release,
		By: r.By.Hex(), CreatedUnix: r.Created, Epoch: r.Epoch,
		Scope: &holov1.Scope{Under: s.Under, MaxBytes: s.MaxBytes, NotAfterUnix: s.NotAfter},
	}
	if s.Module != (holo.ModuleID{}) {
		out.Scope.Module = s.Module.Hex()
	}
	for _, id := range s.Nodes {
		out.Scope.Nodes = append(out.Scope.Nodes, id.Hex())
	}
	return out
}

func accessIn(m *holov1.Grant) (*wire.Access, error) {
	a := &wire.Access{Label: m.GetLabel(), Release: m.GetRelease(), Scope: holo.Scope{
		Under: m.GetScope().GetUnder(), MaxBytes: m.GetScope().GetMaxBytes(), NotAfter: m.GetScope().GetNotAfterUnix(),
	}}
	var err error
	if a.Principal, err = holo.ParsePrincipalID(m.GetPrincipal()); err != nil {
		return nil, err
	}
	if a.Role, err = holo.ParseRole(m.GetRole()); err != nil {
		return nil, err
	}
	if hex := m.GetScope().GetModule(); hex != "" {
		if a.Scope.Module, err = holo.ParseModuleID(hex); err != nil {
			return nil, err
		}
	}
	if len(m.GetScope().GetNodes()) > holo.MaxScopeNodes {
		return nil, holo.Errorf(holo.Invalid, "grant: %d nodes, at most %d", len(m.GetScope().GetNodes()), holo.MaxScopeNodes)
	}
	for _, hex := range m.GetScope().GetNodes() {
		id, err := holo.ParseNodeID(hex)
		if err != nil {
			return nil, err
		}
		a.Scope.Nodes = append(a.Scope.Nodes, id)
	}
	return a, nil
}
