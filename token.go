package holocompute

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"slices"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/token"
)

// MaxTokenLife is the longest that a token may be good for.
const MaxTokenLife = holo.MaxTokenLife * time.Second

// TokenRequest says what a token is to allow, to whom, for how long.
type TokenRequest struct {
	// For is the public key, in hexadecimal, of the client that may use the
	// token: its UserKey. Nobody else can.
	For string
	// As is the principal whose rights apply, in hexadecimal. "": your own.
	// NarrowToken keeps the token's.
	As string
	// Caps narrow those rights: ACTION:RESOURCE, such as READ:flights/**. At
	// least one; NarrowToken takes the token's own where there is none.
	Caps []string
	// Life is from a second to MaxTokenLife. 0: 15 minutes. NarrowToken never
	// goes beyond the token's end.
	Life time.Duration
	// Delegations is how often the client may narrow the token for another
	// key, 0 to 3.
	Delegations int
}

const defaultTokenLife = 15 * time.Minute

func (r *TokenRequest) life() (time.Duration, error) {
	life := r.Life
	if life == 0 {
		life = defaultTokenLife
	}
	if life < time.Second || life > MaxTokenLife {
		return 0, holo.Errorf(Invalid, "token: a life of %s, want 1s to %s", life, MaxTokenLife)
	}
	return life.Truncate(time.Second), nil
}

// client is the thumbprint of the key that the token is for.
func (r *TokenRequest) client() (holo.Thumbprint, error) {
	public, err := parsePublic("token: the key that it is for", r.For)
	return key.Thumbprint(public), err
}

func parsePublic(what, s string) ([key.Size]byte, error) {
	p, err := holo.ParsePrincipalID(s)
	if err == nil {
		err = key.CheckPublic(p)
	}
	if err != nil {
		return p, holo.Errorf(Invalid, "%s: %w", what, err)
	}
	return p, nil
}

// IssueToken makes a token, signed by the active token key whose private half
// lies in the configuration folder, and has the cluster list it.
func (c *Cluster) IssueToken(ctx context.Context, r TokenRequest) (string, error) {
	cluster, err := c.client.clusterID(ctx)
	if err != nil {
		return "", err
	}
	claims, err := c.claims(cluster, &r)
	if err != nil {
		return "", err
	}
	signer, registrant, err := c.activeTokenKey(ctx)
	if err != nil {
		return "", err
	}
	claims.Issuer = registrant
	chain, err := token.Issue(signer, claims)
	if err != nil {
		return "", err
	}
	return chain, c.recordToken(ctx, signer, &claims)
}

func (c *Cluster) claims(cluster holo.ClusterID, r *TokenRequest) (token.Claims, error) {
	life, err := r.life()
	if err != nil {
		return token.Claims{}, err
	}
	now := time.Now().Unix()
	claims := token.Claims{
		Cluster: cluster, Subject: holo.PrincipalID(c.client.signer.Public()),
		Issued: now, Expires: now + int64(life/time.Second), Delegations: r.Delegations,
	}
	rand.Read(claims.ID[:])
	if r.As != "" {
		if claims.Subject, err = holo.ParsePrincipalID(r.As); err != nil {
			return claims, err
		}
	}
	if claims.Client, err = r.client(); err != nil {
		return claims, err
	}
	claims.Caps, err = token.ParseCaps(r.Caps)
	return claims, err
}

// activeTokenKey finds the key to sign with: one that is active, and lies here.
func (c *Cluster) activeTokenKey(ctx context.Context) (signer key.Signer, registrant holo.PrincipalID, err error) {
	here, err := identity.TokenKeyFiles(c.config)
	if err != nil {
		return signer, registrant, err
	}
	list, err := c.listTokens(ctx)
	if err != nil {
		return signer, registrant, err
	}
	for _, k := range list.GetKeys() {
		id, err := holo.ParseThumbprint(k.GetId())
		path, found := here[id]
		if err != nil || !found || k.GetState() != "active" {
			continue
		}
		if registrant, err = holo.ParsePrincipalID(k.GetRegistrant()); err != nil {
			return signer, registrant, err
		}
		signer, err = c.keys.ReadTokenKey(path, id)
		return signer, registrant, err
	}
	return signer, registrant, holo.Refuse(NotFound, "no_token_key", "issue token: no active token key lies in %s", c.config)
}

