package holocompute

import (
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
)

// TokenKeys and what was issued and revoked, as the cluster has them.
type Tokens struct {
	Keys        []TokenKey   `json:"keys"`
	Issued      []Token      `json:"issued"`
	Revocations []Revocation `json:"revocations"`
}

// TokenKey is a key that tokens are signed with.
type TokenKey struct {
	ID         string    `json:"id"`         // thumbprint, hexadecimal
	Registrant string    `json:"registrant"` // in whose name it issues
	State      string    `json:"state"`      // prepared, active, verify_only, revoked
	Registered time.Time `json:"registered"`
	Here       bool      `json:"here"` // its private half lies in the configuration folder
}

// Token is an issued token. What its client narrowed from it is not listed.
type Token struct {
	ID      string    `json:"id"`
	Key     string    `json:"key"`     // thumbprint of the token key
	Subject string    `json:"subject"` // whose rights apply
	Client  string    `json:"client"`  // thumbprint of the key that it is bound to
	Issued  time.Time `json:"issued"`
	Expires time.Time `json:"expires"`
}

// Revocation is what was revoked, until no token that it concerns can be good.
type Revocation struct {
	Kind    string    `json:"kind"` // token, key, subject
	Name    string    `json:"name"`
	Expires time.Time `json:"expires"`
}

// The states that ChangeTokenKey takes.
const (
	TokenKeyActive  = "active"      // tokens are signed with it; the one before is retired
	TokenKeyRetired = "verify_only" // verifies what it has signed
	TokenKeyRevoked = "revoked"     // no token of it is good any more
)

var tokenKeyStates = map[string]byte{"prepared": 1, TokenKeyActive: 2, TokenKeyRetired: 3, TokenKeyRevoked: 4}

func (c *Cluster) listTokens(ctx context.Context) (*holov1.ListTokensResponse, error) {
	return read(ctx, c.client, "list tokens", c.tokens.List, &holov1.ListTokensRequest{})
}

// Tokens lists token keys, issued tokens and revocations.
func (c *Cluster) Tokens(ctx context.Context) (*Tokens, error) {
	list, err := c.listTokens(ctx)
	if err != nil {
		return nil, err
	}
	here, err := identity.TokenKeyFiles(c.config)
	if err != nil {
		return nil, err
	}
	out := &Tokens{Keys: []TokenKey{}, Issued: []Token{}, Revocations: []Revocation{}}
	for _, k := range list.GetKeys() {
		out.Keys = append(out.Keys, *tokenKeyOf(k, here))
	}
	for _, t := range list.GetTokens() {
		out.Issued = append(out.Issued, Token{
			ID: t.GetId(), Key: t.GetKey(), Subject: t.GetSubject(), Client: t.GetClient(),
			Issued: time.Unix(t.GetIssuedUnix(), 0).UTC(), Expires: time.Unix(t.GetExpiresUnix(), 0).UTC(),
		})
	}
	for _, r := range list.GetRevocations() {
		out.Revocations = append(out.Revocations, Revocation{Kind: r.GetKind(), Name: r.GetName(), Expires: time.Unix(r.GetExpiresUnix(), 0).UTC()})
	}
	return out, nil
}

func tokenKeyOf(k *holov1.TokenKey, here map[holo.Thumbprint]string) *TokenKey {
	out := &TokenKey{ID: k.GetId(), Registrant: k.GetRegistrant(), State: k.GetState(), Registered: time.Unix(k.GetRegisteredUnix(), 0).UTC()}
	if id, err := holo.ParseThumbprint(out.ID); err == nil {
		_, out.Here = here[id]
	}
	return out
}

// CreateTokenKey makes a token key in the configuration folder and registers
// it, prepared: every node learns it before ChangeTokenKey makes it active. It
// needs the owner's key.
func (c *Cluster) CreateTokenKey(ctx context.Context) (*TokenKey, error) {
	s := key.GenerateSigner()
	if err := identity.AddTokenKey(c.config, s); err != nil {
		return nil, err
	}
	made, err := c.changeTokenKey(ctx, s.Public(), "prepared", &s)
	if err != nil && KindOf(err) != Indeterminate {
		return nil, errors.Join(err, identity.DropTokenKey(c.config, key.Thumbprint(s.Public())))
	}
	return made, err
}

// ChangeTokenKey puts the token key with an ID, or with the only one that
// begins so, into a state. It needs the owner's key.
func (c *Cluster) ChangeTokenKey(ctx context.Context, id, state string) (*TokenKey, error) {
	list, err := c.listTokens(ctx)
	if err != nil {
		return nil, err
	}
	var found []*holov1.TokenKey
	for _, k := range list.GetKeys() {
		if len(id) >= 4 && len(id) <= len(k.GetId()) && k.GetId()[:len(id)] == id {
			found = append(found, k)
		}
	}
	if len(found) != 1 || len(found[0].GetPublicKey()) != key.Size {
		return nil, holo.Errorf(NotFound, "change token key: %d keys begin with %q, want one and at least 4 digits", len(found), id)
	}
	return c.changeTokenKey(ctx, [key.Size]byte(found[0].GetPublicKey()), state, nil)
}

