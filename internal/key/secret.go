// Package key holds the two types that secrets live in: Secret, a symmetric
// key, and Signer, an Ed25519 private key.
//
// A secret that prints is a secret in a log. Both types keep their bytes
// behind a function value, so reflection (fmt with any verb, slog,
// encoding/json, xml, gob, a debugger's %#v of an enclosing struct) finds an
// address and nothing else, and the methods that printers look for say
// "[secret]". A function value also makes the types impossible to compare
// with ==, which would not be constant time: use Equal.
//
// Public keys are plain arrays ([32]byte, holo.NodeID, holo.PrincipalID);
// Verify refuses those with which a signature proves nothing.
package key

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"

	"github.com/holocompute/holocompute/internal/holo"
)

// Size is the number of bytes of a key. Secrets of other lengths between
// MinSecret and MaxSecret exist (the seed of an invite has 20 bytes) and only
// serve to derive keys from.
const (
	Size      = 32
	MinSecret = 16
	MaxSecret = 64
)

// Secret is a symmetric key or a seed of keys. Copies share the bytes, so
// Wipe clears every copy. The zero value holds nothing: IsZero reports true,
// Bytes is nil, and it equals nothing, not even itself.
type Secret struct{ hidden func() *[]byte }

// NewSecret copies b into a Secret. It refuses a length outside of MinSecret
// to MaxSecret and the all-zero value, which is a buffer that nobody filled.
func NewSecret(b []byte) (Secret, error) {
	if len(b) < MinSecret || len(b) > MaxSecret {
		return Secret{}, holo.Errorf(holo.Invalid, "make secret: %d bytes, want %d to %d", len(b), MinSecret, MaxSecret)
	}
	if subtle.ConstantTimeCompare(b, make([]byte, len(b))) == 1 {
		return Secret{}, holo.Errorf(holo.Invalid, "make secret: all %d bytes are zero", len(b))
	}
	return hide(bytes.Clone(b)), nil
}

// Random draws a Secret of Size bytes from the system's generator.
func Random() Secret { return RandomOf(Size) }

// RandomOf draws a Secret of n bytes, MinSecret to MaxSecret.
func RandomOf(n int) Secret {
	if n < MinSecret || n > MaxSecret {
		panic("bug: a random secret of a length that no secret has")
	}
	b := make([]byte, n)
	rand.Read(b) // never fails: the runtime stops the process instead
	return hide(b)
}

func hide(b []byte) Secret {
	p := &b
	return Secret{hidden: func() *[]byte { return p }}
}

// IsZero reports whether there is no secret in it: never set, or wiped.
func (s Secret) IsZero() bool { return s.Bytes() == nil }

// Bytes is the secret itself, not a copy: do not modify it, keep it or print
// it. It is nil for the zero value and after Wipe, never zeros.
func (s Secret) Bytes() []byte {
	if s.hidden == nil {
		return nil
	}
	return *s.hidden()
}

// Len is the number of bytes, 0 for the zero value.
func (s Secret) Len() int { return len(s.Bytes()) }

// Equal compares in constant time. A Secret that holds nothing equals nothing,
// so two forgotten keys are never taken for a match.
func (s Secret) Equal(other Secret) bool {
	return !s.IsZero() && subtle.ConstantTimeCompare(s.Bytes(), other.Bytes()) == 1
}

// Wipe overwrites the bytes, for all copies of the Secret. It must not run
// while another goroutine uses one of them.
func (s Secret) Wipe() {
	if s.hidden == nil {
		return
	}
	p := s.hidden()
	clear(*p)
	*p = nil
}
