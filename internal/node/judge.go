package node

import (
	"context"
	"slices"
	"strings"

	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/policy"
	"github.com/holocompute/holocompute/internal/token"
	"github.com/holocompute/holocompute/internal/wire"
)

// judge is one decision about a call while it is made.
type judge struct {
	node    *Node
	set     *policy.Set
	who     holo.PrincipalID
	token   *token.Grant // narrows; nil: nothing does
	facts   policy.Facts
	said    string // what the request calls that which is decided about
	verdict door.Verdict
}

// need decides about one right.
func (j *judge) need(ctx context.Context, a door.Access) error {
	j.said = a.On.String()
	switch {
	case a.On.Array != "" && a.On.New:
		return j.name(a)
	case a.On.Array != "":
		return j.array(ctx, a)
	case a.On.Kernel != "":
		return j.kernel(ctx, a)
	case a.On.Job != 0:
		return j.job(ctx, a)
	}
	return j.ask(authz.Resource{Kind: authz.Cluster}, a.Action, a.Or)
}

// name decides about an array that is to be made, or whose name is all that is
// asked about. An amount that was granted comes with it.
func (j *judge) name(a door.Access) error {
	d, err := j.decide(authz.Resource{Kind: authz.Array, Name: a.On.Array}, a.Action)
	if err == nil && a.Action == holo.ActionAllocate {
		j.verdict.Under, j.verdict.Within = j.set.Amount(j.who, &d)
	}
	return err
}

// array decides about an array of the catalogue. Of a name that is not there
// only who might see it is told so. What an ID is called never changes, and what it
// descends from only with the policy's epoch, at which what is remembered is
// forgotten: so no read or write has to ask the catalogue.
func (j *judge) array(ctx context.Context, a door.Access) error {
	record, err := j.node.memory.ArrayKnown(ctx, a.On.Array)
	if err != nil {
		if holo.KindOf(err) == holo.NotFound && !strings.HasPrefix(a.On.Array, "#") {
			if denied := j.name(a); denied != nil {
				return denied
			}
		}
		return err
	}
	return j.record(record, a)
}

// record decides about an array, and for reading about those that it descends
// from. An input that may be computed on and not read binds the output.
func (j *judge) record(record *wire.ArrayRecord, a door.Access) error {
	names := []string{record.Name}
	if a.Action == holo.ActionRead {
		names = append(names, record.Sources...)
	}
	for _, name := range names {
		r := authz.Resource{Kind: authz.Array, Name: name, Module: j.verdict.Module}
		if a.Or != holo.ActionCompute {
			r.Module = holo.ModuleID{}
		}
		if err := j.compute(r, a, record.ID); err != nil {
			return err
		}
	}
	return nil
}

// compute decides about READ, and where that is missing about COMPUTE.
func (j *judge) compute(r authz.Resource, a door.Access, id holo.ArrayID) error {
	if a.Or != holo.ActionCompute {
		return j.ask(r, a.Action, a.Or)
	}
	kept := j.verdict
	err := j.ask(r, a.Action, 0)
	if err == nil {
		return nil
	}
	refused := j.verdict
	j.verdict = kept
	d, other := j.decide(r, holo.ActionCompute)
	if other != nil {
		j.verdict = refused
		return err
	}
	if !j.set.Releases(j.who, &d) && !slices.Contains(j.verdict.Bound, id) {
		j.verdict.Bound = append(j.verdict.Bound, id)
	}
	return nil
}

func (j *judge) kernel(ctx context.Context, a door.Access) error {
	if a.On.New {
		return j.ask(authz.Resource{Kind: authz.Kernel, Name: a.On.Kernel}, a.Action, 0)
	}
	k, err := j.node.kernel(ctx, a.On.Kernel)
	if holo.KindOf(err) == holo.NotFound && err != nil {
		if denied := j.ask(authz.Resource{Kind: authz.Kernel, Name: a.On.Kernel, Module: holo.ModuleID{}}, holo.ActionObserve, 0); denied != nil {
			return denied
		}
	}
	if err != nil {
		return err
	}
	j.verdict.Module = k.Module
	return j.ask(authz.Resource{Kind: authz.Kernel, Name: k.Name, Module: k.Module}, a.Action, 0)
}

