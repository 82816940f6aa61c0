package catalog

import (
	"slices"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// ownerSuccession puts the next key in the place of the owner's, in one step:
// the record of the chain, the token keys that the next one vouches for, and what
// was the old key's as any principal's. What stands on the old key's word alone,
// and was not used yet, falls: invites, nodes that wait for votes, token keys
// without a voucher.
func (c *Catalog) ownerSuccession(m *wire.OwnerSuccession, now int64) (wire.Message, error) {
	old := c.chain.owner
	if err := c.checkOwnerSuccession(m, now); err != nil {
		return nil, err
	}
	vouched, err := c.vouched(m)
	if err != nil {
		return nil, err
	}
	if err := c.chain.append(ownerRecord(m, now)); err != nil {
		return nil, err
	}
	clear(c.pending)
	c.tokenKeys = vouched
	c.bumpAccess()
	s := &wire.Succession{Old: old, Next: m.Next}
	c.moveGrants(s, now)
	c.moveOwned(s)
	c.endTokens(old, now)
	return c.AccessHead(), nil
}

func ownerRecord(m *wire.OwnerSuccession, now int64) *wire.ChainRecord {
	return &wire.ChainRecord{
		Prev: m.Prev, Kind: wire.ChainOwner, Time: now, Owner: m.Next, Stands: m.Stands, OwnerSig: m.OldSig, NextSig: m.NextSig,
	}
}

// checkOwnerSuccession: the signatures first, as ever. That the chain or the
// access epoch has moved on since is no fault: whoever signed signs again.
func (c *Catalog) checkOwnerSuccession(m *wire.OwnerSuccession, now int64) error {
	if err := verifySuccession(c.cluster, c.chain.owner, ownerRecord(m, now)); err != nil {
		return holo.Refuse(holo.Denied, ReasonSuccessionSig, "replace owner key: %w", err)
	}
	switch {
	case m.Prev != c.chain.head:
		return holo.Refuse(holo.Conflict, ReasonStaleChain, "replace owner key: it was signed for another end of the chain")
	case m.Epoch != c.access.epoch:
		return holo.Refuse(holo.Conflict, ReasonStaleAccess, "replace owner key: it was signed at access epoch %d, now %d", m.Epoch, c.access.epoch)
	case len(c.grantsOf(m.Next)) > 0 || c.chain.find(holo.NodeID(m.Next)) >= 0 || slices.Contains(c.chain.ruled, m.Next):
		return holo.Refuse(holo.Conflict, ReasonKeyInUse, "replace owner key: %s is somebody's already, or was", m.Next)
	}
	return c.checkRevocable(now)
}

// vouched gives the token keys that the next owner vouches for, as registered by
// it. The others were registered by a key that means nothing any more.
func (c *Catalog) vouched(m *wire.OwnerSuccession) (map[holo.Thumbprint]wire.TokenKeyRecord, error) {
	kept := make(map[holo.Thumbprint]wire.TokenKeyRecord, len(m.Keys))
	for _, v := range m.Keys {
		id := key.Thumbprint(v.Key)
		r, known := c.tokenKeys[id]
		if !known || !r.Verifiable() {
			return nil, holo.Refuse(holo.Conflict, ReasonStaleAccess, "replace owner key: token key %s, for which it vouches, does not verify", id.Hex())
		}
		r.Registrant = heir(r.Registrant, c.chain.owner, m.Next)
		r.Authority, r.Epoch, r.Sig = m.Next, m.Epoch, v.Sig
		if r.Registrant != v.Registrant {
			return nil, holo.Refuse(holo.Denied, ReasonTokenKeySig, "replace owner key: token key %s is not %s's", id.Hex(), v.Registrant)
		}
		if err := VerifyTokenKey(c.cluster, m.Next, &r); err != nil {
			return nil, err
		}
		kept[id] = r
	}
	return kept, nil
}

// heir is who has a principal's place after a succession.
func heir(p, old, next holo.PrincipalID) holo.PrincipalID {
	if p == old {
		return next
	}
	return p
}

// checkSuperseded refuses an invite that an earlier owner has signed. Nobody has
// used it, and who holds the old key may have made it.
func (c *Catalog) checkSuperseded(m *wire.InvitePut) error {
	proof := api.InviteProof
	if m.Client {
		proof = api.ClientInviteProof
	}
	if key.Verify(c.chain.owner, proof(c.cluster, m.InviteKey[:], m.Expires), m.OwnerSig[:]) {
		return nil
	}
	return holo.Refuse(holo.Denied, ReasonInviteSuperseded, "use invite: the owner's key was replaced since it was made: ask for a new one")
}
