package node

import (
	"context"
	"fmt"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// LetsClientsIn reports whether clients of other machines may connect.
func (n *Node) LetsClientsIn() bool { return n.home.settings.Clients }

// serveEnrol has an enrolment decided by the catalogue, which checks the
// evidence: the owner's signature of the invite, the invite's of this very
// session, and that no other client used it. What a client may do is a grant
// like any other.
func (n *Node) serveEnrol(ctx context.Context, r *request) error {
	m := r.msg.(*wire.EnrolRequest)
	if !n.LetsClientsIn() {
		return holo.Refuse(holo.Unavailable, reasonClientsOff, "enrol client: this node lets no clients of other machines in")
	}
	client := holo.PrincipalID(r.from)
	cmd := &wire.ClientEnrol{Client: client, Label: m.Label, InviteKey: m.InviteKey, HandshakeHash: r.session.Hash(), InviteSig: m.Signature}
	grant, err := proposeFor[*wire.GrantRecord](ctx, n, cmd)
	if err := n.recordJoin("client.enrol", fmt.Sprintf("client %s %s", client.Hex(), m.Label), wire.Actor{}, err); err != nil {
		n.log.Warn("enrolment refused", "client", client.String(), "label", m.Label, "error", err)
		return err
	}
	n.log.Info("client enrolled", "client", client.String(), "label", m.Label, "grant", grant.ID)
	n.learnNow(ctx) // what it asks here next is heard
	return r.answer(&wire.EnrolAnswer{Role: grant.Access.Role, Addresses: n.Addresses()})
}
