package token

import (
	"crypto/sha256"
	"crypto/subtle"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// Verifier is what a chain is judged by.
type Verifier struct {
	Cluster holo.ClusterID
	Key     func(holo.Thumbprint) (Key, bool) // the cluster's token keys
	// MayIssue reports whether who registered a token key may issue for a
	// subject. nil: for itself only.
	MayIssue func(registrant, subject holo.PrincipalID) bool
	Now      int64 // seconds since 1970
}

// Verify judges a chain. Every error wraps ErrRefused; its reason is not for
// whoever presented the chain. That the client holds the key, and that nothing
// was revoked, is still to be asked.
func (v *Verifier) Verify(chain string) (*Grant, error) {
	if len(chain) > MaxChain {
		return nil, refuse(ReasonTooLarge, "a chain of %d bytes, at most %d", len(chain), MaxChain)
	}
	texts := strings.SplitN(chain, separator, MaxLinks+1)
	if len(texts) > MaxLinks {
		return nil, refuse(ReasonTooLarge, "a chain of more than %d links", MaxLinks)
	}
	g := &Grant{}
	length := 0
	for i, text := range texts {
		l, err := takeApart(text)
		if err != nil {
			return nil, err
		}
		var c *Claims
		if i == 0 {
			c, err = v.root(g, l)
		} else {
			c, err = v.child(g.Leaf(), chain[:length-len(separator)], l)
		}
		if err != nil {
			return nil, err
		}
		g.Links = append(g.Links, *c)
		length += len(text) + len(separator)
	}
	return g, nil
}

// root verifies a link that a token key signed.
func (v *Verifier) root(g *Grant, l *link) (*Claims, error) {
	if !fixed(g.Key[:], l.head.Kid) {
		return nil, refuse(ReasonUnknownKey, "its key ID is no thumbprint")
	}
	k, known := v.Key(g.Key)
	switch {
	case !known || key.Thumbprint(k.Public) != g.Key:
		return nil, refuse(ReasonUnknownKey, "its key is no token key of this cluster")
	case k.Revoked:
		return nil, refuse(ReasonKeyRevoked, "its token key was revoked")
	}
	c, err := l.signedBy(k.Public)
	if err != nil {
		return nil, err
	}
	switch {
	case c.Parent != [32]byte{}:
		return nil, refuse(ReasonDelegation, "the first link narrows another")
	case c.Issuer != k.Issuer:
		return nil, refuse(ReasonIssuer, "its issuer did not register its token key")
	case !v.mayIssue(k.Issuer, c.Subject):
		return nil, refuse(ReasonSubject, "its issuer may not issue for its subject")
	case k.Retired != 0 && c.Issued > k.Retired+holo.TokenLeeway:
		return nil, refuse(ReasonKeyRetired, "it was issued at %d, its token key was retired at %d", c.Issued, k.Retired)
	}
	return c, v.judge(c)
}

func (v *Verifier) mayIssue(registrant, subject holo.PrincipalID) bool {
	return registrant == subject || v.MayIssue != nil && v.MayIssue(registrant, subject)
}

// child verifies a link that the client of the link before signed.
func (v *Verifier) child(parent *Claims, before string, l *link) (*Claims, error) {
	var public [key.Size]byte
	if !fixed(public[:], l.head.Kid) || key.Thumbprint(public) != parent.Client {
		return nil, refuse(ReasonDelegation, "it is not signed by the key that the link before is bound to")
	}
	c, err := l.signedBy(public)
	if err != nil {
		return nil, err
	}
	if err := parent.narrowedBy(before, c); err != nil {
		return nil, err
	}
	return c, v.judge(c)
}

// narrowedBy refuses a link that says more than its parent, or another's.
func (c *Claims) narrowedBy(before string, child *Claims) error {
	hash := sha256.Sum256([]byte(before))
	switch {
	case subtle.ConstantTimeCompare(hash[:], child.Parent[:]) != 1:
		return refuse(ReasonDelegation, "it narrows another chain")
	case child.Issuer != c.Issuer || child.Cluster != c.Cluster || child.Subject != c.Subject:
		return refuse(ReasonDelegation, "it changes who may act for whom, or where")
	case child.Issued < c.Issued || child.Expires > c.Expires:
		return refuse(ReasonDelegation, "it is good for longer than the link before")
	case child.Delegations >= c.Delegations:
		return refuse(ReasonDelegation, "the link before may not be narrowed so often")
	case !allCovered(c.Caps, child.Caps):
		return refuse(ReasonDelegation, "it allows what the link before does not")
	}
	return nil
}

// judge holds a link to this cluster and to the time.
func (v *Verifier) judge(c *Claims) error {
	switch {
	case !c.Cluster.Equal(v.Cluster):
		return refuse(ReasonAudience, "it is for cluster %s", c.Cluster)
	case c.Issued > v.Now+holo.TokenLeeway:
		return refuse(ReasonNotYetValid, "it was issued at %d, in %d s by this clock", c.Issued, c.Issued-v.Now)
	case v.Now >= c.Expires+holo.TokenLeeway:
		return refuse(ReasonExpired, "it expired at %d, %d s ago by this clock", c.Expires, v.Now-c.Expires)
	}
	return nil
}

// signedBy checks the signature, by a key that was chosen here and never by the
// token, and only then reads the claims.
func (l *link) signedBy(public [key.Size]byte) (*Claims, error) {
	switch {
	case !key.Binds(public):
		return nil, refuse(ReasonWeakKey, "it is signed by a key that proves nothing")
	case !key.Verify(public, l.signed, l.signature):
		return nil, refuse(ReasonSignature, "its signature is wrong")
	}
	return decodeClaims(l.claims)
}
