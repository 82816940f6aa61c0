package token

import (
	"bytes"
	"crypto/ed25519"

	"github.com/go-jose/go-jose/v4"

	"github.com/holocompute/holocompute/internal/key"
)

var algorithms = []jose.SignatureAlgorithm{jose.EdDSA}

// verifyCompact has go-jose verify a link's signature by a key that was chosen
// here, never by the token, and makes sure that it verified the very bytes that
// are read afterwards.
func verifyCompact(public [key.Size]byte, l *link) error {
	signed, err := jose.ParseSignedCompact(l.text, algorithms)
	if err != nil {
		return refuse(ReasonMalformed, "it does not parse: %v", err)
	}
	payload, err := signed.Verify(ed25519.PublicKey(public[:]))
	if err != nil || !bytes.Equal(payload, l.claims) {
		return refuse(ReasonSignature, "its signature is wrong")
	}
	return nil
}
