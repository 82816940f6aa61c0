package policy

import (
	"iter"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/holo"
)

// policies are those that can bear on a principal.
type policies struct {
	set *Set
	of  holo.PrincipalID
}

// All implements cedar.PolicyIterator.
func (p policies) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, n := range p.set.base {
			if !yield(cedar.PolicyID(n.id), n.policy) {
				return
			}
		}
		for _, g := range p.set.of[p.of] {
			if !yield(cedar.PolicyID(g.id), g.policy) {
				return
			}
		}
	}
}

// entities are what a request speaks of: the resource with the namespaces that
// it is in, and the actions with their roles.
type entities struct {
	resource types.Entity
	actions  types.EntityMap
}

// Get implements types.EntityGetter.
func (e entities) Get(uid types.EntityUID) (types.Entity, bool) {
	if uid == e.resource.UID {
		return e.resource, true
	}
	a, ok := e.actions[uid]
	return a, ok
}

func ask(q authz.Question, f Facts, actions types.EntityMap) (cedar.Request, entities) {
	module := ""
	if q.Resource.Module != (holo.ModuleID{}) {
		module = q.Resource.Module.Hex()
	}
	r := cedar.Request{
		Principal: cedar.NewEntityUID("User", types.String(q.Principal.Hex())),
		Action:    cedar.NewEntityUID("Action", types.String(q.Action.String())),
		Resource:  resourceUID(q.Resource),
		Context: cedar.NewRecord(cedar.RecordMap{
			"now": types.Long(f.Unix), "node": types.String(f.Node.Hex()), "module": types.String(module),
		}),
	}
	return r, entities{types.Entity{UID: r.Resource, Parents: namespaces(q.Resource)}, actions}
}

func resourceUID(r authz.Resource) types.EntityUID {
	switch r.Kind {
	case authz.Array:
		return cedar.NewEntityUID("Array", types.String(r.Name))
	case authz.Kernel:
		return cedar.NewEntityUID("Kernel", types.String(r.Name))
	}
	return cedar.NewEntityUID("Cluster", "cluster")
}

// namespaces of a/b/c are a, a/b and a/b/c.
func namespaces(r authz.Resource) types.EntityUIDSet {
	if r.Kind == authz.Cluster {
		return types.EntityUIDSet{}
	}
	var list []types.EntityUID
	for at := 0; at < len(r.Name); at++ {
		if slash := strings.IndexByte(r.Name[at:], '/'); slash >= 0 {
			at += slash
			list = append(list, cedar.NewEntityUID("Namespace", types.String(r.Name[:at])))
			continue
		}
		break
	}
	return cedar.NewEntityUIDSet(append(list, cedar.NewEntityUID("Namespace", types.String(r.Name)))...)
}
