package catalog

import (
	"slices"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/invariant"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// succession gives everything that is a principal's to its next key, in one
// step: grants, arrays, kernels and jobs. Tokens do not move: they are bound to
// the old key or speak for it, and it means nothing any more.
func (c *Catalog) succession(m *wire.Succession, now int64) (wire.Message, error) {
	if err := c.checkSuccession(m, now); err != nil {
		return nil, err
	}
	if err := c.checkRevocable(now); err != nil {
		return nil, err
	}
	c.bumpAccess()
	c.moveGrants(m, now)
	c.moveOwned(m)
	c.endTokens(m.Old, now)
	return c.AccessHead(), nil
}

// checkSuccession: the signatures first, so that nobody is told anything who is
// not who they say. The owner's key has a
// succession of its own: that of the chain.
func (c *Catalog) checkSuccession(m *wire.Succession, now int64) error {
	proof := api.SuccessionProof(c.cluster, m.Epoch, m.Old, m.Next)
	switch {
	case !key.Verify(m.Old, proof, m.OldSig[:]):
		return holo.Refuse(holo.Denied, ReasonSuccessionSig, "replace key: not signed by %s, whose place is given away", m.Old)
	case !key.Verify(m.Next, proof, m.NextSig[:]):
		return holo.Refuse(holo.Denied, ReasonSuccessionSig, "replace key: not signed by %s, which is to take the place", m.Next)
	case m.Epoch != c.access.epoch:
		return holo.Refuse(holo.Conflict, ReasonStaleAccess, "replace key: it was signed at access epoch %d, now %d", m.Epoch, c.access.epoch)
	case m.Old == c.chain.owner:
		return holo.Refuse(holo.Denied, ReasonState, "replace key: %s is the owner's, and not a user's", m.Old)
	case now <= 0 || !c.known(m.Old, now):
		return holo.Refuse(holo.Denied, ReasonNotGranted, "replace key: nothing is granted to %s", m.Old)
	case slices.Contains(c.chain.ruled, m.Next) || c.chain.find(holo.NodeID(m.Next)) >= 0 || len(c.grantsOf(m.Next)) > 0:
		return holo.Refuse(holo.Conflict, ReasonKeyInUse, "replace key: %s is somebody's already", m.Next)
	}
	return nil
}

// known reports whether anything is granted to a principal at a time.
func (c *Catalog) known(p holo.PrincipalID, now int64) bool {
	return slices.ContainsFunc(c.grantsOf(p), func(a wire.Access) bool { return !a.Scope.Over(now) })
}

// moveGrants ends the grants of the old key and begins those of the next, each
// under a number of its own: a grant never changes. Those whose time is over end.
func (c *Catalog) moveGrants(m *wire.Succession, now int64) {
	for _, r := range c.Grants() {
		if r.Access.Principal != m.Old {
			continue
		}
		delete(c.access.grants, r.ID)
		if r.Access.Scope.Over(now) {
			continue
		}
		c.access.last++
		r.ID, r.Access.Principal, r.Epoch = c.access.last, m.Next, c.access.epoch
		c.access.grants[r.ID] = r
	}
}

func (c *Catalog) moveOwned(m *wire.Succession) {
	for id, r := range c.arrays {
		if r.Owner == m.Old {
			r.Owner = m.Next
			c.arrays[id] = r
		}
	}
	for name, r := range c.kernels {
		if r.Owner == m.Old {
			r.Owner = m.Next
			c.kernels[name] = r
		}
	}
	for id, r := range c.jobs {
		if r.Owner == m.Old {
			r.Owner = m.Next
			c.jobs[id] = r
		}
	}
}

// checkRevocable makes sure that both of endTokens' revocations have room.
func (c *Catalog) checkRevocable(now int64) error {
	c.tidyRevocations(now)
	if len(c.revocations)+2 <= wire.MaxRevocations {
		return nil
	}
	return holo.Refuse(holo.Exhausted, ReasonFull, "replace key: the catalogue holds %d revocations, and there is no room for two more until some are over", len(c.revocations))
}

// endTokens ends what was issued to a key, for it, and by it.
func (c *Catalog) endTokens(old holo.PrincipalID, now int64) {
	for id, r := range c.tokenKeys {
		if r.Registrant == old && r.Verifiable() {
			r.State, r.Retired = wire.TokenKeyRevoked, max(r.Retired, now, 1)
			c.tokenKeys[id] = r
		}
	}
	for kind, name := range map[wire.RevokeKind][32]byte{wire.RevokeClient: key.Thumbprint(old), wire.RevokeSubject: old} {
		_, err := c.revoke(kind, name, now)
		invariant.Check(err == nil, "a revocation for which there is room is refused: %v", err)
	}
}
