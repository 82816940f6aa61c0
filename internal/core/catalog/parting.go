package catalog

import (
	"slices"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// Parting is what a node that was put out may be told: its eviction, and the
// successions of the owner. It tells of nobody else.
func (v *Verified) Parting(evict wire.ChainRecord) []byte {
	return wire.Encode(&wire.Parting{Founder: v.Owners[0], Owners: v.successions(), Evict: evict})
}

// VerifyParting checks, for a node that was off, that its owner has put it out:
// the one that it knows, or a successor, has signed the end of this very admission.
func VerifyParting(cluster holo.ClusterID, known holo.PrincipalID, node holo.NodeID, admission [32]byte, word []byte) (*wire.ChainRecord, error) {
	msg, err := wire.Decode(word)
	m, ok := msg.(*wire.Parting)
	if err != nil || !ok {
		return nil, chainError(0, "it is no parting")
	}
	owners, err := followOwners(cluster, known, m.Founder, m.Owners)
	if err != nil {
		return nil, err
	}
	r := &m.Evict
	if r.Kind != wire.ChainEvict || r.Node != node || r.Admission != admission {
		return nil, chainError(0, "it does not end this admission of node %s", node)
	}
	proof := api.EvictProof(cluster, r.Prev, r.Node, r.Admission, r.LoseData)
	for _, owner := range owners[slices.Index(owners, known):] {
		if key.Verify(owner, proof, r.OwnerSig[:]) {
			return r, nil
		}
	}
	return nil, unsigned(0)
}
