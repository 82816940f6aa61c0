package catalog

import (
	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/invariant"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// checkUser checks who a newcomer says its user is, and makes sure that there
// is room for what the invite gives them.
func (c *Catalog) checkUser(m *wire.Admit, invite *wire.InvitePut, now int64) error {
	switch {
	case m.User == (holo.PrincipalID{}) || invite.Role == 0:
		return nil
	case key.CheckPublic(m.User) != nil:
		return holo.Errorf(holo.Invalid, "admit node %s: its user's public key is no good", m.Node)
	case !key.Verify(m.InviteKey, wire.JoinUserProof(c.cluster, m.Node, m.User), m.UserSig[:]):
		return holo.Refuse(holo.Denied, ReasonInviteSig, "admit node %s: the invite's signature of its user is wrong", m.Node)
	}
	_, err := c.tidyGrants(now)
	return err
}

// welcome gives the user of a node that was just admitted the invite's role.
func (c *Catalog) welcome(m *wire.Admit, invite *wire.InvitePut, now int64) {
	if m.User == (holo.PrincipalID{}) || invite.Role == 0 {
		return
	}
	_, err := c.giveRole(m.User, m.Name, invite, now)
	invariant.Check(err == nil, "a user who passed every check gets no grant: %v", err)
}

// giveRole grants an invite's role in the owner's name: the owner's signature of
// it is the evidence. Who has the role already keeps that grant.
func (c *Catalog) giveRole(to holo.PrincipalID, label string, invite *wire.InvitePut, now int64) (wire.Message, error) {
	a := wire.Access{Principal: to, Label: label, Role: invite.Role}
	if id, known := c.sameGrant(&a); known {
		r := c.access.grants[id]
		return &r, nil
	}
	return c.addGrant(wire.GrantRecord{Access: a, By: c.chain.owner, Sig: invite.RoleSig}, now)
}

// checkRole checks an invite's role: the owner's signature, and that it can be
// granted without a scope.
func (c *Catalog) checkRole(m *wire.InvitePut) error {
	if m.Role == 0 && m.Client {
		return holo.Errorf(holo.Invalid, "put invite: one for a client gives a role")
	}
	if m.Role == 0 {
		return nil
	}
	if !key.Verify(c.chain.owner, api.InviteRoleProof(c.cluster, m.InviteKey[:], m.Role), m.RoleSig[:]) {
		return holo.Refuse(holo.Denied, ReasonOwnerSig, "put invite: its role is not signed by this cluster's owner")
	}
	return (&holo.Scope{}).Check(m.Role, false)
}
