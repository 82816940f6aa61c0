package token

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
)

// header is the JSON of a link's first part. Its members have this order.
type header struct {
	Alg string `json:"alg"`
	Kid string `json:"kid"`
	Typ string `json:"typ"`
}

var encoding = base64.RawURLEncoding.Strict()

// fixed reads base64url that fills dst exactly. The decoder would skip line
// ends.
func fixed(dst []byte, s string) bool {
	b, err := encoding.DecodeString(s)
	if err != nil || len(b) != len(dst) || encoding.EncodeToString(b) != s {
		return false
	}
	copy(dst, b)
	return true
}

// issuerOf is the name of an issuer, which is one within its cluster only.
func issuerOf(cluster holo.ClusterID, registrant holo.PrincipalID) string {
	return "holo:" + cluster.String() + "/" + registrant.Hex()
}

// check refuses claims that no link has, whoever signed them.
func (c *Claims) check() error {
	switch {
	case c.Issued <= 0 || c.Expires <= 0 || c.Issued >= maxUnix || c.Expires >= maxUnix:
		return refuse(ReasonClaims, "its times are none")
	case c.Expires <= c.Issued || c.Expires-c.Issued > holo.MaxTokenLife:
		return refuse(ReasonLifetime, "it lives for %d s, want 1 to %d", c.Expires-c.Issued, holo.MaxTokenLife)
	case len(c.Caps) == 0 || len(c.Caps) > MaxCaps:
		return refuse(ReasonClaims, "it has %d capabilities, want 1 to %d", len(c.Caps), MaxCaps)
	case c.Client == holo.Thumbprint{}:
		return refuse(ReasonClaims, "it is bound to no key")
	case c.Delegations < 0 || c.Delegations >= MaxLinks:
		return refuse(ReasonClaims, "it may be narrowed %d times, at most %d", c.Delegations, MaxLinks-1)
	}
	return nil
}

// link is one link taken apart, its claims not yet believed or even read.
type link struct {
	head      header
	claims    []byte
	signed    []byte // header, dot and claims, as they were presented
	signature []byte
}

// takeApart looks at the outside of a link: length, alphabet, parts, header.
func takeApart(text string) (*link, error) {
	if len(text) > MaxLink {
		return nil, refuse(ReasonTooLarge, "a link of %d bytes, at most %d", len(text), MaxLink)
	}
	if strings.Count(text, ".") != 2 || strings.ContainsAny(text, "\r\n") { // which the decoder would skip
		return nil, refuse(ReasonMalformed, "it is not three parts of base64url")
	}
	var parts [3][]byte
	for i, part := range strings.Split(text, ".") {
		b, err := encoding.DecodeString(part)
		if err != nil {
			return nil, refuse(ReasonMalformed, "part %d is not canonical base64url", i+1)
		}
		parts[i] = b
	}
	l := &link{claims: parts[1], signed: []byte(text[:strings.LastIndexByte(text, '.')]), signature: parts[2]}
	return l, l.readHeader(parts[0])
}

func notInLink(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !letter && r != '-' && r != '_' && r != '.'
}

var (
	headerBegin = []byte(`{"alg":"` + algorithm + `","kid":"`)
	headerEnd   = []byte(`","typ":"` + tokenType + `"}`)
)

// readHeader takes the key ID out of a header that is byte for byte what sign
// writes, without a parser. Of any other it finds out what is wrong.
func (l *link) readHeader(raw []byte) error {
	kid, begins := bytes.CutPrefix(raw, headerBegin)
	kid, ends := bytes.CutSuffix(kid, headerEnd)
	if begins && ends && !bytes.ContainsFunc(kid, notInLink) {
		l.head = header{algorithm, string(kid), tokenType}
		return nil
	}
	parses := json.Unmarshal(raw, &l.head) == nil
	switch {
	case !parses:
		return refuse(ReasonHeader, "its header is no header")
	case l.head.Alg != algorithm:
		return refuse(ReasonAlgorithm, "its algorithm is not %s", algorithm)
	case l.head.Typ != tokenType:
		return refuse(ReasonType, "its type is not %s", tokenType)
	}
	return refuse(ReasonHeader, "its header is not exactly alg, kid and typ")
}
