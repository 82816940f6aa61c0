package catalog

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/holocompute/holocompute/internal/claim"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// keyChange is a change of a token key, signed by somebody at the epoch that
// the catalogue has.
func keyChange(w *town, by, name string, to wire.TokenKeyState) *wire.TokenKeyChange {
	m := &wire.TokenKeyChange{To: to, Key: signer(name).Public(), Authority: signer(by).Public(), Epoch: w.AccessEpoch()}
	if to == wire.TokenKeyPrepared {
		m.Registrant = m.Authority
	}
	return signKeyChange(m, by, name)
}

func signKeyChange(m *wire.TokenKeyChange, by, name string) *wire.TokenKeyChange {
	copy(m.Sig[:], signer(by).Sign(m.Proof(cluster)))
	if m.To == wire.TokenKeyPrepared {
		copy(m.KeySig[:], signer(name).Sign(m.Proof(cluster)))
	}
	return m
}

func revokeTokens(w *town, by string, kind wire.RevokeKind, name []byte) *wire.TokenRevoke {
	m := &wire.TokenRevoke{Kind: kind, Authority: signer(by).Public(), Epoch: w.AccessEpoch()}
	copy(m.Name[:], name)
	copy(m.Sig[:], signer(by).Sign(wire.TokenRevokeProof(cluster, m)))
	return m
}

func issued(by string, n int, at, until int64) *wire.TokenIssued {
	m := &wire.TokenIssued{Token: wire.TokenRecord{
		ID: holo.TokenID{byte(n), byte(n >> 8)}, Key: key.Thumbprint(signer(by).Public()), Subject: signer("user").Public(),
		Client: key.Thumbprint(signer("client").Public()), Issued: at, Expires: until,
	}}
	copy(m.Sig[:], signer(by).Sign(wire.TokenIssuedProof(cluster, &m.Token)))
	return m
}

func (w *town) tokenKey(name string, to ...wire.TokenKeyState) {
	w.Helper()
	for _, s := range to {
		w.do(keyChange(w, "owner", name, s))
	}
}

func (w *town) stateOf(name string) wire.TokenKeyState {
	return w.tokenKeys[key.Thumbprint(signer(name).Public())].State
}

func TestTokenKeyGoesThroughItsLifeAndNeverBack(t *testing.T) {
	w := settled(t, 1)
	all := []wire.TokenKeyState{wire.TokenKeyPrepared, wire.TokenKeyActive, wire.TokenKeyRetired, wire.TokenKeyRevoked}
	for i, to := range all {
		if i != 2 {
			w.tokenKey("k", to)
		} else {
			w.tokenKey("next", wire.TokenKeyPrepared, wire.TokenKeyActive) // retires the one before
		}
		if got := w.stateOf("k"); got != to {
			t.Fatalf("it is %s, want %s", got, to)
		}
		for _, back := range all[1 : i+1] {
			w.refused(ReasonState, keyChange(w, "owner", "k", back))
		}
	}
	w.refused("", keyChange(w, "owner", "k", wire.TokenKeyPrepared)) // it cannot come back
	w.tokenKey("third", wire.TokenKeyPrepared)
	w.refused(ReasonState, keyChange(w, "owner", "third", wire.TokenKeyRetired)) // it has not signed
	if err := w.refused("", keyChange(w, "owner", "unknown", wire.TokenKeyActive)); holo.KindOf(err) != holo.NotFound {
		t.Error(err)
	}
}

// A node alone can mint nothing: it takes the owner, for this key, this cluster
// and this moment.
func TestOnlyTheOwnerRegistersATokenKeyAndOnce(t *testing.T) {
	w := settled(t, 1)
	w.refused(ReasonOwnerOnly, keyChange(w, "node 1", "k", wire.TokenKeyPrepared))
	impostor := keyChange(w, "node 1", "k", wire.TokenKeyPrepared)
	impostor.Authority = ownerID()
	w.refused(ReasonOwnerSig, impostor)
	other := keyChange(w, "owner", "k", wire.TokenKeyPrepared)
	copy(other.Sig[:], signer("owner").Sign(other.Proof(holo.ClusterID{9})))
	w.refused(ReasonOwnerSig, other)
	stolen := keyChange(w, "owner", "k", wire.TokenKeyPrepared) // who registers it does not hold it
	copy(stolen.KeySig[:], signer("owner").Sign(stolen.Proof(cluster)))
	w.refused(ReasonTokenKeySig, stolen)
	weak := keyChange(w, "owner", "k", wire.TokenKeyPrepared)
	weak.Key = [32]byte{1}
	w.refused("", signKeyChange(weak, "owner", "k"))

	first := keyChange(w, "owner", "k", wire.TokenKeyPrepared)
	w.do(first)
	w.refused(ReasonStaleAccess, first)
	old := keyChange(w, "owner", "k", wire.TokenKeyRevoked)
	w.tokenKey("next", wire.TokenKeyPrepared)
	w.refused(ReasonStaleAccess, old) // what was signed before does not serve later
	edited := keyChange(w, "owner", "next", wire.TokenKeyActive)
	edited.To = wire.TokenKeyRevoked
	w.refused(ReasonOwnerSig, edited)
}

