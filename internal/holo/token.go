package holo

import "encoding/hex"

// TokenID names one client token: 16 random bytes drawn by whoever issues it.
type TokenID [16]byte

// Hex is the whole ID in hexadecimal.
func (id TokenID) Hex() string { return hex.EncodeToString(id[:]) }

// ParseTokenID reads the hexadecimal form.
func ParseTokenID(s string) (id TokenID, err error) { return id, parseHex(id[:], s, "token ID") }

// Thumbprint names an Ed25519 public key by its hash (RFC 7638). Tokens name
// the key that signed them and the client's key that way.
type Thumbprint [32]byte

// Hex is the whole hash in hexadecimal.
func (t Thumbprint) Hex() string { return hex.EncodeToString(t[:]) }

// ParseThumbprint reads the hexadecimal form.
func ParseThumbprint(s string) (t Thumbprint, err error) {
	return t, parseHex(t[:], s, "key thumbprint")
}

const (
	// MaxTokenLife is the longest that a token may be good for, in seconds.
	// Whoever verifies it holds it to that, so a revocation may be forgotten
	// when the last token that it could concern is over.
	MaxTokenLife = 3600
	// TokenLeeway is how far, in seconds, the clocks of who issues a token and
	// of who verifies it may be apart, in either direction.
	TokenLeeway = 60
)
