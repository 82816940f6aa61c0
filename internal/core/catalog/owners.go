package catalog

import (
	"crypto/sha256"
	"slices"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// The owner's key is replaced by a record of the chain, which the old key and the
// next one sign. From there on the next one is the owner: what the old key signs
// is refused, whenever it says that it was signed. The next key's signature is
// over the chain's past and over who is a member, so whoever knows only the next
// one can verify what was before it, and nobody can add to that.

// Verified is what a chain that was verified says.
type Verified struct {
	Members []ChainMember      // in the order of their admission
	Owners  []holo.PrincipalID // the founder first, the owner of now last

	records []wire.ChainRecord
	stood   [][32]byte
}

// Owner is whose signatures count now.
func (v *Verified) Owner() holo.PrincipalID { return v.Owners[len(v.Owners)-1] }

// ReadChain verifies a chain from any key that the cluster's owner ever had: the
// records after it by its signatures and its successors', those before it because
// its own succession names their hash.
func ReadChain(cluster holo.ClusterID, owner holo.PrincipalID, records []wire.ChainRecord) (*Verified, error) {
	if len(records) == 0 {
		return nil, chainError(0, "the chain is empty")
	}
	c := newChain(cluster, records[0].Owner)
	for i := range records {
		if err := c.append(&records[i]); err != nil {
			return nil, err
		}
	}
	if !slices.Contains(c.ruled, owner) {
		return nil, chainError(0, "another owner's cluster: %s", c.owner)
	}
	return &Verified{Members: c.members, Owners: c.ruled, records: records, stood: c.stood}, nil
}

func (c *chain) checkOwner(r *wire.ChainRecord) error {
	n := len(c.records)
	switch {
	case slices.Contains(c.ruled, r.Owner):
		return chainError(n, "key %s was the owner's before", r.Owner)
	case key.CheckPublic(r.Owner) != nil || c.find(holo.NodeID(r.Owner)) >= 0 || !r.Node.IsZero():
		return chainError(n, "key %s cannot be an owner's", r.Owner)
	case r.Stands != standsHash(c.standing()):
		return chainError(n, "it vouches for others than the members")
	}
	if err := verifySuccession(c.cluster, c.owner, r); err != nil {
		return err
	}
	if len(c.ruled) >= wire.MaxOwners {
		return holo.Refuse(holo.Exhausted, ReasonFull, "membership record %d: the owner's key was replaced %d times, the limit: checkpoint the arrays and restore them in a new cluster", n, len(c.ruled)-1)
	}
	return nil
}

// verifySuccession checks both signatures of a succession.
func verifySuccession(cluster holo.ClusterID, old holo.PrincipalID, r *wire.ChainRecord) error {
	proof := api.OwnerProof(cluster, r.Prev, old, r.Owner, r.Stands)
	switch {
	case !key.Verify(old, proof, r.OwnerSig[:]):
		return holo.Refuse(holo.Denied, ReasonOwnerSig, "succession of owner %s: it has not signed it", old)
	case !key.Verify(r.Owner, proof, r.NextSig[:]):
		return holo.Refuse(holo.Denied, ReasonOwnerSig, "succession of owner %s: the next, %s, has not signed it", old, r.Owner)
	}
	return nil
}

// standing lists the admissions of those who are members, in order.
func (c *chain) standing() [][32]byte { return admissionsOf(c.members) }

func admissionsOf(members []ChainMember) [][32]byte {
	list := make([][32]byte, len(members))
	for i, m := range members {
		list[i] = m.Admission
	}
	return list
}

// StandsOf is what a succession says of the members.
func StandsOf(members []ChainMember) [32]byte { return standsHash(admissionsOf(members)) }

func standsHash(admissions [][32]byte) [32]byte {
	return sha256.Sum256(slices.Concat(sliced(admissions)...))
}

func sliced(hashes [][32]byte) [][]byte {
	list := make([][]byte, len(hashes))
	for i := range hashes {
		list[i] = hashes[i][:]
	}
	return list
}
