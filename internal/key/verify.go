package key

import (
	"crypto/ed25519"
	"encoding/hex"

	"filippo.io/edwards25519"

	"github.com/holocompute/holocompute/internal/holo"
)

// Verify reports whether sig is the signature of msg by the holder of the
// public key. It refuses the public keys that CheckPublic refuses: with the
// identity point as key one signature is good for every message.
func Verify(public [Size]byte, msg, sig []byte) bool {
	return Binds(public) && len(sig) == ed25519.SignatureSize && ed25519.Verify(public[:], msg, sig)
}

// CheckPublic reports whether the bytes are an Ed25519 public key that binds
// its holder: the one canonical encoding of a point on the curve whose order
// is not small. crypto/ed25519 checks only that there is a point.
// Run it when a key is enrolled; Verify runs it again.
func CheckPublic(public [Size]byte) error {
	if !Binds(public) {
		return holo.Errorf(holo.Invalid, "check public key: of small order, or not the canonical encoding")
	}
	if _, err := new(edwards25519.Point).SetBytes(public[:]); err != nil {
		return holo.Errorf(holo.Invalid, "check public key: not a point of the curve")
	}
	return nil
}

// Binds is the part of CheckPublic that crypto/ed25519 leaves out when it
// verifies, and needs no arithmetic on the curve. A point is encoded by its y
// coordinate, in 255 bits, and the sign of x (RFC 8032, 5.1.2): the encoding is
// canonical where y is below 2^255 - 19, and where the sign is right of an x
// that is zero, whose points are of small order.
func Binds(public [Size]byte) bool {
	y := public
	y[Size-1] &= 0x7f
	return belowPrime(y) && !torsion[y]
}

// belowPrime compares y, little-endian and of 255 bits, with 2^255 - 19.
func belowPrime(y [Size]byte) bool {
	if y[0] < 0xed || y[Size-1] != 0x7f {
		return true
	}
	for _, b := range y[1 : Size-1] {
		if b != 0xff {
			return true
		}
	}
	return false
}

// torsion holds the y coordinates of the eight points whose order divides 8.
var torsion = map[[Size]byte]bool{
	y("0100000000000000000000000000000000000000000000000000000000000000"): true, // order 1
	y("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"): true, // order 2
	y("0000000000000000000000000000000000000000000000000000000000000000"): true, // order 4, both signs
	y("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"): true, // order 8, both signs
	y("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"): true,
}

func y(text string) (y [Size]byte) {
	if n, err := hex.Decode(y[:], []byte(text)); n != Size || err != nil {
		panic("bug: " + text + " is no coordinate")
	}
	return y
}
