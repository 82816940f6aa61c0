package door

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/token"
)

// town is what a small node knows about tokens: one token key, and the IDs that
// were revoked. Tokens are verified as every node does it.
type town struct {
	*sync.Mutex
	cluster   holo.ClusterID
	owner     key.Signer
	issuer    key.Signer
	revoked   *[]holo.TokenID
	changed   *chan struct{}
	retracted *bool // the token key is
}

func newTown(cluster holo.ClusterID) town {
	ch := make(chan struct{})
	return town{&sync.Mutex{}, cluster, key.GenerateSigner(), key.GenerateSigner(), &[]holo.TokenID{}, &ch, new(bool)}
}

func (w town) verifier() *token.Verifier {
	known := token.Key{Public: w.issuer.Public(), Issuer: holo.PrincipalID(w.owner.Public())}
	return &token.Verifier{
		Cluster: w.cluster, Now: time.Now().Unix(),
		Key:      func(t holo.Thumbprint) (token.Key, bool) { return known, t == key.Thumbprint(known.Public) },
		MayIssue: func(holo.PrincipalID, holo.PrincipalID) bool { return true },
	}
}

// issue makes a token for a client that may act as a subject.
func (w town) issue(subject, client holo.PrincipalID, caps ...string) string {
	list, err := token.ParseCaps(caps)
	if err != nil {
		panic(err)
	}
	now := time.Now().Unix()
	chain, err := token.Issue(w.issuer, token.Claims{
		Issuer: holo.PrincipalID(w.owner.Public()), Cluster: w.cluster, Subject: subject, ID: holo.TokenID{1, byte(len(list))},
		Issued: now, Expires: now + 900, Client: key.Thumbprint(client), Caps: list, Delegations: 3,
	})
	if err != nil {
		panic(err)
	}
	return chain
}

func (w town) revoke(ids ...holo.TokenID) {
	w.Lock()
	defer w.Unlock()
	*w.revoked = append(*w.revoked, ids...)
	close(*w.changed)
	*w.changed = make(chan struct{})
}

func (w town) stands(g *token.Grant) error {
	w.Lock()
	defer w.Unlock()
	for _, l := range g.Links {
		if slices.Contains(*w.revoked, l.ID) {
			return refuseToken("token_revoked", "token %s was revoked", l.ID.Hex())
		}
	}
	return nil
}

func (m *memory) VerifyToken(chain string) (*token.Grant, error) {
	return m.tokens.verifier().Verify(chain)
}
func (m *memory) TokenStands(g *token.Grant) error { return m.tokens.stands(g) }

func (m *memory) TokensChanged() <-chan struct{} {
	m.tokens.Lock()
	defer m.tokens.Unlock()
	return *m.tokens.changed
}

func (m *memory) ListTokens(context.Context, Caller) (*holov1.ListTokensResponse, error) {
	return &holov1.ListTokensResponse{AccessEpoch: 7}, nil
}

func (m *memory) ChangeTokenKey(_ context.Context, c Caller, _ *holov1.ChangeTokenKeyRequest) (*holov1.TokenKey, error) {
	m.changed(c)
	return &holov1.TokenKey{}, nil
}

func (m *memory) RecordToken(_ context.Context, c Caller, _ *holov1.RecordTokenRequest) error {
	m.changed(c)
	return nil
}

func (m *memory) RevokeTokens(_ context.Context, c Caller, _ *holov1.RevokeTokensRequest) (*holov1.Revocation, error) {
	m.changed(c)
	return &holov1.Revocation{}, nil
}
