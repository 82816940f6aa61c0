// Package policy decides who may do what. It is the device that hides Cedar.
//
// Its one idea is that it fails closed, where Cedar does not: a policy whose
// evaluation errs is skipped by Cedar, which turns a forbid into nothing, so
// here any error denies; policies are read only whole, short, shallow, named
// and past the strict validator; and who has no grant is denied before Cedar
// is asked. Grants become a permit each, found by principal, so that a decision
// costs what the principal's own grants cost and not everybody's.
//
// A Set is all policies of one access epoch and never changes. It keeps no
// decisions (core/authz does), and resolves no names: those come from the
// catalogue.
package policy

import (
	"slices"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Set is who may do what in one access epoch.
type Set struct {
	epoch   uint64
	owner   holo.PrincipalID
	grammar *grammar
	base    []named // for every question: the forbids, and the owner's permit
	of      map[holo.PrincipalID][]grant
}

// grant is a grant and its policy.
type grant struct {
	record wire.GrantRecord
	named
}

// Facts are what a decision depends on besides the question.
type Facts struct {
	Node holo.NodeID // that is asked
	Unix int64       // seconds since 1970
}

// New makes the set of an epoch. A grant that does not make a valid policy
// fails all of it: a node with half a policy must open nothing.
func New(owner holo.PrincipalID, epoch uint64, records []wire.GrantRecord) (*Set, error) {
	g, err := newGrammar()
	if err != nil {
		return nil, err
	}
	s := &Set{epoch: epoch, owner: owner, grammar: g, of: map[holo.PrincipalID][]grant{}}
	if s.base, err = g.parse(baseText + ownerText(owner)); err != nil {
		return nil, err
	}
	return s.with(records, nil)
}

// Next makes the set of another epoch. What the two have in common is not made
// again.
func (s *Set) Next(epoch uint64, records []wire.GrantRecord) (*Set, error) {
	next := &Set{epoch: epoch, owner: s.owner, grammar: s.grammar, base: s.base, of: map[holo.PrincipalID][]grant{}}
	known := map[uint64]grant{}
	for _, list := range s.of {
		for _, g := range list {
			known[g.record.ID] = g
		}
	}
	return next.with(records, known)
}

func (s *Set) with(records []wire.GrantRecord, known map[uint64]grant) (*Set, error) {
	for i := range records {
		r := &records[i]
		g, ok := known[r.ID] // a number is never given twice
		if !ok {
			list, err := s.grammar.parse(grantText(r))
			if err != nil {
				return nil, err
			}
			g = grant{*r, list[0]}
		}
		s.of[r.Access.Principal] = append(s.of[r.Access.Principal], g)
	}
	return s, nil
}

// Epoch is the access epoch that the set is of.
func (s *Set) Epoch() uint64 { return s.epoch }

// Owner is whose key may say who may do what.
func (s *Set) Owner() holo.PrincipalID { return s.owner }

// Knows reports whether anything at all is granted to a principal at a time.
func (s *Set) Knows(p holo.PrincipalID, unix int64) bool {
	if p == s.owner {
		return true
	}
	for _, g := range s.of[p] {
		if !g.record.Access.Scope.Over(unix) {
			return true
		}
	}
	return false
}

// Grants lists what is granted to a principal; the caller must not change it.
func (s *Set) Grants(p holo.PrincipalID) []wire.GrantRecord {
	list := make([]wire.GrantRecord, len(s.of[p]))
	for i, g := range s.of[p] {
		list[i] = g.record
	}
	return list
}

// Decide answers a question.
func (s *Set) Decide(q authz.Question, f Facts) authz.Decision {
	d := authz.Decision{Epoch: s.epoch, Until: s.until(q.Principal, f.Unix), Reason: authz.ReasonUnknown}
	if !s.Knows(q.Principal, f.Unix) {
		return d
	}
	request, entities := ask(q, f, s.grammar.actions)
	verdict, diagnostic := cedar.Authorize(policies{s, q.Principal}, entities, request)
	return conclude(d, verdict, diagnostic)
}

// Amount is the largest amount that the grants which decided give, and whose
// arrays count against it; within 0 is no limit.
func (s *Set) Amount(p holo.PrincipalID, d *authz.Decision) (under string, within uint64) {
	for _, g := range s.of[p] {
		scope := &g.record.Access.Scope
		switch {
		case !slices.Contains(d.Policies, g.id):
		case scope.MaxBytes == 0:
			return "", 0
		case scope.MaxBytes > within:
			under, within = scope.Under, scope.MaxBytes
		}
	}
	return under, within
}

// Releases reports whether a grant that decided about COMPUTE releases what is
// computed.
func (s *Set) Releases(p holo.PrincipalID, d *authz.Decision) bool {
	return slices.ContainsFunc(s.of[p], func(g grant) bool {
		return g.record.Access.Release && slices.Contains(d.Policies, g.id)
	})
}

// conclude turns Cedar's verdict into a decision. An error anywhere denies.
func conclude(d authz.Decision, verdict types.Decision, diagnostic types.Diagnostic) authz.Decision {
	d.Reason = authz.ReasonNotGranted
	for _, e := range diagnostic.Errors {
		d.Reason = authz.ReasonPolicy
		d.Policies = append(d.Policies, string(e.PolicyID))
	}
	if len(diagnostic.Errors) > 0 {
		return d
	}
	for _, r := range diagnostic.Reasons {
		d.Policies = append(d.Policies, string(r.PolicyID))
	}
	if verdict == types.Allow && len(d.Policies) > 0 {
		d.Allowed, d.Reason = true, ""
	}
	return d
}

// until is when a decision about a principal could come out otherwise: when
// the first of its grants ends.
func (s *Set) until(p holo.PrincipalID, unix int64) int64 {
	until := int64(authz.Forever)
	for _, g := range s.of[p] {
		if end := g.record.Access.Scope.NotAfter; end >= unix && end > 0 {
			until = min(until, end)
		}
	}
	return until
}