func TestAtMostFourTokenKeysVerify(t *testing.T) {
	w := settled(t, 1)
	for i := range MaxVerifiable {
		w.tokenKey(fmt.Sprint("k", i), wire.TokenKeyPrepared, wire.TokenKeyActive)
	}
	w.refused(ReasonFull, keyChange(w, "owner", "more", wire.TokenKeyPrepared))
	w.tokenKey("k0", wire.TokenKeyRevoked)
	w.tokenKey("more", wire.TokenKeyPrepared)
	w.refused(ReasonFull, keyChange(w, "owner", "again more", wire.TokenKeyPrepared))
	// k1 and k2 are retired: when their last token is over they give way.
	late := keyChange(w, "owner", "again more", wire.TokenKeyPrepared)
	if _, err := w.at(now+tokenOver, "", late); holo.ReasonOf(err) != ReasonFull {
		t.Errorf("at the last second: %v", err)
	}
	if _, err := w.at(now+tokenOver+1, "", late); err != nil {
		t.Error(err)
	}
	if _, still := w.tokenKeys[key.Thumbprint(signer("k1").Public())]; still {
		t.Error("a key whose last token is over is still there")
	}
}

func TestRevokedTokenKeysAreBounded(t *testing.T) {
	w := settled(t, 1)
	for i := range wire.MaxTokenKeys + 5 {
		name := fmt.Sprint("k", i)
		for _, to := range []wire.TokenKeyState{wire.TokenKeyPrepared, wire.TokenKeyRevoked} {
			if _, err := w.at(now+int64(i), "", keyChange(w, "owner", name, to)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := len(w.TokenKeys()); n != wire.MaxTokenKeys {
		t.Errorf("%d keys", n)
	}
	if w.stateOf("k4") != 0 || w.stateOf("k5") != wire.TokenKeyRevoked {
		t.Error("another than the oldest gave way")
	}
}

func TestIssuedTokensAreListedByTheWordOfTheirKey(t *testing.T) {
	w := settled(t, 1)
	w.tokenKey("k", wire.TokenKeyPrepared)
	w.refused(ReasonState, issued("k", 1, now, now+900)) // not active yet
	w.tokenKey("k", wire.TokenKeyActive)
	w.refused(ReasonState, issued("stranger", 1, now, now+900))
	forged := issued("k", 1, now, now+900)
	forged.Token.Subject = ownerID()
	w.refused(ReasonTokenKeySig, forged)
	w.refused("", issued("k", 1, now, now+holo.MaxTokenLife+1))
	w.refused("", issued("k", 1, now+holo.TokenLeeway+1, now+900))
	w.refused("", issued("k", 1, now-900, now-holo.TokenLeeway))
	epoch := w.AccessEpoch()
	w.do(issued("k", 1, now, now+900))
	w.do(issued("k", 1, now, now+900)) // the answer got lost
	if err := w.refused("", issued("k", 1, now, now+901)); holo.KindOf(err) != holo.Exists {
		t.Error(err)
	}
	if len(w.Tokens()) != 1 || w.AccessEpoch() != epoch {
		t.Errorf("%d tokens, epoch %d: issuing changes nobody's access", len(w.Tokens()), w.AccessEpoch())
	}
}

func TestExpiredTokensGiveWayInTheList(t *testing.T) {
	w := settled(t, 1)
	w.tokenKey("k", wire.TokenKeyPrepared, wire.TokenKeyActive)
	for i := range MaxTokens {
		w.tokens[holo.TokenID{byte(i), byte(i >> 8), 1}] = wire.TokenRecord{ID: holo.TokenID{byte(i), byte(i >> 8), 1}, Issued: now - 10, Expires: now + 10}
	}
	w.refused(ReasonFull, issued("k", 1, now, now+900))
	if _, err := w.at(now+10+holo.TokenLeeway, "", issued("k", 1, now, now+900)); err != nil {
		t.Fatal(err)
	}
	if n := len(w.Tokens()); n != 1 {
		t.Errorf("%d tokens", n)
	}
}

func TestOnlyTheOwnerRevokes(t *testing.T) {
	w := settled(t, 1)
	id := []byte{1, 2, 3}
	w.refused(ReasonOwnerOnly, revokeTokens(w, "node 1", wire.RevokeToken, id))
	forged := revokeTokens(w, "owner", wire.RevokeToken, id)
	forged.Name[0]++
	w.refused(ReasonOwnerSig, forged)
	w.refused("", revokeTokens(w, "owner", wire.RevokeToken, bytes.Repeat([]byte{1}, 17)))
	m := revokeTokens(w, "owner", wire.RevokeToken, id)
	r := w.do(m).(*wire.Revocation)
	if r.Expires != now+tokenOver || r.Before != 0 {
		t.Errorf("%+v", r)
	}
	w.refused(ReasonStaleAccess, m)
}

// What is revoked is never less revoked, by a leader whose clock is behind.
func TestIssuedBeforeNeverGoesBack(t *testing.T) {
	w := settled(t, 1)
	subject := signer("user").Public()
	first := w.do(revokeTokens(w, "owner", wire.RevokeSubject, subject[:])).(*wire.Revocation)
	if first.Before != now+holo.TokenLeeway {
		t.Errorf("%+v", first)
	}
	m, err := w.at(now-500, "", revokeTokens(w, "owner", wire.RevokeSubject, subject[:]))
	if err != nil {
		t.Fatal(err)
	}
	if again := m.(*wire.Revocation); *again != *first {
		t.Errorf("%+v after %+v", again, first)
	}
	m, err = w.at(now+500, "", revokeTokens(w, "owner", wire.RevokeSubject, subject[:]))
	if err != nil || m.(*wire.Revocation).Before != first.Before+500 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestRevocationsLastAsLongAsATokenAndAreBounded(t *testing.T) {
	w := settled(t, 1)
	for i := range wire.MaxRevocations {
		w.do(revokeTokens(w, "owner", wire.RevokeToken, []byte{byte(i), byte(i >> 8), 1}))
	}
	w.refused(ReasonFull, revokeTokens(w, "owner", wire.RevokeClient, []byte("one more")))
	w.do(revokeTokens(w, "owner", wire.RevokeToken, []byte{5, 0, 1})) // what is there already takes no room
	if _, err := w.at(now+tokenOver, "", revokeTokens(w, "owner", wire.RevokeClient, []byte("one more"))); holo.ReasonOf(err) != ReasonFull {
		t.Errorf("while a token may still be good: %v", err)
	}
	if _, err := w.at(now+tokenOver+1, "", revokeTokens(w, "owner", wire.RevokeClient, []byte("one more"))); err != nil {
		t.Fatal(err)
	}
	if n := len(w.Revocations()); n != 1 {
		t.Errorf("%d revocations", n)
	}
}

func TestTokenKeyOfASnapshotMustHaveItsEvidence(t *testing.T) {
	w := fullTown(t)
	if w.AccessEpoch() != 11 {
		t.Errorf("access epoch %d: the fuzz target's seeds are signed at 11", w.AccessEpoch())
	}
	r := w.TokenKeys()[0]
	if err := VerifyTokenKey(cluster, ownerID(), &r); err != nil {
		t.Fatal(err)
	}
	minted := r
	minted.Key = signer("node 1").Public()
	if err := VerifyTokenKey(cluster, ownerID(), &minted); holo.ReasonOf(err) != ReasonTokenKeySig {
		t.Errorf("a key that a node made up: %v", err)
	}
	w.tokenKeys[key.Thumbprint(minted.Key)] = minted
	if err := New(cluster, ownerID(), claim.Reader{}).Restore(w.Snapshot()); err == nil {
		t.Error("a snapshot with a key that a node made up was restored")
	}
}