// job decides about a job: to see it, OBSERVE on its kernel; to cancel it, RUN
// on its kernel, and only by whoever submitted it; its result is theirs, and of
// those who may read all that it was made of.
func (j *judge) job(ctx context.Context, a door.Access) error {
	rec, err := j.node.jobRecord(ctx, a.On.Job)
	if err != nil {
		return err
	}
	if err := j.ask(authz.Resource{Kind: authz.Kernel, Name: rec.Kernel}, holo.ActionObserve, 0); err != nil {
		return err
	}
	switch {
	case a.Action == holo.ActionObserve:
		return nil
	case a.Action == holo.ActionRun && rec.Owner != j.who:
		return j.deny(a.Action, "job %d: it is that of %s", uint64(rec.ID), rec.Owner)
	case a.Action == holo.ActionRun:
		return j.runs(rec)
	case rec.Owner == j.who && j.token == nil:
		return nil
	}
	for _, id := range inputsOf(rec) {
		input, err := j.node.memory.Array(ctx, id)
		if err != nil {
			return j.deny(a.Action, "job %d: what it was made of cannot be asked about: %v", uint64(rec.ID), err)
		}
		if err := j.record(input, door.Access{Action: holo.ActionRead}); err != nil {
			return err
		}
	}
	return nil
}

// runs decides about RUN on every kernel of a job.
func (j *judge) runs(rec *wire.JobRecord) error {
	for _, s := range rec.Stages() {
		if err := j.ask(authz.Resource{Kind: authz.Kernel, Name: s.Kernel, Module: s.Module}, holo.ActionRun, 0); err != nil {
			return err
		}
	}
	return nil
}

// inputsOf are the arrays that a job reads, each once.
func inputsOf(rec *wire.JobRecord) (list []holo.ArrayID) {
	for _, s := range rec.Stages() {
		for _, id := range s.Inputs {
			if !slices.Contains(list, id) {
				list = append(list, id)
			}
		}
	}
	return list
}

// ask decides about one action, or another that is as good.
func (j *judge) ask(r authz.Resource, action, or holo.Action) error {
	kept := j.verdict
	_, err := j.decide(r, action)
	if err == nil || or == 0 {
		return err
	}
	refused := j.verdict
	j.verdict = kept
	if _, other := j.decide(r, or); other != nil {
		j.verdict = refused
		return err
	}
	return nil
}

// decide answers one question and adds it to the verdict.
func (j *judge) decide(r authz.Resource, action holo.Action) (authz.Decision, error) {
	d := j.node.access.decide(j.set, authz.Question{Principal: j.who, Action: action, Resource: r}, j.facts)
	j.verdict.Until = min(j.verdict.Until, d.Until)
	for _, p := range d.Policies {
		if !slices.Contains(j.verdict.Policies, p) {
			j.verdict.Policies = append(slices.Clip(j.verdict.Policies), p)
		}
	}
	if d.Allowed {
		return d, j.narrowed(r, action)
	}
	j.verdict.Reason = d.Reason
	what := r.String()
	if r.Kind != authz.Cluster && !j.observes(r) {
		what = j.said // what it is called is not theirs to know
	}
	roles := holo.RolesWith(action)
	if roles == "" {
		roles = "owner"
	}
	return d, holo.Refuse(holo.Denied, d.Reason, "%s may not %s %s: ask for one of the roles %s", j.who, action, what, roles)
}

// observes reports whether the caller may know what a resource is called.
func (j *judge) observes(r authz.Resource) bool {
	if j.token != nil && !tokenCovers(j.token, r, holo.ActionObserve) {
		return false
	}
	q := authz.Question{Principal: j.who, Action: holo.ActionObserve, Resource: authz.Resource{Kind: r.Kind, Name: r.Name}}
	return j.node.access.decide(j.set, q, j.facts).Allowed
}

func (j *judge) deny(action holo.Action, format string, args ...any) error {
	j.verdict.Reason = authz.ReasonNotGranted
	cause := holo.Errorf(holo.Denied, format, args...)
	return holo.Refuse(holo.Denied, authz.ReasonNotGranted, "%s may not %s %w", j.who, action, cause)
}