// changeTokenKey signs the change as the owner; a new key signs it too.
func (c *Cluster) changeTokenKey(ctx context.Context, public [key.Size]byte, state string, made *key.Signer) (*TokenKey, error) {
	var answer *holov1.TokenKey
	err := c.asOwner(ctx, func(as *client, cluster holo.ClusterID, epoch uint64) error {
		owner := as.signer
		authority := owner.Public()
		registrant := make([]byte, key.Size)
		req := &holov1.ChangeTokenKeyRequest{State: state, PublicKey: public[:], Authority: authority[:], Epoch: epoch}
		if made != nil {
			registrant = authority[:]
			req.Registrant = registrant
		}
		proof := tokenProof(cluster, "holo/token-key/1", []byte{tokenKeyStates[state]}, public[:], registrant, authority[:], bigEndian(epoch))
		req.Signature = owner.Sign(proof)
		if made != nil {
			req.KeySignature = made.Sign(proof)
		}
		var err error
		answer, err = change(ctx, as, "change token key", holov1connect.TokenServiceChangeKeyProcedure, c.tokens.ChangeKey, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	here, err := identity.TokenKeyFiles(c.config)
	return tokenKeyOf(answer, here), err
}

// What RevokeTokens takes.
const (
	RevokeToken   = "token"   // one, by its ID, and what was narrowed from it
	RevokeKey     = "key"     // all that are bound to a client's public key
	RevokeSubject = "subject" // all of a principal that were issued until a minute from now
)

var revokeKinds = map[string]byte{RevokeToken: 1, RevokeKey: 2, RevokeSubject: 3}

// RevokeTokens revokes tokens by a kind of name, all in hexadecimal. Nodes
// refuse them, and end sessions that they opened, as soon as they know. It needs
// the owner's key.
func (c *Cluster) RevokeTokens(ctx context.Context, kind, name string) (*Revocation, error) {
	var named [32]byte
	switch kind {
	case RevokeToken:
		id, err := holo.ParseTokenID(name)
		if err != nil {
			return nil, err
		}
		copy(named[:], id[:])
	case RevokeKey, RevokeSubject:
		p, err := parsePublic("revoke token", name)
		if err != nil {
			return nil, err
		}
		named = p
		if kind == RevokeKey {
			named = key.Thumbprint(p)
		}
	default:
		return nil, holo.Errorf(Invalid, "revoke token: kind %q, want token, key or subject", kind)
	}
	var answer *holov1.Revocation
	err := c.asOwner(ctx, func(as *client, cluster holo.ClusterID, epoch uint64) (err error) {
		owner := as.signer
		authority := owner.Public()
		proof := tokenProof(cluster, "holo/token-revoke/1", []byte{revokeKinds[kind]}, named[:], authority[:], bigEndian(epoch))
		req := &holov1.RevokeTokensRequest{Kind: kind, Name: named[:], Authority: authority[:], Epoch: epoch, Signature: owner.Sign(proof)}
		answer, err = change(ctx, as, "revoke token", holov1connect.TokenServiceRevokeProcedure, c.tokens.Revoke, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &Revocation{Kind: answer.GetKind(), Name: answer.GetName(), Expires: time.Unix(answer.GetExpiresUnix(), 0).UTC()}, nil
}

// epochTries is how often a change of access is signed anew because another one
// came first.
const epochTries = 5

// asOwner makes a change of access that the owner's key signs over the access
// epoch.
func (c *Cluster) asOwner(ctx context.Context, f func(as *client, cluster holo.ClusterID, epoch uint64) error) error {
	owner, err := c.keys.ReadSigner(filepath.Join(c.config, identity.OwnerKeyFile))
	if err != nil {
		return err
	}
	as := c.as(owner)
	cluster, err := as.clusterID(ctx)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		list, err := c.listTokens(ctx)
		if err != nil {
			return err
		}
		if err = f(as, cluster, list.GetAccessEpoch()); ReasonOf(err) != "stale_policy" || try == epochTries {
			return err
		}
	}
}

// tokenProof is what is signed about token keys, tokens and revocations:
// internal/wire tells the same on the node's side.
func tokenProof(cluster holo.ClusterID, label string, parts ...[]byte) []byte {
	b := append([]byte(label), 0)
	b = append(b, cluster[:]...)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func bigEndian(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }
