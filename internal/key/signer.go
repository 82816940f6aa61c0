package key

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
)

// Signer is an Ed25519 private key: a node's, the owner's, a user's or an
// invite's. It signs only messages that begin with a label of their own, so
// that a signature made for one purpose can never serve another. The zero
// value signs nothing: its methods other than IsZero panic.
//
// The key lives on the Go heap on purpose: crypto/ed25519 of Go 1.26 crashes
// the process when it is handed memory that was mapped by hand.
type Signer struct {
	hidden func() ed25519.PrivateKey
}

// GenerateSigner draws a new key from the system's generator.
func GenerateSigner() Signer {
	seed := new([Size]byte)
	rand.Read(seed[:]) // never fails: the runtime stops the process instead
	defer clear(seed[:])
	return SignerFromSeed(seed)
}

// SignerFromSeed makes the key of a 32-byte seed (RFC 8032). The seed is
// copied; the caller may clear it.
func SignerFromSeed(seed *[Size]byte) Signer {
	private := ed25519.NewKeyFromSeed(seed[:])
	return Signer{hidden: func() ed25519.PrivateKey { return private }}
}

// IsZero reports whether there is no key in it.
func (s Signer) IsZero() bool { return s.hidden == nil }

func (s Signer) private() ed25519.PrivateKey {
	if s.IsZero() {
		panic("bug: use of a signer without a key")
	}
	return s.hidden()
}

// Sign gives the 64-byte signature of msg.
func (s Signer) Sign(msg []byte) []byte { return ed25519.Sign(s.private(), msg) }

// Public is the public key.
func (s Signer) Public() (public [Size]byte) {
	copy(public[:], s.private()[ed25519.SeedSize:])
	return public
}

// Seed is what SignerFromSeed makes the key again from; it is for writing the
// key to its file and for nothing else.
func (s Signer) Seed() Secret { return hide(bytes.Clone(s.private().Seed())) }
