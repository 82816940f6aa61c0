// Package ownership signs the succession of a cluster's owner, where the owner's
// key is: with the user, and not on a node.
//
// Its one idea is that the owner signs nothing on a node's word. What the node
// tells of the chain and of the token keys is verified by the owner's own key
// before it is signed, so a node that lies gets no signature for members or token
// keys of its own making. What it cannot see is that a node leaves out the newest
// records: the catalogue refuses such a succession, which names the chain's end.
//
// It does no I/O. What is signed is in internal/api and internal/wire, and who
// decides about it is internal/core/catalog.
package ownership

import (
	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// ReasonNotOwner is that of a key that is not the cluster's owner's, now.
const ReasonNotOwner = "not_the_owner"

// State is what a node tells of a cluster.
type State struct {
	Cluster holo.ClusterID
	Chain   [][]byte // every record, encoded, the genesis first
	Access  []byte   // an encoded wire.TokenFeed
}

// Succession verifies what a node told, has both keys sign that the next takes
// the old one's place, and gives the encoded wire.OwnerSuccession.
func Succession(s State, old, next key.Signer) ([]byte, error) {
	records, err := chainOf(s.Chain)
	if err != nil {
		return nil, err
	}
	v, err := catalog.ReadChain(s.Cluster, holo.PrincipalID(old.Public()), records)
	if err != nil {
		return nil, err
	}
	if owner := v.Owner(); owner != holo.PrincipalID(old.Public()) {
		return nil, holo.Refuse(holo.Denied, ReasonNotOwner, "replace owner key: the owner of cluster %s is %s, and no more this key", s.Cluster, owner)
	}
	msg, err := wire.Decode(s.Access)
	feed, ok := msg.(*wire.TokenFeed)
	if err != nil || !ok {
		return nil, holo.Errorf(holo.Corrupt, "replace owner key: the node's answer holds no token keys")
	}
	m := &wire.OwnerSuccession{
		Prev: catalog.RecordHash(&records[len(records)-1]), Next: next.Public(), Stands: catalog.StandsOf(v.Members), Epoch: feed.Epoch,
	}
	proof := api.OwnerProof(s.Cluster, m.Prev, old.Public(), m.Next, m.Stands)
	copy(m.OldSig[:], old.Sign(proof))
	copy(m.NextSig[:], next.Sign(proof))
	if m.Keys, err = vouch(s.Cluster, feed, old.Public(), next); err != nil {
		return nil, err
	}
	return wire.Encode(m), nil
}

func chainOf(encoded [][]byte) ([]wire.ChainRecord, error) {
	if len(encoded) > wire.MaxChain {
		return nil, holo.Errorf(holo.Corrupt, "read chain: %d records, at most %d", len(encoded), wire.MaxChain)
	}
	records := make([]wire.ChainRecord, 0, len(encoded))
	for i, b := range encoded {
		msg, err := wire.Decode(b)
		r, ok := msg.(*wire.ChainRecord)
		if err != nil || !ok {
			return nil, holo.Errorf(holo.Corrupt, "read chain: record %d does not decode", i)
		}
		records = append(records, *r)
	}
	return records, nil
}

// vouch signs for the token keys that verify, if the old owner has registered
// them.
func vouch(cluster holo.ClusterID, feed *wire.TokenFeed, old holo.PrincipalID, next key.Signer) (list []wire.TokenKeyVoucher, err error) {
	for i := range feed.Keys {
		r := &feed.Keys[i]
		if !r.Verifiable() {
			continue
		}
		if err := catalog.VerifyTokenKey(cluster, old, r); err != nil {
			return nil, err
		}
		v := wire.TokenKeyVoucher{Key: r.Key, Registrant: r.Registrant}
		if v.Registrant == old {
			v.Registrant = next.Public()
		}
		copy(v.Sig[:], next.Sign(wire.TokenKeyProof(cluster, wire.TokenKeyPrepared, v.Key, v.Registrant, next.Public(), feed.Epoch)))
		list = append(list, v)
	}
	return list, nil
}
