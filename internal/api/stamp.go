package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
)

// StampSize is the length of a stamp, in bytes.
const StampSize = 32

// Stamp makes a signed request one use of its signature, and one under just one
// token: the catalogue carries out what bears a stamp once. It begins with how
// far the catalogue was when the session was opened, so that the catalogue need
// not remember every stamp for ever and nobody's clock is believed: what is older
// than what it remembers is refused as stale. Then come 8 random bytes, and the
// first 16 of the SHA-256 of the token, zeros where the key signs in its own name.
type Stamp [StampSize]byte

const stampToken = 16 // where the token's hash begins

// NewStamp makes one of the catalogue's version, chance, and the token of the
// session, "" where there is none.
func NewStamp(version uint64, random [8]byte, token string) (s Stamp) {
	binary.BigEndian.PutUint64(s[:8], version)
	copy(s[8:], random[:])
	copy(s[stampToken:], tokenHash(token))
	return s
}

func tokenHash(token string) []byte {
	if token == "" {
		return make([]byte, StampSize-stampToken)
	}
	sum := sha256.Sum256([]byte(token))
	return sum[:StampSize-stampToken]
}

// Version is the catalogue's version that a stamp begins with.
func (s Stamp) Version() uint64 { return binary.BigEndian.Uint64(s[:8]) }

// Under reports whether a stamp is for a request under this token, and no other.
func (s Stamp) Under(token string) bool { return bytes.Equal(s[stampToken:], tokenHash(token)) }

// RequestDigest is the digest of a request under its stamp.
func RequestDigest(stamp Stamp, request []byte) [32]byte {
	h := sha256.New()
	h.Write(stamp[:])
	h.Write(request)
	return [32]byte(h.Sum(nil))
}
