package key

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
)

// Signer is an Ed25519 private key: a node's, the owner's, a user's or an
// invite's. It signs only messages that begin with a label of their own, so
// that a signature made for one purpose can never serve another. Copies share
// the key, so Wipe ends every copy. The zero value signs nothing: its methods
// other than IsZero and Wipe panic.
//
// The key lives on the Go heap on purpose: crypto/ed25519 of Go 1.26 crashes
// the process when it is handed memory that was mapped by hand.
type Signer struct {
	hidden func() *signing
}

// signing is what the copies of a Signer share.
type signing struct {
	public  [Size]byte
	private ed25519.PrivateKey // nil: wiped
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
	k := &signing{private: ed25519.NewKeyFromSeed(seed[:])}
	copy(k.public[:], k.private[ed25519.SeedSize:])
	return Signer{hidden: func() *signing { return k }}
}

// IsZero reports whether there is no key in it: never set, or wiped.
func (s Signer) IsZero() bool {
	if s.hidden == nil {
		return true
	}
	return s.hidden().private == nil
}

func (s Signer) key() *signing {
	if s.hidden == nil {
		panic("bug: use of a signer without a key")
	}
	return s.hidden()
}

// Sign gives the 64-byte signature of msg. After Wipe it gives nil, which
// nobody takes for a signature.
func (s Signer) Sign(msg []byte) []byte {
	k := s.key()
	if k.private == nil {
		return nil
	}
	return ed25519.Sign(k.private, msg)
}

// Public is the public key, after Wipe too.
func (s Signer) Public() [Size]byte { return s.key().public }

// Seed is what SignerFromSeed makes the key again from; it is for writing the
// key to its file and for nothing else. After Wipe it is empty.
func (s Signer) Seed() Secret {
	k := s.key()
	if k.private == nil {
		return Secret{}
	}
	return hide(bytes.Clone(k.private[:ed25519.SeedSize]))
}

// Wipe overwrites the key, for all copies of the Signer. It must not run while
// another goroutine uses one of them. It is the best that Go allows, not a promise:
// crypto/ed25519 keeps an expanded copy until the garbage collector has found
// the key gone, and the runtime may have copied either.
func (s Signer) Wipe() {
	if s.hidden == nil {
		return
	}
	k := s.hidden()
	clear(k.private)
	k.private = nil
}
