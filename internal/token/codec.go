package token

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
)

// header and body are the JSON of a link. Their members have this order.
type header struct {
	Alg string `json:"alg"`
	Kid string `json:"kid"`
	Typ string `json:"typ"`
}

type body struct {
	Iss  string       `json:"iss"`
	Aud  string       `json:"aud"`
	Sub  string       `json:"sub"`
	Jti  string       `json:"jti"`
	Iat  int64        `json:"iat"`
	Exp  int64        `json:"exp"`
	Cnf  confirmation `json:"cnf"`
	Caps []string     `json:"caps"`
	Prf  string       `json:"prf,omitempty"`
	Dlg  uint8        `json:"dlg"`
}

type confirmation struct {
	Jkt string `json:"jkt"`
}

var encoding = base64.RawURLEncoding.Strict()

// canonical is the one JSON text of a value. Its strings hold nothing that JSON
// would escape, else they were refused before.
func canonical(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("bug: a struct of strings and numbers has no JSON: " + err.Error())
	}
	return b
}

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

func (c *Claims) encode() []byte {
	b := body{
		Iss: issuerOf(c.Cluster, c.Issuer), Aud: c.Cluster.String(), Sub: c.Subject.Hex(), Jti: encoding.EncodeToString(c.ID[:]),
		Iat: c.Issued, Exp: c.Expires, Cnf: confirmation{encoding.EncodeToString(c.Client[:])}, Dlg: uint8(c.Delegations),
	}
	for _, cap := range c.Caps {
		b.Caps = append(b.Caps, cap.String())
	}
	if c.Parent != ([32]byte{}) {
		b.Prf = encoding.EncodeToString(c.Parent[:])
	}
	return canonical(b)
}

// decodeClaims reads the claims of a link. What is not byte for byte what encode
// writes is refused, and that one rule refuses what parsers disagree about:
// duplicate and unknown members, other cases and look-alikes of names, nulls,
// floats, escapes, spaces, another order, bytes behind the end.
func decodeClaims(raw []byte) (*Claims, error) {
	var b body
	if json.Unmarshal(raw, &b) != nil {
		return nil, refuse(ReasonClaims, "its claims are none")
	}
	c := &Claims{Issued: b.Iat, Expires: b.Exp, Delegations: int(b.Dlg)}
	var errs [3]error
	c.Cluster, errs[0] = holo.ParseClusterID(b.Aud)
	c.Subject, errs[1] = holo.ParsePrincipalID(b.Sub)
	c.Caps, errs[2] = ParseCaps(b.Caps)
	if slices.ContainsFunc(errs[:], func(err error) bool { return err != nil }) {
		return nil, refuse(ReasonClaims, "an audience, subject or capability does not parse")
	}
	cluster, registrant, _ := strings.Cut(strings.TrimPrefix(b.Iss, "holo:"), "/")
	issuer, err := holo.ParsePrincipalID(registrant)
	if err != nil || cluster != b.Aud {
		return nil, refuse(ReasonIssuer, "its issuer is none of the cluster that it names")
	}
	c.Issuer = issuer
	if !fixed(c.ID[:], b.Jti) || !fixed(c.Client[:], b.Cnf.Jkt) || b.Prf != "" && !fixed(c.Parent[:], b.Prf) {
		return nil, refuse(ReasonClaims, "its ID, key or parent does not decode")
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	if !bytes.Equal(c.encode(), raw) {
		return nil, refuse(ReasonClaims, "its claims are not in their canonical form")
	}
	return c, nil
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
	text      string
	head      header
	claims    []byte
	signature []byte
}

// takeApart looks at the outside of a link: length, alphabet, parts, header.
func takeApart(text string) (*link, error) {
	if len(text) > MaxLink {
		return nil, refuse(ReasonTooLarge, "a link of %d bytes, at most %d", len(text), MaxLink)
	}
	if strings.Count(text, ".") != 2 || strings.ContainsFunc(text, notInLink) {
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
	l := &link{text: text, claims: parts[1], signature: parts[2]}
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
