package door

import (
	"bytes"
	"context"
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// lender is a known user who has made arrays of two namespaces.
func (r *rig) lender() *user {
	r.t.Helper()
	u := r.user()
	u.create("ns/a", 1000, 0)
	u.create("other/b", 1000, 0)
	return u
}

// borrower is a client that the cluster does not know, with a token to act as
// somebody.
func (r *rig) borrower(as *user, caps ...string) (*user, string) {
	b := r.stranger()
	return b, r.backend.tokens.issue(as.principal(), b.principal(), caps...)
}

// beginToken begins a session in which a token will be presented.
func (u *user) beginToken() *holov1.BeginResponse {
	u.rig.t.Helper()
	public := u.signer.Public()
	resp, err := u.sessions().Begin(context.Background(), connect.NewRequest(&holov1.BeginRequest{PublicKey: public[:], Token: true, Speaks: spoken()}))
	if err != nil {
		u.rig.t.Fatal(err)
	}
	u.session = resp.Msg.GetSession()
	return resp.Msg
}

func possession(by key.Signer, b *holov1.BeginResponse, chain string) []byte {
	return by.Sign(api.TokenProof(sha256.Sum256([]byte(chain)), holo.ClusterID(b.GetCluster()), holo.NodeID(b.GetNode()), b.GetSession(), b.GetNonce()))
}

func (u *user) presentWith(session, signature []byte, chain string) error {
	_, err := u.sessions().Prove(context.Background(), connect.NewRequest(&holov1.ProveRequest{Session: session, Signature: signature, Token: chain}))
	if err == nil {
		u.chain = chain
	}
	return err
}

func (u *user) present(chain string) error {
	b := u.beginToken()
	return u.presentWith(b.GetSession(), possession(u.signer, b, chain), chain)
}

// wantToken checks that the client is told of a refusal what everybody is told,
// and that its reason was counted.
func (r *rig) wantToken(err error, reason string) {
	r.t.Helper()
	c, _ := err.(*connect.Error)
	if c == nil || c.Meta().Get(api.ReasonHeader) != "token_refused" || c.Message() != "the token is not accepted" {
		r.t.Fatalf("%v, want token_refused and no more", err)
	}
	if r.count(reason) == 0 {
		r.t.Errorf("the refusal %q was not counted: %v", reason, r.reasons)
	}
}

func TestTokenOpensASessionOfItsSubject(t *testing.T) {
	r := newRig(t)
	lender := r.lender()
	u, chain := r.borrower(lender, "READ:ns/**", "WRITE:ns/**", "ALLOCATE:ns/**")
	if err := u.present(chain); err != nil {
		t.Fatal(err)
	}
	u.create("ns/c", 10, 0)
	calls := r.backend.changes()
	c := calls[len(calls)-1]
	if c.Principal != lender.principal() || c.Key != u.principal() || c.Token == nil || !key.Verify(u.principal(), c.Proof(), c.Signature) {
		t.Errorf("the caller %+v is not the lender by the borrower's key", c)
	}
	path := api.DataPath(1, 0, 10)
	if status, reason := u.put(path, make([]byte, 20), nil); status != http.StatusNoContent {
		t.Errorf("a write that the token covers: %d %s", status, reason)
	}
	if status, _, err := u.get(path); status != http.StatusOK {
		t.Errorf("a read that the token covers: %d %v", status, err)
	}
}

// S2-3: who has copied a token has not copied the key.
func TestStolenTokenIsRefused(t *testing.T) {
	r := newRig(t)
	owner, chain := r.borrower(r.lender(), "READ:**")
	thief := r.stranger()
	r.wantToken(thief.present(chain), reasonStolen)
	// Nor does it help to name the victim's key: the proof is the thief's.
	b := owner.beginToken()
	r.wantToken(thief.presentWith(b.GetSession(), possession(thief.signer, b, chain), chain), reasonPossession)
	if err := owner.present(chain); err != nil {
		t.Errorf("the honest client after the thief: %v", err)
	}
}

func TestTokenProofServesOneSessionTokenAndNode(t *testing.T) {
	r := newRig(t)
	lender := r.lender()
	u, chain := r.borrower(lender, "READ:**")
	other := r.backend.tokens.issue(lender.principal(), u.principal(), "READ:ns/**", "RUN:**")
	first := u.beginToken()
	proof := possession(u.signer, first, chain)
	if err := u.presentWith(first.GetSession(), proof, chain); err != nil {
		t.Fatal(err)
	}
	second := u.beginToken()
	r.wantToken(u.presentWith(second.GetSession(), proof, chain), reasonPossession)
	third := u.beginToken()
	r.wantToken(u.presentWith(third.GetSession(), possession(u.signer, third, chain), other), reasonPossession)
	fourth := u.beginToken()
	fourth.Node = bytes.Repeat([]byte{9}, 32)
	r.wantToken(u.presentWith(fourth.GetSession(), possession(u.signer, fourth, chain), chain), reasonPossession)
	fifth := u.beginToken() // a proof of the key alone says nothing of a token
	plain := u.signer.Sign(api.SessionProof(r.backend.cluster, r.backend.self, fifth.GetSession(), fifth.GetNonce()))
	r.wantToken(u.presentWith(fifth.GetSession(), plain, chain), reasonPossession)
	sixth := u.beginToken() // nor is a session without one open to who said that there would be one
	plain = u.signer.Sign(api.SessionProof(r.backend.cluster, r.backend.self, sixth.GetSession(), sixth.GetNonce()))
	r.wantRefused(u.presentWith(sixth.GetSession(), plain, ""), holo.Denied, "unknown_principal")
	if r.presentedOnce(u, first.GetSession(), proof, chain) {
		t.Error("a proof served twice")
	}
}

func (r *rig) presentedOnce(u *user, session, proof []byte, chain string) bool {
	return u.presentWith(session, proof, chain) == nil
}

func TestForgedAndForeignTokensOpenNothing(t *testing.T) {
	r := newRig(t)
	lender := r.lender()
	u, chain := r.borrower(lender, "READ:**")
	foreign := newTown(holo.ClusterID{9}).issue(lender.principal(), u.principal(), "READ:**")
	forged := newTown(r.backend.cluster).issue(lender.principal(), u.principal(), "READ:**")
	nobody := r.backend.tokens.issue(u.principal(), u.principal(), "READ:**")
	for _, a := range []struct{ name, chain, reason string }{
		{"another cluster's", foreign, "token_unknown_key"}, {"signed by a node", forged, "token_unknown_key"}, {"an edited one", chain[:len(chain)-4] + "AAAA", "token_signature"},
		{"as large as a request that opens a session", strings.Repeat("A", openBody-1<<10), "token_too_large"}, {"no token", "x", "token_malformed"}, {"a subject that nobody knows", nobody, "token_subject"},
	} {
		t.Log(a.name)
		r.wantToken(u.present(a.chain), a.reason)
	}
	if err := u.present(strings.Repeat("A", 1<<20)); connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("a token of 1 MB: %v", err)
	}
}

