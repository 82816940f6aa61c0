package token

import (
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// Issue signs the first link of a token with a token key. Caps may be in any
// order; Parent must be zero.
func Issue(signer key.Signer, c Claims) (string, error) {
	if c.Parent != [32]byte{} {
		return "", holo.Errorf(holo.Invalid, "issue token: the first link narrows nothing")
	}
	kid := key.Thumbprint(signer.Public())
	return sign(signer, encoding.EncodeToString(kid[:]), &c)
}

// Narrowing is what a further link says. It may only say less than the link
// that it follows.
type Narrowing struct {
	ID          holo.TokenID
	Client      holo.Thumbprint // the key that the narrowed token is bound to
	Issued      int64
	Expires     int64
	Caps        []Cap
	Delegations int
}

// Narrow adds a link to a chain, signed by the client key that the chain is
// bound to. It asks nobody. The chain is not verified, only held to the rules
// that Verify holds the new link to: a link that would be refused is not made.
func Narrow(chain string, signer key.Signer, n Narrowing) (string, error) {
	links, err := Show(chain)
	if err != nil {
		return "", err
	}
	parent, public := &links[len(links)-1], signer.Public()
	if parent.Client != key.Thumbprint(public) {
		return "", holo.Errorf(holo.Denied, "narrow token: it is bound to another key")
	}
	c := &Claims{
		Issuer: parent.Issuer, Cluster: parent.Cluster, Subject: parent.Subject, ID: n.ID, Issued: n.Issued, Expires: n.Expires,
		Client: n.Client, Caps: n.Caps, Parent: sha256.Sum256([]byte(chain)), Delegations: n.Delegations,
	}
	added, err := sign(signer, encoding.EncodeToString(public[:]), c)
	if err != nil {
		return "", err
	}
	if err := parent.narrowedBy(chain, c); err != nil {
		return "", holo.Errorf(holo.Invalid, "narrow token: %w", err)
	}
	return chain + separator + added, nil
}

func sign(signer key.Signer, kid string, c *Claims) (string, error) {
	caps := make([]string, len(c.Caps))
	for i, cap := range c.Caps {
		caps[i] = cap.String()
	}
	var err error
	if c.Caps, err = ParseCaps(caps); err != nil {
		return "", err
	}
	if err := c.check(); err != nil {
		return "", holo.Errorf(holo.Invalid, "issue token: %w", err)
	}
	text := encoding.EncodeToString(slices.Concat(headerBegin, []byte(kid), headerEnd)) + "." + encoding.EncodeToString(c.encode())
	text += "." + encoding.EncodeToString(signer.Sign([]byte(text)))
	if len(text) > MaxLink {
		return "", holo.Errorf(holo.Invalid, "issue token: %d bytes, at most %d: fewer or shorter capabilities", len(text), MaxLink)
	}
	return text, nil
}

// Show reads what a chain claims, and verifies nothing of it.
func Show(chain string) ([]Claims, error) {
	if len(chain) > MaxChain || strings.Count(chain, separator) >= MaxLinks {
		return nil, holo.Errorf(holo.Invalid, "read token: more than %d links of %d bytes", MaxLinks, MaxLink)
	}
	var links []Claims
	for text := range strings.SplitSeq(chain, separator) {
		l, err := takeApart(text)
		if err != nil {
			return nil, holo.Errorf(holo.Invalid, "read token: %w", err)
		}
		c, err := decodeClaims(l.claims)
		if err != nil {
			return nil, holo.Errorf(holo.Invalid, "read token: %w", err)
		}
		links = append(links, *c)
	}
	return links, nil
}
