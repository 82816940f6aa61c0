package policy

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// mayIt is the second and dumber computation: no Cedar, no index, no groups.
func mayIt(records []wire.GrantRecord, q authz.Question, f Facts) bool {
	if q.Action == holo.ActionRun && q.Resource.Module == (holo.ModuleID{}) || q.Action == holo.ActionCompute && q.Resource.Module == (holo.ModuleID{}) {
		return false
	}
	if q.Principal == owner {
		switch q.Action {
		case holo.ActionObserve, holo.ActionNodeApprove, holo.ActionNodeEvict, holo.ActionKeyRotate, holo.ActionTokenIssue, holo.ActionPolicyWrite, holo.ActionAuditRead, holo.ActionDrain:
			return true
		}
	}
	for _, r := range records {
		if r.Access.Principal != q.Principal || !r.Access.Role.May(q.Action) {
			continue
		}
		s := r.Access.Scope
		inPlace := q.Resource.Kind == authz.Cluster || s.Under == "" || q.Resource.Name == s.Under ||
			len(q.Resource.Name) > len(s.Under) && q.Resource.Name[:len(s.Under)+1] == s.Under+"/"
		inModule := s.Module == holo.ModuleID{} || q.Action == holo.ActionObserve || s.Module == q.Resource.Module
		atNode := len(s.Nodes) == 0
		for _, n := range s.Nodes {
			atNode = atNode || n == f.Node
		}
		inTime := s.NotAfter == 0 || f.Unix <= s.NotAfter
		if inPlace && inModule && atNode && inTime {
			return true
		}
	}
	return false
}

// byScopes is how the catalogue decides (core/catalog), which knows no Cedar.
func byScopes(records []wire.GrantRecord, q authz.Question, f Facts) bool {
	named := q.Resource.Module != holo.ModuleID{} || q.Action != holo.ActionRun && q.Action != holo.ActionCompute
	return named && slices.ContainsFunc(records, func(r wire.GrantRecord) bool {
		a := &r.Access
		return a.Principal == q.Principal && a.Role.May(q.Action) && a.Scope.Reaches(q.Action, q.Resource.Name, q.Resource.Module, f.Node, f.Unix)
	})
}

var (
	someNames   = []string{"a", "a/b", "a/b/c", "ab", "a/bc", "b", "lab/x", "a/b/c/d"}
	somePeople  = []holo.PrincipalID{alice, bob, owner, {3}}
	someNodes   = []holo.NodeID{here, there}
	someModules = []holo.ModuleID{{}, module, other}
)

func one[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func someGrant(r *rand.Rand, id uint64) wire.GrantRecord {
	for {
		g := record(id, one(r, somePeople), one(r, holo.Roles()), holo.Scope{Module: one(r, someModules)})
		if r.IntN(2) == 0 {
			g.Access.Scope.Under = one(r, someNames)
		}
		if r.IntN(3) == 0 {
			g.Access.Scope.Nodes = []holo.NodeID{one(r, someNodes)}
		}
		if r.IntN(3) == 0 {
			g.Access.Scope.NotAfter = noon + int64(r.IntN(3)) - 1
		}
		if g.Access.Scope.Check(g.Access.Role, false) == nil {
			return g
		}
	}
}

func someQuestion(r *rand.Rand) authz.Question {
	q := authz.Question{Principal: one(r, somePeople), Action: one(r, holo.Actions())}
	q.Resource = resourceOf(q.Action)
	if q.Resource.Kind != authz.Cluster {
		q.Resource.Name = one(r, someNames)
	}
	if q.Action == holo.ActionObserve {
		q.Resource.Kind = one(r, []authz.Kind{authz.Cluster, authz.Array, authz.Kernel})
	}
	if q.Action == holo.ActionRun || q.Action == holo.ActionCompute {
		q.Resource.Module = one(r, someModules)
	}
	return q
}

// Random policies, random questions: Cedar behind the index says what the
// reference says, and what it allowed holds until the time it names.
func TestDecisionsAreThoseOfTheReference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	allowed := 0
	for range 300 {
		var records []wire.GrantRecord
		for id := range uint64(r.IntN(8)) {
			records = append(records, someGrant(r, id+1))
		}
		s := setOf(t, records...)
		for range 60 {
			q, f := someQuestion(r), Facts{one(r, someNodes), noon}
			d := s.Decide(q, f)
			want := mayIt(records, q, f)
			if d.Allowed != want {
				t.Fatalf("%+v with %+v: %+v, the reference says %v", q, records, d, want)
			}
			if q.Principal != owner && q.Action != holo.ActionObserve && byScopes(records, q, f) != want {
				t.Fatalf("%+v with %+v: the scopes alone, as the catalogue asks them, say %v", q, records, !want)
			}
			if d.Allowed {
				allowed++
			}
			later := Facts{f.Node, noon + 1}
			if d.Allowed && d.Until >= later.Unix && !mayIt(records, q, later) {
				t.Fatalf("%+v is said to hold until %d", q, d.Until)
			}
		}
	}
	if allowed < 500 {
		t.Errorf("only %d of 18,000 questions were allowed: the states are too poor", allowed)
	}
}

func BenchmarkDecide(b *testing.B) {
	var records []wire.GrantRecord
	for id := range uint64(1000) {
		records = append(records, record(id+10, holo.PrincipalID{200, byte(id), byte(id >> 8)}, holo.RoleUser, holo.Scope{Under: "lab"}))
	}
	s := setOf(b, append(records, record(1, alice, holo.RoleUser, holo.Scope{Under: "lab"}))...)
	q := authz.Question{Principal: alice, Action: holo.ActionRead, Resource: on(authz.Array, "lab/a", holo.ModuleID{})}
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			if !s.Decide(q, Facts{here, noon}).Allowed {
				b.Fatal("denied")
			}
		}
	})
	b.Run("cached", func(b *testing.B) {
		cache := authz.NewCache()
		cache.Put(q, s.Decide(q, Facts{here, noon}))
		for b.Loop() {
			if d, ok := cache.Get(q, 3, noon); !ok || !d.Allowed {
				b.Fatal("not there")
			}
		}
	})
}
