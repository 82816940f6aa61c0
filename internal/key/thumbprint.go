package key

import (
	"crypto/sha256"
	"encoding/base64"

	"github.com/holocompute/holocompute/internal/holo"
)

// Thumbprint is the name of a public key by RFC 7638: the SHA-256 of its JSON
// Web Key with the required members only, in order and without spaces
// (RFC 8037 appendix A.3).
func Thumbprint(public [Size]byte) holo.Thumbprint {
	return sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + base64.RawURLEncoding.EncodeToString(public[:]) + `"}`))
}
