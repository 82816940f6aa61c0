package api

import (
	"encoding/binary"

	"github.com/holocompute/holocompute/internal/holo"
)

// EvictProof is what the owner signs to remove a node. It names the admission
// that ends, so that it cannot be used against a later one; the record that it
// follows, so that one which was refused is worthless once the chain has grown;
// and whether data may be lost, so that nobody adds that to a cautious one.
func EvictProof(cluster holo.ClusterID, prev [32]byte, node holo.NodeID, admission [32]byte, loseData bool) []byte {
	may := byte(0)
	if loseData {
		may = 1
	}
	return ownerProof("holo/evict/1", cluster, prev[:], node[:], admission[:], []byte{may})
}

// RekeyProof is what the owner signs to have the cluster's key replaced: that of
// the epoch named, so that it works once.
func RekeyProof(cluster holo.ClusterID, epoch uint64) []byte {
	return ownerProof("holo/rekey/1", cluster, binary.BigEndian.AppendUint64(nil, epoch))
}

// PolicyProof is what the owner signs to change how many votes an admission
// needs, at the end of the chain as it is.
func PolicyProof(cluster holo.ClusterID, prev [32]byte, need uint8) []byte {
	return ownerProof("holo/policy/1", cluster, prev[:], []byte{need})
}

// OwnerProof is what the owner and the next owner sign so that the one takes the
// other's place, at the end of the chain as it is. The chain's past is in prev,
// and stands is the hash of the admissions of those who are members then: both
// vouch for them, and for nobody whom the old key may have let in elsewhere.
func OwnerProof(cluster holo.ClusterID, prev [32]byte, old, next holo.PrincipalID, stands [32]byte) []byte {
	return ownerProof("holo/owner/1", cluster, prev[:], old[:], next[:], stands[:])
}

// VoteProof is what a member's node key, or the owner, signs so that a node may
// join: the record of the policy under which it counts, the node, the invite and
// the handshake by which it asked, and what it will be called.
func VoteProof(cluster holo.ClusterID, policy [32]byte, node holo.NodeID, inviteKey, handshakeHash [32]byte, name string) []byte {
	return append(ownerProof("holo/vote/1", cluster, policy[:], node[:], inviteKey[:], handshakeHash[:]), name...)
}

// ownerProof is a label, the cluster, and parts of fixed length.
func ownerProof(label string, cluster holo.ClusterID, parts ...[]byte) []byte {
	b := append([]byte(label), 0)
	b = append(b, cluster[:]...)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}
