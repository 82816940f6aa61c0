package catalog

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// ChainMember is a node that the chain says is a member.
type ChainMember struct {
	Node      holo.NodeID
	Name      string
	Admission [32]byte // hash of the record that admitted it
	Position  int      // of that record
}

// VerifyChain checks every record of a membership chain against the owner's
// key, or that of any of its owners, and gives the members, in the order of
// their admission. It believes no
// node: the evidence is in the records.
func VerifyChain(cluster holo.ClusterID, owner holo.PrincipalID, records []wire.ChainRecord) ([]ChainMember, error) {
	v, err := ReadChain(cluster, owner, records)
	if err != nil {
		return nil, err
	}
	return v.Members, nil
}

// SpliceChain extends a chain that was verified before by records that begin
// at position first. What is known never changes: a chain that tells another
// past, or a shorter one, is refused. The result MUST still be verified.
func SpliceChain(known []wire.ChainRecord, first int, records []wire.ChainRecord) ([]wire.ChainRecord, error) {
	if first < 0 || first > len(known) || first+len(records) < len(known) {
		return nil, chainError(first, "%d records do not extend the %d known ones", len(records), len(known))
	}
	overlap := len(known) - first
	if !slices.EqualFunc(known[first:], records[:overlap], sameRecord) {
		return nil, chainError(first, "it rewrites records that are known")
	}
	return append(slices.Clone(known), records[overlap:]...), nil
}

// RecordHash is the name of a record: what the next one points back to.
func RecordHash(r *wire.ChainRecord) [32]byte { return sha256.Sum256(wire.Encode(r)) }

func sameRecord(a, b wire.ChainRecord) bool { return RecordHash(&a) == RecordHash(&b) }

// chain is a verified membership chain that grows.
type chain struct {
	cluster holo.ClusterID
	owner   holo.PrincipalID   // now
	ruled   []holo.PrincipalID // every owner so far, the founder first
	stood   [][32]byte         // admissions that the last succession vouches for
	records []wire.ChainRecord
	members []ChainMember
	used    map[[32]byte]holo.NodeID // invite keys, and whom they admitted
	policy  [32]byte                 // hash of the last policy's record; zero: there is none
	need    uint8                    // votes that it wants for an admission
	head    [32]byte
}

func newChain(cluster holo.ClusterID, owner holo.PrincipalID) *chain {
	return &chain{cluster: cluster, owner: owner, ruled: []holo.PrincipalID{owner}, used: map[[32]byte]holo.NodeID{}}
}

func (c *chain) append(r *wire.ChainRecord) error {
	if err := c.check(r); err != nil {
		return err
	}
	hash := RecordHash(r)
	switch r.Kind {
	case wire.ChainEvict:
		c.members = slices.Delete(slices.Clone(c.members), c.find(r.Node), c.find(r.Node)+1)
	case wire.ChainPolicy:
		c.policy, c.need = hash, r.Need
	case wire.ChainOwner:
		c.stood = c.standing()
		c.owner, c.ruled = r.Owner, append(slices.Clip(c.ruled), r.Owner)
	default:
		c.members = append(slices.Clip(c.members), ChainMember{r.Node, r.Name, hash, len(c.records)})
	}
	if r.Kind == wire.ChainAdmit {
		c.used[r.InviteKey] = r.Node
	}
	c.records = append(c.records, *r)
	c.head = hash
	return nil
}

func (c *chain) check(r *wire.ChainRecord) error {
	n := len(c.records)
	switch {
	case n >= wire.MaxChain:
		return holo.Refuse(holo.Exhausted, ReasonFull, "membership record %d: a chain has at most %d", n, wire.MaxChain)
	case r.Prev != c.head:
		return chainError(n, "it does not follow the record before")
	case (n == 0) != (r.Kind == wire.ChainGenesis):
		return chainError(n, "the first record and no other is the genesis")
	}
	switch r.Kind {
	case wire.ChainGenesis:
		return c.checkGenesis(r)
	case wire.ChainAdmit:
		return c.checkAdmit(r)
	case wire.ChainEvict:
		return c.checkEvict(r)
	case wire.ChainPolicy:
		return c.checkPolicy(r)
	case wire.ChainOwner:
		return c.checkOwner(r)
	}
	return chainError(n, "its kind is not known")
}

func (c *chain) checkGenesis(r *wire.ChainRecord) error {
	switch {
	case r.Owner != c.owner:
		return chainError(0, "another owner's cluster: %s", r.Owner)
	case !key.Verify(c.owner, wire.GenesisProof(c.cluster, r.Owner, r.Node, r.Name, r.Time), r.OwnerSig[:]):
		return chainError(0, "the owner's signature is wrong")
	}
	return checkNode(0, r.Node)
}

