package node

import (
	"context"
	"slices"

	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/token"
	"github.com/holocompute/holocompute/internal/wait"
)

// reasonTokenScope counts what a token does not cover.
const reasonTokenScope = "token_scope"

// narrowed refuses what the policy allows and the caller's token does not cover.
func (j *judge) narrowed(r authz.Resource, action holo.Action) error {
	if j.token == nil || tokenCovers(j.token, r, action) {
		return nil
	}
	j.verdict.Reason = reasonTokenScope
	what := tokenResource(r, action)
	if r.Kind != authz.Cluster && !j.observes(r) {
		what = j.said // what it is called is not theirs to know
	}
	return holo.Refuse(holo.Denied, reasonTokenScope, "the token does not cover %s:%s", action, what)
}

// tokenResource is what a token's capabilities call a resource: an array goes by
// its name, a module to run by its hash, the rest by what no name can be.
func tokenResource(r authz.Resource, action holo.Action) string {
	switch {
	case r.Kind == authz.Array:
		return r.Name
	case r.Kind == authz.Kernel && action == holo.ActionRun:
		return r.Module.Hex()
	case r.Kind == authz.Kernel:
		return "@kernels/" + r.Name
	}
	return "@cluster"
}

// tokenCovers: who may do anything with an array may see that it is there.
func tokenCovers(g *token.Grant, r authz.Resource, action holo.Action) bool {
	if g.Allows(action.String(), tokenResource(r, action)) {
		return true
	}
	return action == holo.ActionObserve && r.Kind != authz.Cluster && slices.ContainsFunc(holo.Actions(), func(a holo.Action) bool {
		return g.Allows(a.String(), tokenResource(r, a))
	})
}

// tokenHolds tells why a token is good no more. What is known here about tokens
// must be as new as the policy: so a revocation too is over everywhere within
// one lease.
func (n *Node) tokenHolds(ctx context.Context, g *token.Grant, epoch uint64, stale bool) error {
	if g == nil {
		return nil
	}
	err := wait.Retry(ctx, controlDeadline, &n.tokens.changed, func(context.Context) error {
		if !stale && n.tokens.epoch() < epoch {
			return holo.Refuse(holo.Unavailable, authz.ReasonStale, "this node does not know yet which tokens are revoked")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return n.TokenStands(g)
}