// S2-4: revoking ends the session, and what is under way in it, at once.
func TestRevokedTokenEndsItsSessionAndItsStreams(t *testing.T) {
	r := newRig(t)
	lender := r.lender()
	u, chain := r.borrower(lender, "OBSERVE:**", "READ:**")
	if err := u.present(chain); err != nil {
		t.Fatal(err)
	}
	jobs := holov1connect.NewJobServiceClient(u.http, "http://holo")
	go func() { r.backend.watch <- &holov1.JobProgress{Job: 1, State: "running"} }()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // a stream that goes on is a failure, not a hang
	defer cancel()
	stream, err := jobs.Watch(ctx, inSession(u.session, &holov1.WatchRequest{Job: 1}))
	if err != nil || !stream.Receive() {
		t.Fatalf("no progress: %v %v", err, stream.Err())
	}
	r.backend.tokens.revoke(holo.TokenID{1, 2})
	if stream.Receive() {
		t.Error("the stream goes on")
	}
	r.wantToken(stream.Err(), "token_revoked")
	_, err = u.arrays().List(context.Background(), inSession(u.session, &holov1.ListArraysRequest{}))
	r.wantRefused(err, holo.Denied, "no_session")
	r.wantToken(u.present(chain), "token_revoked")
	if _, err := lender.arrays().List(context.Background(), inSession(lender.session, &holov1.ListArraysRequest{})); err != nil {
		t.Errorf("the lender's own session ended too: %v", err)
	}
}

