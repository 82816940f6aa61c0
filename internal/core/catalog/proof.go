package catalog

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// VerifyMembership checks the one record by which a node was founded or
// admitted. It proves that the owner let the node in, not that it is still a
// member: for that the whole chain is needed.
func VerifyMembership(cluster holo.ClusterID, owner holo.PrincipalID, node holo.NodeID, record *wire.ChainRecord) error {
	c := newChain(cluster, owner)
	switch {
	case record.Node != node:
		return chainError(0, "it admits node %s, not %s", record.Node, node)
	case record.Kind == wire.ChainGenesis:
		return c.checkGenesis(record)
	case record.Kind == wire.ChainAdmit:
		return c.checkEvidence(record)
	}
	return chainError(0, "it admits nobody")
}

// VerifyProof checks a membership proof as a handshake carries it, for somebody
// who knows one key that the cluster's owner had. It gives the owners that the
// proof shows, the one of now last: that key takes the place of the one known,
// which vouches for it.
func VerifyProof(cluster holo.ClusterID, owner holo.PrincipalID, node holo.NodeID, proof []byte) ([]holo.PrincipalID, error) {
	msg, err := wire.Decode(proof)
	if err != nil {
		return nil, chainError(0, "node %s shows no membership record", node)
	}
	switch m := msg.(type) {
	case *wire.ChainRecord:
		return []holo.PrincipalID{owner}, VerifyMembership(cluster, owner, node, m)
	case *wire.MembershipProof:
		return verifyOwners(cluster, owner, node, m)
	}
	return nil, chainError(0, "node %s shows no membership record", node)
}

// verifyOwners follows the successions. Which of them the old key has made first
// only the chain can tell: somebody who knows it alone follows where it points.
func verifyOwners(cluster holo.ClusterID, known holo.PrincipalID, node holo.NodeID, m *wire.MembershipProof) ([]holo.PrincipalID, error) {
	owners, err := followOwners(cluster, known, m.Founder, m.Owners)
	if err != nil {
		return nil, err
	}
	return owners, verifyAdmission(cluster, owners[len(owners)-1], node, m)
}

// followOwners verifies the successions from the founder on, and that they lead
// past an owner who is known.
func followOwners(cluster holo.ClusterID, known, founder holo.PrincipalID, successions []wire.ChainRecord) ([]holo.PrincipalID, error) {
	owners := []holo.PrincipalID{founder}
	for i := range successions {
		r := &successions[i]
		if r.Kind != wire.ChainOwner || slices.Contains(owners, r.Owner) {
			return nil, chainError(i, "it is no succession, or leads back")
		}
		if err := verifySuccession(cluster, owners[i], r); err != nil {
			return nil, err
		}
		owners = append(owners, r.Owner)
	}
	if !slices.Contains(owners, known) {
		return nil, chainError(0, "another owner's cluster: %s", owners[len(owners)-1])
	}
	return owners, nil
}

// verifyAdmission: what the owner of now has not signed itself, it must have
// vouched for when it became the owner. An admission that an earlier key signs
// afterwards is nowhere vouched for.
func verifyAdmission(cluster holo.ClusterID, owner holo.PrincipalID, node holo.NodeID, m *wire.MembershipProof) error {
	if len(m.Stands) == 0 || len(m.Owners) == 0 {
		return VerifyMembership(cluster, owner, node, &m.Admission)
	}
	switch {
	case m.Admission.Node != node:
		return chainError(0, "it admits node %s, not %s", m.Admission.Node, node)
	case standsHash(m.Stands) != m.Owners[len(m.Owners)-1].Stands || !slices.Contains(m.Stands, RecordHash(&m.Admission)):
		return chainError(0, "node %s was admitted under an earlier owner, and the one of now does not vouch for it", node)
	}
	return nil
}

// Proof is what a member shows in handshakes: its admission, and the successions
// by which somebody who knows an earlier owner comes to the one of now.
func (v *Verified) Proof(node holo.NodeID) []byte {
	i := slices.IndexFunc(v.Members, func(m ChainMember) bool { return m.Node == node })
	if i < 0 {
		return nil
	}
	m := &wire.MembershipProof{Founder: v.Owners[0], Admission: v.records[v.Members[i].Position]}
	if len(v.Owners) == 1 {
		return wire.Encode(&m.Admission)
	}
	m.Owners = v.successions()
	if slices.Contains(v.stood, v.Members[i].Admission) {
		m.Stands = v.stood
	}
	return wire.Encode(m)
}

func (v *Verified) successions() (list []wire.ChainRecord) {
	for _, r := range v.records {
		if r.Kind == wire.ChainOwner {
			list = append(list, r)
		}
	}
	return list
}
