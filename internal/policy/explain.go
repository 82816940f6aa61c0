package policy

import (
	"fmt"
	"time"

	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Explain says why a question is denied: for each grant that holds the action,
// the facts that differ; where there is none, which roles would do. It only
// tells; Decide decides.
func (s *Set) Explain(q authz.Question, f Facts) []string {
	var missing []string
	for _, g := range s.of[q.Principal] {
		if a := &g.record.Access; a.Role.May(q.Action) {
			missing = append(missing, differs(&g.record, q, f)...)
		}
	}
	if len(missing) == 0 {
		return []string{fmt.Sprintf("no grant to %s holds %s; the roles that do: %s", q.Principal, q.Action, rolesWith(q.Action))}
	}
	return missing
}

func rolesWith(a holo.Action) string {
	if list := holo.RolesWith(a); list != "" {
		return list
	}
	return "none but the owner's key"
}

// differs lists the facts for which a grant does not allow what it is about.
func differs(r *wire.GrantRecord, q authz.Question, f Facts) (list []string) {
	s, in := &r.Access.Scope, fmt.Sprintf("grant %d, %s", r.ID, r.Access.Role)
	if q.Resource.Kind != authz.Cluster && !holo.Under(q.Resource.Name, s.Under) {
		list = append(list, fmt.Sprintf("%s: is for %s and what is under it, not for %s", in, s.Under, q.Resource.Name))
	}
	if s.Module != (holo.ModuleID{}) && q.Action != holo.ActionObserve && s.Module != q.Resource.Module {
		list = append(list, fmt.Sprintf("%s: is for module %s alone", in, s.Module.Hex()))
	}
	if !at(s.Nodes, f.Node) {
		list = append(list, fmt.Sprintf("%s: is not good at node %s", in, f.Node))
	}
	if s.Over(f.Unix) {
		list = append(list, fmt.Sprintf("%s: ended at %s", in, time.Unix(s.NotAfter, 0).UTC().Format(time.RFC3339)))
	}
	return list
}

func at(nodes []holo.NodeID, node holo.NodeID) bool {
	for _, n := range nodes {
		if n == node {
			return true
		}
	}
	return len(nodes) == 0
}