// A call is refused by the revocation itself, whether or not the sweep has come
// by.
func TestRevokedTokenIsRefusedAtTheNextCall(t *testing.T) {
	m, now := newMemory(), time.Now()
	s := newSessions(m, func() time.Time { return now })
	lender, client := key.GenerateSigner(), key.GenerateSigner()
	m.allow(holo.PrincipalID(lender.Public()), holo.RoleUser.Actions()...)
	open := func() string {
		t.Helper()
		chain := m.tokens.issue(holo.PrincipalID(lender.Public()), holo.PrincipalID(client.Public()), "READ:**")
		b, err := s.begin(t.Context(), holo.PrincipalID(client.Public()), true, Peer{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.prove(t.Context(), b.id[:], client.Sign(api.TokenProof(sha256.Sum256([]byte(chain)), m.cluster, m.self, b.id[:], b.nonce[:])), chain, Peer{}); err != nil {
			t.Fatal(err)
		}
		return api.EncodeSession(b.id[:])
	}
	id := open()
	c, err := s.find(id, Peer{})
	if err != nil || c.Token == nil {
		t.Fatal(err)
	}
	session := c.in
	ctx, leave := s.enter(context.Background(), session)
	defer leave()
	now = time.Unix(session.grant.Until()-1, 0)
	if _, err := s.find(id, Peer{}); err != nil {
		t.Errorf("a second before its end: %v", err)
	}
	now = now.Add(time.Second)
	s.sweep(func(string) {})
	<-ctx.Done()
	if holo.ReasonOf(context.Cause(ctx)) != "token_expired" {
		t.Errorf("what was under way when it ended: %v", context.Cause(ctx))
	}
	if _, err := s.find(id, Peer{}); holo.ReasonOf(err) != "no_session" {
		t.Errorf("after its end: %v", err)
	}
	now = time.Now()
	second := open()
	m.tokens.revoke(holo.TokenID{1, 1})
	if _, err := s.find(second, Peer{}); holo.ReasonOf(err) != "token_revoked" {
		t.Errorf("after the revocation: %v", err)
	}
}

// A session with a call under way is not idle, however long the call takes.
func TestSessionWithACallUnderWayIsNotIdle(t *testing.T) {
	m, now := newMemory(), time.Unix(1e9, 0)
	s := newSessions(m, func() time.Time { return now })
	u := key.GenerateSigner()
	m.allow(holo.PrincipalID(u.Public()), holo.RoleUser.Actions()...)
	b, err := s.begin(t.Context(), holo.PrincipalID(u.Public()), false, Peer{})
	if err != nil {
		t.Fatal(err)
	}
	session, err := s.prove(t.Context(), b.id[:], u.Sign(api.SessionProof(m.cluster, m.self, b.id[:], b.nonce[:])), "", Peer{})
	if err != nil {
		t.Fatal(err)
	}
	_, leave := s.enter(context.Background(), session)
	now = now.Add(2 * idleAfter)
	if session.over(now) {
		t.Error("it is over while a call is under way")
	}
	leave()
	now = now.Add(idleAfter + 1)
	if !session.over(now) {
		t.Error("it is not over after the call")
	}
}

// A key to which nothing is granted any more, because it was replaced or revoked,
// keeps no session: what is under way in it ends.
func TestSessionOfAKeyThatIsKnownNoMoreEnds(t *testing.T) {
	m, now := newMemory(), time.Now()
	s := newSessions(m, func() time.Time { return now })
	keys := map[string]key.Signer{"replaced": key.GenerateSigner(), "kept": key.GenerateSigner()}
	opened := map[string]*session{}
	for name, k := range keys {
		m.allow(holo.PrincipalID(k.Public()), holo.RoleUser.Actions()...)
		b, err := s.begin(t.Context(), holo.PrincipalID(k.Public()), false, Peer{})
		if err != nil {
			t.Fatal(err)
		}
		if opened[name], err = s.prove(t.Context(), b.id[:], k.Sign(api.SessionProof(m.cluster, m.self, b.id[:], b.nonce[:])), "", Peer{}); err != nil {
			t.Fatal(err)
		}
	}
	var reasons []string
	s.sweep(func(reason string) { reasons = append(reasons, reason) })
	if len(reasons) > 0 || opened["replaced"].ctx.Err() != nil {
		t.Fatalf("ended while it was known: %v", reasons)
	}
	m.mu.Lock()
	delete(m.granted, holo.PrincipalID(keys["replaced"].Public()))
	m.mu.Unlock()
	s.sweep(func(reason string) { reasons = append(reasons, reason) })
	if len(reasons) != 1 || reasons[0] != "unknown_principal" || opened["replaced"].ctx.Err() == nil || opened["kept"].ctx.Err() != nil {
		t.Errorf("counted %v; ended: replaced %v, kept %v", reasons, opened["replaced"].ctx.Err(), opened["kept"].ctx.Err())
	}
}
