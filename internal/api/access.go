package api

import (
	"encoding/binary"

	"github.com/holocompute/holocompute/internal/holo"
)

// GrantProof is what whoever grants signs: what is granted to whom, and the
// access epoch that they saw, so that the signature serves once.
func GrantProof(cluster holo.ClusterID, epoch uint64, to holo.PrincipalID, label string, role holo.Role, s *holo.Scope, release bool) []byte {
	b := labelled("holo/grant/1", cluster)
	b = binary.BigEndian.AppendUint64(b, epoch)
	b = append(b, to[:]...)
	b = appendString(b, label)
	b = append(b, byte(role))
	b = appendString(b, s.Under)
	b = append(b, s.Module[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.Nodes)))
	for _, n := range s.Nodes {
		b = append(b, n[:]...)
	}
	b = binary.BigEndian.AppendUint64(b, s.MaxBytes)
	b = binary.BigEndian.AppendUint64(b, uint64(s.NotAfter))
	if release {
		return append(b, 1)
	}
	return append(b, 0)
}

// RevokeProof is what whoever revokes a grant signs.
func RevokeProof(cluster holo.ClusterID, epoch, grant uint64) []byte {
	b := binary.BigEndian.AppendUint64(labelled("holo/revoke/1", cluster), epoch)
	return binary.BigEndian.AppendUint64(b, grant)
}

// SuccessionProof is what a principal's key and the one that takes its place
// both sign: at which access epoch, from whom, to whom.
func SuccessionProof(cluster holo.ClusterID, epoch uint64, old, next holo.PrincipalID) []byte {
	b := binary.BigEndian.AppendUint64(labelled("holo/succession/1", cluster), epoch)
	return append(append(b, old[:]...), next[:]...)
}

// InviteRoleProof is what the owner signs so that an invite gives the user of
// the machine that joins a role.
func InviteRoleProof(cluster holo.ClusterID, inviteKey []byte, role holo.Role) []byte {
	return append(append(labelled("holo/invite-role/1", cluster), inviteKey...), byte(role))
}

func labelled(label string, cluster holo.ClusterID) []byte {
	return append(append([]byte(label), 0), cluster[:]...)
}

// appendString puts the length in front: no two fields run into one another.
func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}
