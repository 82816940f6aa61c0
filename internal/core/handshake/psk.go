package handshake

import (
	"crypto/hkdf"
	"crypto/sha256"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/invariant"
	"github.com/holocompute/holocompute/internal/key"
)

// PSK is a pre-shared key of a link, 32 bytes, and the public name it is found
// by, which follows from the key. It is used for nothing else.
type PSK struct {
	ID  [8]byte
	Key key.Secret
}

// NewPSK names a pre-shared key. The ID is a one-way function of the key, so
// whoever stores the key alone can find it again; 64 bits of it tell nobody
// anything about a key of 256.
func NewPSK(psk key.Secret) PSK {
	return PSK{ID: [8]byte(expand(psk, "holocompute/psk-id/1", nil, 8)), Key: psk}
}

// ClusterPSK is what the members of a cluster share.
func ClusterPSK(clusterKey key.Secret, cluster holo.ClusterID) PSK {
	return derivePSK(clusterKey, "holocompute/psk/1", cluster)
}

// InvitePSK is what an invite's holder and the cluster share, until the invite
// is used.
func InvitePSK(seed key.Secret, cluster holo.ClusterID) PSK {
	return derivePSK(seed, "holocompute/invite-psk/1", cluster)
}

func derivePSK(secret key.Secret, label string, cluster holo.ClusterID) PSK {
	return NewPSK(secretOf(expand(secret, label, cluster[:], keySize)))
}

// expand is HKDF-SHA-256 with the context as salt and the label as info.
func expand(secret key.Secret, label string, context []byte, n int) []byte {
	invariant.Check(!secret.IsZero(), "%s of no secret", label)
	out, err := hkdf.Key(sha256.New, secret.Bytes(), context, label, n)
	invariant.Check(err == nil, "%s: %v", label, err)
	return out
}
