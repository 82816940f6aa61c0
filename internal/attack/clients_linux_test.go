package attack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/token"
)

// desktop is where a client that keeps no rules stands: the socket of a live
// node, and the API as its bytes.
type desktop struct {
	http     *http.Client
	sessions holov1connect.SessionServiceClient
}

func (l *live) desktop() *desktop {
	socket := filepath.Join(l.dir(0), holocompute.SocketName)
	dial := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	l.t.Cleanup(dial.CloseIdleConnections)
	h := &http.Client{Transport: dial}
	return &desktop{h, holov1connect.NewSessionServiceClient(h, "http://holo")}
}

// present opens a session of a key, with a token if there is one. What bend does
// to the proof is signed.
func (d *desktop) present(ctx context.Context, by key.Signer, chain string, bend func(proof []byte)) error {
	public := by.Public()
	b, err := d.sessions.Begin(ctx, connect.NewRequest(&holov1.BeginRequest{PublicKey: public[:], Token: chain != "", Speaks: spoken}))
	if err != nil {
		return err
	}
	m := b.Msg
	cluster, node := holo.ClusterID(m.GetCluster()), holo.NodeID(m.GetNode())
	proof := api.SessionProof(cluster, node, m.GetSession(), m.GetNonce())
	if chain != "" {
		proof = api.TokenProof(sha256.Sum256([]byte(chain)), cluster, node, m.GetSession(), m.GetNonce())
	}
	if bend != nil {
		bend(proof)
	}
	_, err = d.sessions.Prove(ctx, connect.NewRequest(&holov1.ProveRequest{Session: m.GetSession(), Signature: by.Sign(proof), Token: chain}))
	return err
}

// post calls a procedure without a session.
func (d *desktop) post(t *testing.T, procedure string, header http.Header) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://holo"+procedure, bytes.NewReader(nil))
	must(t, err)
	r.Header = header
	r.Header.Set("Content-Type", "application/proto")
	resp, err := d.http.Do(r)
	must(t, err)
	resp.Body.Close()
	return resp.StatusCode
}

// lent is a token for a key, made as the owner's client makes it.
func (l *live) lent(to key.Signer) (chain, id string) {
	l.t.Helper()
	public := to.Public()
	chain, err := l.sdk.IssueToken(l.t.Context(), holocompute.TokenRequest{For: hex.EncodeToString(public[:]), Caps: []string{"READ:**"}})
	must(l.t, err)
	links, err := holocompute.ShowToken(chain)
	must(l.t, err)
	return chain, links[0].ID
}

// TestTokensOfThievesAndForgersOpenNothing (rows S2-1 to S2-4, AC-6): at a live
// node, with a token that is good in its owner's hands.
func TestTokensOfThievesAndForgersOpenNothing(t *testing.T) {
	t.Parallel()
	l := startLive(t, 1)
	ctx, d := t.Context(), l.desktop()
	k, err := l.sdk.CreateTokenKey(ctx)
	must(t, err)
	_, err = l.sdk.ChangeTokenKey(ctx, k.ID, holocompute.TokenKeyActive)
	must(t, err)
	bearer, thief := key.GenerateSigner(), key.GenerateSigner()
	chain, _ := l.lent(bearer)
	other, revoked := l.lent(bearer)
	if err := d.present(ctx, bearer, chain, nil); err != nil {
		t.Fatal("control: ", err)
	}
	must(t, d.present(ctx, bearer, other, nil))
	_, err = l.sdk.RevokeTokens(ctx, holocompute.RevokeToken, revoked)
	must(t, err)
	await(t, "the revocation is known", func() bool { return d.present(ctx, bearer, other, nil) != nil })

	parts, foreign := strings.Split(chain, "."), strings.Split(other, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	for what, a := range map[string]struct {
		reason string
		by     key.Signer
		chain  string
		bend   func([]byte)
	}{
		"a stolen token":                    {"token_stolen", thief, chain, nil},
		"a revoked token":                   {"token_revoked", bearer, other, nil},
		"another token's signature":         {"token_signature", bearer, parts[0] + "." + parts[1] + "." + foreign[2], nil},
		"no algorithm":                      {token.ReasonAlgorithm, bearer, none + "." + parts[1] + ".", nil},
		"a token longer than any":           {"token_too_large", bearer, strings.Repeat("x", token.MaxChain+1), nil},
		"a proof of something else":         {"token_possession", bearer, chain, func(b []byte) { b[len(b)-1] ^= 1 }},
		"a key that nobody knows":           {"unknown_principal", thief, "", nil},
		"a session's proof that is altered": {"bad_signature", l.user(), "", func(b []byte) { b[len(b)-1] ^= 1 }},
	} {
		l.refuses(what, a.reason, 1, func() {
			err := d.present(ctx, a.by, a.chain, a.bend)
			if err == nil {
				t.Errorf("%s opens a session", what)
			} else if a.chain != "" && strings.Contains(err.Error(), a.reason) {
				t.Errorf("%s: the bearer is told why: %v", what, err)
			}
		})
	}
	for what, header := range map[string]http.Header{"no_session": {}, "foreign_origin": {"Origin": {"https://example.org"}}} {
		l.refuses("a call with "+what, what, 1, func() {
			if status := d.post(t, holov1connect.ArrayServiceListProcedure, header); status == http.StatusOK {
				t.Errorf("%s: it is answered", what)
			}
		})
	}
}

// TestNobodyGrantsThemselvesMore (row E1-2): somebody with a grant of their own
// asks for a wider one, and a node's key asks for anything.
func TestNobodyGrantsThemselvesMore(t *testing.T) {
	t.Parallel()
	l := startLive(t, 1)
	ctx := t.Context()
	o := holocompute.Options{Socket: filepath.Join(l.dir(0), holocompute.SocketName), Config: filepath.Join(l.root, "auditor")}
	public, err := holocompute.UserKey(o)
	must(t, err)
	_, err = l.sdk.AddGrant(ctx, holocompute.Grant{Principal: public, Role: "security"})
	must(t, err)
	auditor, err := holocompute.Connect(ctx, o)
	must(t, err)
	defer auditor.Close()
	if _, err := auditor.Grants(ctx); err != nil {
		t.Fatal("control: ", err)
	}
	was, before := l.state(), l.counted("not_granted")
	for _, role := range []string{"reader", "security", "admin"} {
		if g, err := auditor.AddGrant(ctx, holocompute.Grant{Principal: public, Role: role}); holocompute.KindOf(err) != holocompute.Denied {
			t.Errorf("an auditor grants itself %s: %v, %v", role, g, err)
		}
	}
	l.await("each is counted", func(s *holocompute.Status) bool { return s.Refusals["not_granted"] >= before+3 })
	l.recorded("a grant to oneself", "access.grant", "not_granted")
	l.unchanged("after it", was)

	signer, err := identity.ReadSigner(filepath.Join(l.dir(0), identity.NodeKeyFile))
	must(t, err)
	l.refuses("a node's key", "unknown_principal", 1, func() {
		if l.desktop().present(ctx, signer, "", nil) == nil {
			t.Error("a node's key is a client's")
		}
	})
}

// user is the key of the client that founded the cluster.
func (l *live) user() key.Signer {
	l.t.Helper()
	signer, err := identity.ReadSigner(filepath.Join(l.config(), identity.UserKeyFile))
	must(l.t, err)
	return signer
}
