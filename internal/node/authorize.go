package node

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/policy"
	"github.com/holocompute/holocompute/internal/wait"
)

// knownPatience is how long who is not known here waits for a newer policy: longer
// than most elections.
const knownPatience = 5 * time.Second

// Known reports whether anything is granted to a principal, as far as is known
// here: what a session may do is decided call by call. Who was known may begin
// one; of others the node wants to know the newest policy first.
func (n *Node) Known(ctx context.Context, p holo.PrincipalID) error {
	if s := n.access.set.Load(); s != nil && s.Knows(p, unixNow()) {
		return nil
	}
	ctx, cancel := within(ctx, knownPatience)
	defer cancel()
	s, err := n.policySet(ctx, false)
	switch {
	case err != nil:
		return holo.Refuse(holo.KindOf(err), holo.ReasonOf(err), "open session: %w", err)
	case !s.Knows(p, unixNow()):
		return holo.Refuse(holo.Denied, authz.ReasonUnknown, "open session: the cluster does not know the key %s: nothing is granted to it", p.Hex())
	}
	return nil
}

// Holds reports whether nothing has changed that could end a right.
func (n *Node) Holds(h authz.Handle) bool {
	s, fresh := n.access.fresh(n.clock.now())
	return fresh && h.Holds(s.Epoch(), unixNow())
}

// policySet waits for a policy that is new enough; with stale any will do.
func (n *Node) policySet(ctx context.Context, stale bool) (s *policy.Set, err error) {
	if s = n.access.set.Load(); stale && s != nil {
		return s, nil
	}
	err = wait.Retry(ctx, controlDeadline, &n.access.changed, func(context.Context) error {
		var fresh bool
		if s, fresh = n.access.fresh(n.clock.now()); !fresh {
			return holo.Refuse(holo.Unavailable, authz.ReasonStale, "this node is cut off, or does not know the newest policy: it opens nothing")
		}
		return nil
	})
	return s, err
}

// Authorize decides about all that a call needs. The names come from the
// catalogue: of a name asked now, of an ID asked since the policy is known.
func (n *Node) Authorize(ctx context.Context, c door.Caller, needs []door.Access, stale bool) door.Verdict {
	s, err := n.policySet(ctx, stale)
	if err != nil {
		return door.Verdict{Decision: authz.Decision{Reason: authz.ReasonStale}, Err: err}
	}
	if err := n.tokenHolds(ctx, c.Token, s.Epoch(), stale); err != nil {
		return door.Verdict{Decision: authz.Decision{Reason: holo.ReasonOf(err)}, Err: err}
	}
	j := &judge{node: n, set: s, who: c.Principal, token: c.Token, facts: policy.Facts{Node: n.self, Unix: unixNow()}}
	j.verdict.Decision = authz.Decision{Allowed: len(needs) > 0, Epoch: s.Epoch(), Until: authz.Forever}
	for _, need := range needs {
		if err := j.need(ctx, need); err != nil {
			j.verdict.Allowed, j.verdict.Err = false, err
			if j.verdict.Reason == "" {
				j.verdict.Reason = holo.ReasonOf(err)
			}
			return j.verdict
		}
	}
	j.verdict.Handle = j.verdict.Decision.Handle()
	return j.verdict
}
