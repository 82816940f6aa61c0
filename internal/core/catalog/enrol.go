package catalog

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// clientEnrol binds an invite to the first client that shows it, and grants the
// client its role, in one step. A client may ask again until the invite expires
// and gets the same answer while it has the grant; nobody else gets any.
func (c *Catalog) clientEnrol(m *wire.ClientEnrol, now int64) (wire.Message, error) {
	invite, err := c.checkEnrol(m, now)
	if err != nil {
		return nil, err
	}
	if err := checkClient(m); err != nil {
		return nil, err
	}
	_, granted := c.sameGrant(&wire.Access{Principal: m.Client, Role: invite.Invite.Role})
	switch bound := invite.Bound == m.Client; {
	case bound && !granted:
		return nil, holo.Refuse(holo.Denied, ReasonInviteBound, "enrol client %s: its role was revoked since this invite gave it", m.Client)
	case !bound && granted, m.Client == c.chain.owner:
		return nil, holo.Errorf(holo.Exists, "enrol client %s: the cluster knows this key already", m.Client)
	}
	if invite.Bound != m.Client {
		if err := c.checkSuperseded(&invite.Invite); err != nil {
			return nil, err
		}
	}
	r, err := c.giveRole(m.Client, m.Label, &invite.Invite, now)
	if err == nil {
		invite.Bound = m.Client
		c.invites[m.InviteKey] = invite
	}
	return r, err
}

// checkEnrol is checkInvite for a client.
func (c *Catalog) checkEnrol(m *wire.ClientEnrol, now int64) (wire.InviteRecord, error) {
	invite, ok := c.invites[m.InviteKey]
	switch {
	case !ok:
		return invite, holo.Refuse(holo.Denied, ReasonUnknownInvite, "enrol client %s: no such invite", m.Client)
	case !key.Verify(m.InviteKey, wire.EnrolProof(c.cluster, m.Client, m.HandshakeHash), m.InviteSig[:]):
		return invite, holo.Refuse(holo.Denied, ReasonInviteSig, "enrol client %s: the invite's signature is wrong", m.Client)
	case !invite.Invite.Client:
		return invite, holo.Refuse(holo.Denied, ReasonInviteKind, "enrol client %s: the invite is for a node", m.Client)
	case now <= 0 || now > invite.Invite.Expires:
		return invite, holo.Refuse(holo.Denied, ReasonInviteExpired, "enrol client %s: the invite expired at %d, now %d", m.Client, invite.Invite.Expires, now)
	case invite.Bound != [32]byte{} && invite.Bound != m.Client:
		return invite, holo.Refuse(holo.Denied, ReasonInviteBound, "enrol client %s: the invite was used by another client", m.Client)
	}
	return invite, nil
}

func checkClient(m *wire.ClientEnrol) error {
	if err := key.CheckPublic(m.Client); err != nil {
		return holo.Errorf(holo.Invalid, "enrol client %s: %w", m.Client, err)
	}
	return checkName("client", m.Label)
}
