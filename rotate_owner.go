package holocompute

import (
	"context"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/ownership"
)

// RotateOwnerKey replaces the owner's key in the configuration folder, and has the
// new one take the old one's place in every cluster that it is the owner of: that
// of this machine's node, and all that are pinned. Each of them must answer. Every
// node verifies the succession for itself, and from then on refuses what the old
// key signs; clients who know the old key follow it to the new one. Invites that
// nobody has used are void, and nodes that wait for votes ask again with a new one.
// Like RotateUserKey it may be repeated after it broke off, at whichever moment.
func RotateOwnerKey(ctx context.Context, o Options) (*KeyRotation, error) {
	return o.rotate(ctx, replacing{
		what: "replace the owner's key", file: identity.OwnerKeyFile, next: identity.NextOwnerFile, ask: (*succession).askOwner,
	})
}

// askOwner signs the succession for the end of the chain and the access epoch of
// now, again when something else came first.
func (s *succession) askOwner(ctx context.Context, c *Cluster) error {
	for try := 1; ; try++ {
		state, err := c.ownerState(ctx)
		if err != nil {
			return err
		}
		signed, err := ownership.Succession(*state, s.old, s.next)
		if err != nil {
			return err
		}
		_, err = change(ctx, c.client, s.what, holov1connect.KeyServiceSucceedOwnerProcedure, c.rotations.SucceedOwner, &holov1.SucceedOwnerRequest{Succession: signed})
		if reason := ReasonOf(err); reason != "stale_policy" && reason != "stale_chain" || try == staleTries {
			return err
		}
	}
}

// maxChain is the most records that a chain has.
const maxChain = 4096

// ownerState asks for the whole chain, and what else a succession is signed over.
func (c *Cluster) ownerState(ctx context.Context) (*ownership.State, error) {
	const what = "ask for the membership chain"
	cluster, err := c.client.clusterID(ctx)
	if err != nil {
		return nil, err
	}
	s := &ownership.State{Cluster: cluster}
	for len(s.Chain) <= maxChain {
		r, err := read(ctx, c.client, what, c.rotations.OwnerState, &holov1.OwnerStateRequest{First: uint32(len(s.Chain))})
		if err != nil {
			return nil, err
		}
		if len(r.GetChain()) == 0 {
			s.Access = r.GetAccess()
			return s, nil
		}
		s.Chain = append(s.Chain, r.GetChain()...)
	}
	return nil, holo.Errorf(Corrupt, "%s: the node tells more than %d records", what, maxChain)
}
