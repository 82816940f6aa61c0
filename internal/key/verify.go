package key

import (
	"bytes"
	"crypto/ed25519"

	"filippo.io/edwards25519"

	"github.com/holocompute/holocompute/internal/holo"
)

// Verify reports whether sig is the signature of msg by the holder of the
// public key. It refuses the public keys that CheckPublic refuses: with the
// identity point as key one signature is good for every message.
func Verify(public [Size]byte, msg, sig []byte) bool {
	return CheckPublic(public) == nil && len(sig) == ed25519.SignatureSize && ed25519.Verify(public[:], msg, sig)
}

// CheckPublic reports whether the bytes are an Ed25519 public key that binds
// its holder: the one canonical encoding of a point on the curve whose order
// is not small. crypto/ed25519 checks only that there is a point.
// Run it when a key is enrolled; Verify runs it again.
func CheckPublic(public [Size]byte) error {
	point, err := new(edwards25519.Point).SetBytes(public[:])
	switch {
	case err != nil:
		return holo.Errorf(holo.Invalid, "check public key: not a point of the curve")
	case !bytes.Equal(point.Bytes(), public[:]):
		return holo.Errorf(holo.Invalid, "check public key: not the canonical encoding")
	case new(edwards25519.Point).MultByCofactor(point).Equal(edwards25519.NewIdentityPoint()) == 1:
		return holo.Errorf(holo.Invalid, "check public key: a point of small order")
	}
	return nil
}
