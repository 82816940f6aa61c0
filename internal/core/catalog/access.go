package catalog

import (
	"maps"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// MaxGrants bounds the grants in force; those whose time is over give way.
const MaxGrants = 1024

// access is who may do what: grants by number, and an epoch that counts every
// change. Whoever grants or revokes signs over the epoch that they saw, so a
// change that was decided on older knowledge is refused as stale, and no
// signature serves twice.
type access struct {
	epoch  uint64
	last   uint64 // number of the newest grant
	grants map[uint64]wire.GrantRecord
}

// FirstEpoch is the access epoch of a catalogue in which nothing was granted.
const FirstEpoch = 1

func newAccess() access { return access{epoch: FirstEpoch, grants: map[uint64]wire.GrantRecord{}} }

// AccessEpoch counts the changes of who may do what.
func (c *Catalog) AccessEpoch() uint64 { return c.access.epoch }

// AccessHead is the epoch, how many grants there ever were, and whose key rules.
func (c *Catalog) AccessHead() *wire.AccessHead {
	return &wire.AccessHead{Epoch: c.access.epoch, LastGrant: c.access.last, Owner: c.chain.owner}
}

// Grants lists the grants by number, those whose time is over until they give
// way to others.
func (c *Catalog) Grants() []wire.GrantRecord { return values(c.access.grants, compareIDs) }

// bumpAccess marks a change of who may do what: no decision made before holds
// any longer.
func (c *Catalog) bumpAccess() { c.access.epoch++ }

// grantPut takes a grant from somebody who may give it.
func (c *Catalog) grantPut(m *wire.GrantPut, now int64) (wire.Message, error) {
	if err := c.checkGranter("grant", m.By, m.Epoch, grantProof(c.cluster, m.Epoch, &m.Access), m.Sig, now); err != nil {
		return nil, err
	}
	if err := checkAccess(&m.Access, now); err != nil {
		return nil, err
	}
	if !c.covers(m.By, &m.Access, now) {
		return nil, holo.Refuse(holo.Denied, ReasonWider, "grant %s to %s: %s may not grant more than it holds itself", m.Access.Role, m.Access.Principal, m.By)
	}
	if _, known := c.sameGrant(&m.Access); known {
		return nil, holo.Errorf(holo.Exists, "grant %s to %s: it is granted already", m.Access.Role, m.Access.Principal)
	}
	return c.addGrant(wire.GrantRecord{Access: m.Access, By: m.By, Sig: m.Sig}, now)
}

// grantRevoke ends a grant, for whoever could give it.
func (c *Catalog) grantRevoke(m *wire.GrantRevoke, now int64) (wire.Message, error) {
	if err := c.checkGranter("revoke", m.By, m.Epoch, api.RevokeProof(c.cluster, m.Epoch, m.ID), m.Sig, now); err != nil {
		return nil, err
	}
	r, ok := c.access.grants[m.ID]
	switch {
	case !ok:
		return nil, holo.Errorf(holo.NotFound, "revoke grant %d: no such grant", m.ID)
	case !c.covers(m.By, &r.Access, now):
		return nil, holo.Refuse(holo.Denied, ReasonWider, "revoke grant %d: it is more than %s holds itself", m.ID, m.By)
	}
	delete(c.access.grants, m.ID)
	c.bumpAccess()
	return &r, nil
}

func grantProof(cluster holo.ClusterID, epoch uint64, a *wire.Access) []byte {
	return api.GrantProof(cluster, epoch, a.Principal, a.Label, a.Role, &a.Scope, a.Release)
}

// checkGranter: the signature first, so that nobody is told anything who is not
// who they say; then the epoch, then the right to change who may do what.
func (c *Catalog) checkGranter(what string, by holo.PrincipalID, epoch uint64, proof []byte, sig [64]byte, now int64) error {
	switch {
	case !key.Verify(by, proof, sig[:]):
		return holo.Refuse(holo.Denied, ReasonGrantSig, "%s: not signed by %s", what, by)
	case epoch != c.access.epoch:
		return holo.Refuse(holo.Conflict, ReasonStaleAccess, "%s: it was signed at access epoch %d, now %d", what, epoch, c.access.epoch)
	case now <= 0 || !c.mayGrant(by, now):
		return holo.Refuse(holo.Denied, ReasonNotGranted, "%s: %s lacks POLICY_WRITE", what, by)
	}
	return nil
}

func checkAccess(a *wire.Access, now int64) error {
	if err := key.CheckPublic(a.Principal); err != nil {
		return holo.Errorf(holo.Invalid, "grant to %s: %w", a.Principal, err)
	}
	if a.Label != "" {
		if err := checkName("label", a.Label); err != nil {
			return err
		}
	}
	if a.Scope.Under != "" {
		if err := checkName("scope", a.Scope.Under); err != nil {
			return err
		}
		if a.Scope.Under[len(a.Scope.Under)-1] == '/' {
			return holo.Errorf(holo.Invalid, "scope %s: leave the / at its end out", a.Scope.Under)
		}
	}
	if a.Scope.Over(now) {
		return holo.Errorf(holo.Invalid, "grant to %s: its time is over", a.Principal)
	}
	return a.Scope.Check(a.Role, a.Release)
}

// covers reports whether a principal holds all that an access would give. The
// owner's key may grant anything, itself included: that is what it is for.
// The right to grant has a scope of its own. Whoever reads an array may let a
// module compute on it.
func (c *Catalog) covers(by holo.PrincipalID, a *wire.Access, now int64) bool {
	if by == c.chain.owner {
		return true
	}
	if !c.holds(by, holo.ActionPolicyWrite, a, now) {
		return false
	}
	for _, action := range a.Role.Actions() {
		reads := action == holo.ActionCompute && c.holds(by, holo.ActionRead, a, now)
		if !reads && !c.holds(by, action, a, now) {
			return false
		}
	}
	return true
}

// holds reports whether one grant gives a principal an action wherever an
// access would. COMPUTE whose results are held back does not cover one that
// releases them.
func (c *Catalog) holds(by holo.PrincipalID, action holo.Action, a *wire.Access, now int64) bool {
	for _, r := range c.access.grants {
		held := r.Access.Principal == by && r.Access.Role.May(action) && !r.Access.Scope.Over(now)
		tight := action == holo.ActionCompute && a.Release && !r.Access.Release
		if held && !tight && r.Access.Scope.Covers(&a.Scope) {
			return true
		}
	}
	return false
}

// mayGrant reports whether a principal may change who may do what at all; how
// far, covers says of each change.
func (c *Catalog) mayGrant(by holo.PrincipalID, now int64) bool {
	if by == c.chain.owner {
		return true
	}
	for _, r := range c.access.grants {
		if r.Access.Principal == by && r.Access.Role.May(holo.ActionPolicyWrite) && !r.Access.Scope.Over(now) {
			return true
		}
	}
	return false
}

func (c *Catalog) sameGrant(a *wire.Access) (uint64, bool) {
	for id, r := range c.access.grants {
		same := r.Access.Principal == a.Principal && r.Access.Role == a.Role && r.Access.Release == a.Release
		if same && r.Access.Scope.Equal(&a.Scope) {
			return id, true
		}
	}
	return 0, false
}

// tidyGrants gives the grants without those whose time is over.
func (c *Catalog) tidyGrants(now int64) (map[uint64]wire.GrantRecord, error) {
	left := maps.Clone(c.access.grants)
	maps.DeleteFunc(left, func(_ uint64, r wire.GrantRecord) bool { return r.Access.Scope.Over(now) })
	return left, full("grant", left, MaxGrants)
}

// addGrant adds a grant that was checked; those whose time is over give way.
func (c *Catalog) addGrant(r wire.GrantRecord, now int64) (wire.Message, error) {
	left, err := c.tidyGrants(now)
	if err != nil {
		return nil, err
	}
	c.access.grants = left
	c.bumpAccess()
	c.access.last++
	r.ID, r.Created, r.Epoch = c.access.last, now, c.access.epoch
	c.access.grants[r.ID] = r
	return &r, nil
}
