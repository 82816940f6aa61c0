package policy

import (
	"fmt"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// ownerText is the permit of the owner's key.
func ownerText(owner holo.PrincipalID) string {
	return fmt.Sprintf("@id(\"owner\")\npermit (principal == User::%q, action in Action::%q, resource);\n", owner.Hex(), holo.RoleOwner)
}

// grantID is the name of a grant's policy.
func grantID(id uint64) string { return fmt.Sprintf("grant-%d", id) }

// grantText is a grant as a policy: what `holo grant list` shows in words.
func grantText(r *wire.GrantRecord) string {
	text := fmt.Sprintf("@id(%q)\npermit (principal == User::%q, action in Action::%q, resource)", grantID(r.ID), r.Access.Principal.Hex(), r.Access.Role)
	if limits := limits(&r.Access); len(limits) > 0 {
		text += "\nwhen { " + strings.Join(limits, " &&\n  ") + " }"
	}
	return text + ";\n"
}

// limits are the conditions of a scope. An amount is none of them: the
// catalogue counts it.
func limits(a *wire.Access) (list []string) {
	s := &a.Scope
	if s.Under != "" {
		list = append(list, fmt.Sprintf("(resource is Cluster || resource in Namespace::%q)", s.Under))
	}
	if s.Module != (holo.ModuleID{}) {
		list = append(list, fmt.Sprintf(`(action == Action::"OBSERVE" || context.module == %q)`, s.Module.Hex()))
	}
	if len(s.Nodes) > 0 {
		nodes := make([]string, len(s.Nodes))
		for i, n := range s.Nodes {
			nodes[i] = fmt.Sprintf("%q", n.Hex())
		}
		list = append(list, fmt.Sprintf("[%s].contains(context.node)", strings.Join(nodes, ", ")))
	}
	if s.NotAfter > 0 {
		list = append(list, fmt.Sprintf("context.now <= %d", s.NotAfter))
	}
	return list
}
