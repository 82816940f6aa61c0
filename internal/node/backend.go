package node

import (
	"context"
	"slices"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

var _ door.Backend = (*Node)(nil)

// CreateInvite records an invite that the owner has signed, and says where it
// should point: this node first.
func (n *Node) CreateInvite(ctx context.Context, _ door.Caller, m *holov1.CreateInviteRequest) (*holov1.CreateInviteResponse, error) {
	if m.GetClient() && !n.LetsClientsIn() {
		return nil, holo.Refuse(holo.Denied, reasonClientsOff, "create invite: this node lets no clients of other machines in")
	}
	psk, err := key.NewSecret(m.GetPsk())
	if err != nil {
		return nil, err
	}
	if psk.Len() != key.Size || len(m.GetInviteKey()) != 32 || len(m.GetOwnerSignature()) != 64 {
		return nil, holo.Errorf(holo.Invalid, "create invite: want a key and a psk of 32 bytes and a signature of 64")
	}
	cmd := &wire.InvitePut{
		InviteKey: [32]byte(m.GetInviteKey()), PSKID: handshake.NewPSK(psk).ID, PSK: psk,
		Expires: m.GetExpiresUnix(), OwnerSig: [64]byte(m.GetOwnerSignature()), Client: m.GetClient(),
	}
	if m.GetRole() != "" {
		if cmd.Role, err = holo.ParseRole(m.GetRole()); err != nil {
			return nil, err
		}
		copy(cmd.RoleSig[:], m.GetRoleSignature())
	}
	if _, err := n.propose(ctx, cmd); err != nil {
		return nil, err
	}
	return &holov1.CreateInviteResponse{Addresses: n.Addresses()}, nil
}

// maxInviteAddresses keeps the text that people paste short.
const maxInviteAddresses = 4

// Addresses are where invites and clients of other machines find members: this
// node first.
func (n *Node) Addresses() []string {
	list := slices.Clone(n.advertised())
	for _, id := range n.members.ids() {
		if addr, ok := n.members.address(id); ok && !slices.Contains(list, addr) {
			list = append(list, addr)
		}
	}
	return list[:min(len(list), maxInviteAddresses)]
}
