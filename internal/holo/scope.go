package holo

import (
	"slices"
	"strings"
)

// MaxScopeNodes bounds the nodes that a scope names.
const MaxScopeNodes = 16

// Scope limits what a grant is good for. Its zero value limits nothing.
type Scope struct {
	Under    string   // arrays and kernels of this name, or whose names go on from it after a "/"; "": all
	Module   ModuleID // RUN and COMPUTE: this module alone; zero: any
	Nodes    []NodeID // good only in calls to these nodes, in order of ID; none: to all
	MaxBytes uint64   // ALLOCATE: what the principal's arrays under Under may take, all copies together; 0: no limit
	NotAfter int64    // last second since 1970 at which it is good; 0: no end
}

// Under reports whether a name is prefix itself or below it, by whole path
// segments: "ab" is not under "a".
func Under(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	return ok && (prefix == "" || rest == "" || rest[0] == '/')
}

// Covers reports whether whatever o allows, s allows too.
func (s *Scope) Covers(o *Scope) bool {
	return Under(o.Under, s.Under) &&
		(s.Module == ModuleID{} || s.Module == o.Module) &&
		(len(s.Nodes) == 0 || len(o.Nodes) > 0 && !slices.ContainsFunc(o.Nodes, func(n NodeID) bool { return !slices.Contains(s.Nodes, n) })) &&
		(s.MaxBytes == 0 || o.MaxBytes > 0 && o.MaxBytes <= s.MaxBytes) &&
		(s.NotAfter == 0 || o.NotAfter > 0 && o.NotAfter <= s.NotAfter)
}

// Equal reports whether two scopes are the same.
func (s *Scope) Equal(o *Scope) bool {
	return s.Under == o.Under && s.Module == o.Module && slices.Equal(s.Nodes, o.Nodes) && s.MaxBytes == o.MaxBytes && s.NotAfter == o.NotAfter
}

// Over reports whether the scope's time is over.
func (s *Scope) Over(unix int64) bool { return s.NotAfter > 0 && unix > s.NotAfter }

// Reaches reports whether a grant of this scope is good for an action on
// something by its name, with a module where one runs, asked of a node, at a
// time. It is what internal/policy has Cedar decide, for those who must decide
// without it; a test there holds the two together.
func (s *Scope) Reaches(a Action, name string, module ModuleID, node NodeID, unix int64) bool {
	return (a.OfCluster() || Under(name, s.Under)) &&
		(s.Module == ModuleID{} || a == ActionObserve || s.Module == module) &&
		(len(s.Nodes) == 0 || slices.Contains(s.Nodes, node)) && !s.Over(unix)
}

// Check refuses a scope that a role does not have: a limit that would limit
// nothing looks like protection and is none.
func (s *Scope) Check(r Role, release bool) error {
	runs := r.May(ActionRun) || r.May(ActionCompute)
	named := s.Module != ModuleID{}
	switch {
	case !r.Valid() || r == RoleOwner:
		return Errorf(Invalid, "role %s cannot be granted", r)
	case named && (!runs || r == RoleUser):
		return Errorf(Invalid, "role %s is not limited by a module: grant runner or analyst beside it", r)
	case r == RoleAnalyst && !named:
		return Errorf(Invalid, "role %s needs a module: any other could copy the array out", r)
	case release && r != RoleAnalyst:
		return Errorf(Invalid, "role %s releases nothing: only an analyst's results are held back", r)
	case s.MaxBytes > 0 && !r.May(ActionAllocate):
		return Errorf(Invalid, "role %s allocates nothing that an amount could limit", r)
	case s.NotAfter < 0:
		return Errorf(Invalid, "a grant that ends before 1970")
	case len(s.Nodes) > MaxScopeNodes || !inOrder(s.Nodes):
		return Errorf(Invalid, "a grant names %d nodes, want at most %d, in order, each once", len(s.Nodes), MaxScopeNodes)
	}
	return nil
}

// inOrder reports whether the nodes are in order, each once.
func inOrder(nodes []NodeID) bool {
	for i := 1; i < len(nodes); i++ {
		if nodes[i-1].Compare(nodes[i]) >= 0 {
			return false
		}
	}
	return true
}