func (c *chain) checkAdmit(r *wire.ChainRecord) error {
	n := len(c.records)
	switch {
	case c.find(r.Node) >= 0:
		return chainError(n, "node %s is a member already", r.Node)
	case c.named(r.Name):
		return chainError(n, "a member is named %s already", r.Name)
	case c.usedBy(r.InviteKey):
		return chainError(n, "its invite was used before")
	case r.Time > r.Expires:
		return chainError(n, "its invite had expired")
	}
	if err := c.checkEvidence(r); err != nil {
		return err
	}
	return c.checkVotes(r)
}

// checkEvidence checks the two signatures of an admission: the owner's for the
// invite, and the invite's for the node.
func (c *chain) checkEvidence(r *wire.ChainRecord) error {
	n := len(c.records)
	switch {
	case !key.Verify(c.owner, api.InviteProof(c.cluster, r.InviteKey[:], r.Expires), r.OwnerSig[:]):
		return chainError(n, "the owner's signature of the invite is wrong")
	case !key.Verify(r.InviteKey, wire.AdmitProof(c.cluster, r.Node, r.HandshakeHash), r.InviteSig[:]):
		return chainError(n, "the invite's signature is wrong")
	}
	return checkNode(n, r.Node)
}

func (c *chain) checkEvict(r *wire.ChainRecord) error {
	n, i := len(c.records), c.find(r.Node)
	switch {
	case i < 0:
		return chainError(n, "node %s is not a member", r.Node)
	case len(c.members) == 1:
		return chainError(n, "node %s is the last member", r.Node)
	case c.members[i].Admission != r.Admission:
		return chainError(n, "it ends another admission of node %s", r.Node)
	case !key.Verify(c.owner, api.EvictProof(c.cluster, r.Prev, r.Node, r.Admission, r.LoseData), r.OwnerSig[:]):
		return unsigned(n)
	}
	return nil
}

func (c *chain) checkPolicy(r *wire.ChainRecord) error {
	switch n := len(c.records); {
	case r.Need > wire.MaxVotes || !r.Node.IsZero():
		return chainError(n, "it wants %d votes, at most %d", r.Need, wire.MaxVotes)
	case !key.Verify(c.owner, api.PolicyProof(c.cluster, r.Prev, r.Need), r.OwnerSig[:]):
		return unsigned(n)
	}
	return nil
}

// checkVotes wants exactly as many votes as the policy does, each of another
// voter, in order. An old record's votes are counted by the members of then.
func (c *chain) checkVotes(r *wire.ChainRecord) error {
	n := len(c.records)
	if len(r.Votes) != int(c.need) {
		return chainError(n, "%d votes, the policy wants %d", len(r.Votes), c.need)
	}
	for i := range r.Votes {
		if i > 0 && bytes.Compare(r.Votes[i-1].Voter[:], r.Votes[i].Voter[:]) >= 0 {
			return chainError(n, "a vote is there twice, or out of order")
		}
		if !c.counts(&r.Votes[i], r) {
			return chainError(n, "the vote of %x does not count", r.Votes[i].Voter)
		}
	}
	return nil
}

// counts reports whether a vote is for just this admission, under the policy
// that holds now, of the owner or of somebody who is a member now.
func (c *chain) counts(v *wire.Vote, r *wire.ChainRecord) bool {
	member := c.find(holo.NodeID(v.Voter)) >= 0 || holo.PrincipalID(v.Voter) == c.owner
	return member && key.Verify(v.Voter, api.VoteProof(c.cluster, c.policy, r.Node, r.InviteKey, r.HandshakeHash, r.Name), v.Sig[:])
}

func checkNode(n int, node holo.NodeID) error {
	if err := key.CheckPublic(node); err != nil {
		return chainError(n, "node %s: %v", node, err)
	}
	return nil
}

func (c *chain) usedBy(invite [32]byte) bool {
	_, ok := c.used[invite]
	return ok
}

// named reports whether a member has the name: people call nodes by it.
func (c *chain) named(name string) bool {
	return slices.ContainsFunc(c.members, func(m ChainMember) bool { return m.Name == name })
}

// find is the node's place among the members, -1 when it is none.
func (c *chain) find(node holo.NodeID) int {
	return slices.IndexFunc(c.members, func(m ChainMember) bool { return m.Node == node })
}

// unsigned is the error of a decision that the owner has not signed, or signed
// for another place in the chain.
func unsigned(n int) error {
	return holo.Refuse(holo.Denied, ReasonOwnerSig, "membership record %d: the owner has not signed this, here", n)
}

func chainError(n int, format string, args ...any) error {
	cause := holo.Errorf(holo.Denied, format, args...)
	return holo.Refuse(holo.Denied, ReasonBadChain, "membership record %d: %w", n, cause)
}
