package holocompute

import (
	"slices"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
)

// grantRequest is a grant as the node wants it, and what its giver signs.
func grantRequest(g *Grant, cluster holo.ClusterID, epoch uint64) (*holov1.PutGrantRequest, []byte, error) {
	to, err := holo.ParsePrincipalID(g.Principal)
	if err != nil {
		return nil, nil, err
	}
	role, err := holo.ParseRole(g.Role)
	if err != nil {
		return nil, nil, err
	}
	s, err := scopeOf(&g.Scope)
	if err != nil {
		return nil, nil, err
	}
	if err := s.Check(role, g.Release); err != nil {
		return nil, nil, err
	}
	out := &holov1.Grant{Principal: g.Principal, Label: g.Label, Role: g.Role, Release: g.Release, Scope: &holov1.Scope{
		Under: s.Under, Module: g.Scope.Module, MaxBytes: s.MaxBytes, NotAfterUnix: s.NotAfter,
	}}
	for _, n := range s.Nodes {
		out.Scope.Nodes = append(out.Scope.Nodes, n.Hex())
	}
	return &holov1.PutGrantRequest{Grant: out, Epoch: epoch}, api.GrantProof(cluster, epoch, to, g.Label, role, s, g.Release), nil
}

func scopeOf(g *Scope) (*holo.Scope, error) {
	s := &holo.Scope{Under: g.Under, MaxBytes: g.MaxBytes}
	if !g.NotAfter.IsZero() {
		s.NotAfter = g.NotAfter.Unix()
	}
	if g.Module != "" {
		var err error
		if s.Module, err = holo.ParseModuleID(g.Module); err != nil {
			return nil, err
		}
	}
	for _, hex := range g.Nodes {
		n, err := holo.ParseNodeID(hex)
		if err != nil {
			return nil, err
		}
		s.Nodes = append(s.Nodes, n)
	}
	slices.SortFunc(s.Nodes, holo.NodeID.Compare)
	s.Nodes = slices.Compact(s.Nodes)
	return s, nil
}

func grantsOf(list []*holov1.Grant) []Grant {
	out := make([]Grant, len(list))
	for i, m := range list {
		out[i] = grantOf(m)
	}
	return out
}

func grantOf(m *holov1.Grant) Grant {
	g := Grant{
		ID: m.GetId(), Principal: m.GetPrincipal(), Label: m.GetLabel(), Role: m.GetRole(), Release: m.GetRelease(), By: m.GetBy(),
		Created: time.Unix(m.GetCreatedUnix(), 0).UTC(),
		Scope:   Scope{Under: m.GetScope().GetUnder(), Module: m.GetScope().GetModule(), Nodes: m.GetScope().GetNodes(), MaxBytes: m.GetScope().GetMaxBytes()},
	}
	if end := m.GetScope().GetNotAfterUnix(); end > 0 {
		g.Scope.NotAfter = time.Unix(end, 0).UTC()
	}
	return g
}