func (c *Cluster) recordToken(ctx context.Context, signer key.Signer, claims *token.Claims) error {
	id := key.Thumbprint(signer.Public())
	req := &holov1.RecordTokenRequest{
		Id: claims.ID[:], Key: id[:], Subject: claims.Subject[:], Client: claims.Client[:], IssuedUnix: claims.Issued, ExpiresUnix: claims.Expires,
		Signature: signer.Sign(tokenProof(claims.Cluster, "holo/token-issued/1", claims.ID[:], id[:], claims.Subject[:], claims.Client[:],
			bigEndian(uint64(claims.Issued)), bigEndian(uint64(claims.Expires)))),
	}
	_, err := change(ctx, c.client, "list token", holov1connect.TokenServiceRecordProcedure, c.tokens.Record, req)
	return err
}

// NarrowToken adds a link to a token that is bound to the user key in the
// configuration folder: it allows no more than the token, to another key, for
// no longer. It asks no node.
func NarrowToken(o Options, r TokenRequest) (string, error) {
	config, err := o.config()
	if err != nil {
		return "", err
	}
	signer, err := identity.Keys{Ask: o.Passphrase}.ReadSigner(filepath.Join(config, identity.UserKeyFile))
	if err != nil {
		return "", err
	}
	links, err := token.Show(o.Token)
	if err != nil {
		return "", err
	}
	leaf := &links[len(links)-1]
	life, err := r.life()
	if err != nil {
		return "", err
	}
	issued := max(time.Now().Unix(), leaf.Issued)
	n := token.Narrowing{Issued: issued, Expires: min(leaf.Expires, issued+int64(life/time.Second)), Caps: leaf.Caps, Delegations: r.Delegations}
	rand.Read(n.ID[:])
	if n.Client, err = r.client(); err != nil {
		return "", err
	}
	if len(r.Caps) > 0 {
		if n.Caps, err = token.ParseCaps(r.Caps); err != nil {
			return "", err
		}
	}
	return token.Narrow(o.Token, signer, n)
}

// TokenLink is what one link of a token claims.
type TokenLink struct {
	ID          string    `json:"id"`
	Issuer      string    `json:"issuer"` // who registered the token key
	Cluster     string    `json:"cluster"`
	Subject     string    `json:"subject"` // whose rights apply
	Client      string    `json:"client"`  // thumbprint of the key that it is bound to
	Issued      time.Time `json:"issued"`
	Expires     time.Time `json:"expires"`
	Caps        []string  `json:"caps"`
	Delegations int       `json:"delegations"`
}

// ShowToken reads what a token claims, the first link first, and verifies
// nothing.
func ShowToken(chain string) ([]TokenLink, error) {
	links, err := token.Show(chain)
	if err != nil {
		return nil, err
	}
	out := make([]TokenLink, len(links))
	for i, c := range links {
		out[i] = TokenLink{
			ID: c.ID.Hex(), Issuer: c.Issuer.Hex(), Cluster: c.Cluster.String(), Subject: c.Subject.Hex(), Client: c.Client.Hex(),
			Issued: time.Unix(c.Issued, 0).UTC(), Expires: time.Unix(c.Expires, 0).UTC(), Delegations: c.Delegations,
		}
		for _, cap := range c.Caps {
			out[i].Caps = append(out[i].Caps, cap.String())
		}
	}
	return out, nil
}

// checkToken tells what can be told before a node is asked, which answers only
// that it does not accept a token.
func checkToken(chain string, signer key.Signer) error {
	links, err := token.Show(chain)
	if err != nil {
		return err
	}
	leaf := &links[len(links)-1]
	now := time.Now().Unix()
	if slices.ContainsFunc(links, func(c token.Claims) bool { return now >= c.Expires+holo.TokenLeeway }) {
		return holo.Refuse(Denied, "token_expired", "open session: the token was good until %s", time.Unix(leaf.Expires, 0).UTC().Format(time.RFC3339))
	}
	if leaf.Client != key.Thumbprint(signer.Public()) {
		return holo.Refuse(Denied, "token_stolen", "open session: the token is bound to another key than the one in the configuration folder")
	}
	return nil
}
