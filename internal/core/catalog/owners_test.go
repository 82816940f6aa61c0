package catalog

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/claim"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// hand is a succession of the owner that both keys have signed, at the end of the
// chain and the access epoch of now.
func hand(w *town, old, next string, keys ...string) *wire.OwnerSuccession {
	m := &wire.OwnerSuccession{Prev: w.chain.head, Next: principal(next), Stands: StandsOf(w.Members()), Epoch: w.AccessEpoch()}
	for _, name := range keys {
		m.Keys = append(m.Keys, voucher(w, name, old, next))
	}
	return signHand(m, old, next)
}

func signHand(m *wire.OwnerSuccession, old, next string) *wire.OwnerSuccession {
	proof := api.OwnerProof(cluster, m.Prev, principal(old), m.Next, m.Stands)
	copy(m.OldSig[:], signer(old).Sign(proof))
	copy(m.NextSig[:], signer(next).Sign(proof))
	return m
}

func voucher(w *town, name, old, next string) wire.TokenKeyVoucher {
	v := wire.TokenKeyVoucher{Key: signer(name).Public(), Registrant: principal(next)}
	copy(v.Sig[:], signer(next).Sign(wire.TokenKeyProof(cluster, wire.TokenKeyPrepared, v.Key, v.Registrant, principal(next), w.AccessEpoch())))
	return v
}

// handed is a town of two nodes whose owner's key was replaced, and then a third
// node joined.
func handed(t *testing.T) *town {
	w := settled(t, 2)
	w.do(hand(w, "owner", "owner 2"))
	w.do(inviteOf("owner 2", "late"))
	w.do(admit(3, "late"))
	return w
}

func inviteOf(owner, name string) *wire.InvitePut {
	m := invite(name, expires)
	copy(m.OwnerSig[:], signer(owner).Sign(api.InviteProof(cluster, m.InviteKey[:], m.Expires)))
	return m
}

func proofOf(t *testing.T, w *town, known string, n int) []byte {
	t.Helper()
	v, err := ReadChain(cluster, principal(known), w.Chain())
	if err != nil {
		t.Fatal(err)
	}
	return v.Proof(node(n))
}

func TestNextOwnerRulesAndTheOldOneDoesNot(t *testing.T) {
	w := settled(t, 2)
	before := w.AccessEpoch()
	head := w.do(hand(w, "owner", "owner 2")).(*wire.AccessHead)
	if w.Owner() != principal("owner 2") || head.Owner != w.Owner() || head.Epoch != before+1 {
		t.Fatalf("the owner is %s, told %+v", w.Owner(), head)
	}
	w.refused(ReasonOwnerSig, inviteOf("owner", "a"))
	w.refused(ReasonOwnerSig, evict(w, 2))
	w.refused(ReasonOwnerSig, policy(w, "owner", 1))
	w.refused(ReasonOwnerSig, rekey("owner", 1))
	w.refused(ReasonNotGranted, grant(w, "owner", give("thief", holo.RoleReader, holo.Scope{})))
	w.refused(ReasonOwnerOnly, keyChange(w, "owner", "thief's", wire.TokenKeyPrepared))
	w.refused(ReasonOwnerOnly, revokeTokens(w, "owner", wire.RevokeClient, []byte{7}))
	w.refused(ReasonSuccessionSig, hand(w, "owner", "thief"))

	w.do(policy(w, "owner 2", 0))
	w.do(rekey("owner 2", 1))
	w.grant("owner 2", give("bob", holo.RoleReader, holo.Scope{}))
	w.do(inviteOf("owner 2", "b"))
	w.do(admit(3, "b"))
	again := New(cluster, ownerID(), claim.Reader{})
	if err := again.Restore(w.Snapshot()); err != nil || !bytes.Equal(again.Snapshot(), w.Snapshot()) || again.Owner() != w.Owner() {
		t.Errorf("a catalogue after a succession of its owner: %v", err)
	}
	if err := New(cluster, principal("owner 2"), claim.Reader{}).Restore(w.Snapshot()); err == nil {
		t.Error("a catalogue of another founder was restored")
	}
}

// What the owner of now has not signed, or vouched for, is no evidence: whoever
// has the old key may write any date on it.
func TestOldOwnersWordIsNoEvidenceAfterwards(t *testing.T) {
	w := handed(t)
	forged := wire.ChainRecord{
		Prev: w.chain.head, Kind: wire.ChainAdmit, Time: now - 1000, Node: node(9), Name: "mallory", InviteKey: signer("i").Public(), Expires: expires,
	}
	copy(forged.OwnerSig[:], signer("owner").Sign(api.InviteProof(cluster, forged.InviteKey[:], forged.Expires)))
	copy(forged.InviteSig[:], signer("i").Sign(wire.AdmitProof(cluster, node(9), forged.HandshakeHash)))
	if _, err := VerifyChain(cluster, ownerID(), append(slices.Clone(w.Chain()), forged)); err == nil {
		t.Error("a chain that goes on under the old key was believed")
	}
	var real wire.MembershipProof
	msg, err := wire.Decode(proofOf(t, w, "owner", 1))
	if err != nil {
		t.Fatal(err)
	}
	real = *msg.(*wire.MembershipProof)
	for name, change := range map[string]func(m *wire.MembershipProof){
		"beside those vouched for": func(m *wire.MembershipProof) {},
		"among those vouched for":  func(m *wire.MembershipProof) { m.Stands = append(slices.Clone(m.Stands), RecordHash(&forged)) },
		"with nobody vouched for":  func(m *wire.MembershipProof) { m.Stands = nil },
		"under a founder alone":    func(m *wire.MembershipProof) { m.Owners, m.Stands = nil, nil },
	} {
		m := real
		m.Admission = forged
		change(&m)
		if _, err := VerifyProof(cluster, principal("owner 2"), node(9), wire.Encode(&m)); err == nil {
			t.Errorf("an admission by the old key, %s, was believed", name)
		}
	}
	if _, err := VerifyProof(cluster, principal("owner 2"), node(9), wire.Encode(&forged)); err == nil {
		t.Error("the record alone was believed")
	}
}

func TestForgedSuccessionsOfTheOwnerAreRefused(t *testing.T) {
	for name, change := range map[string]func(w *town, m *wire.OwnerSuccession){
		"a thief makes himself the owner": func(_ *town, m *wire.OwnerSuccession) { m.Next = principal("thief"); signHand(m, "thief", "thief") },
		"to a key that has not signed":    func(_ *town, m *wire.OwnerSuccession) { m.Next = principal("bob") },
		"the owner has not signed":        func(_ *town, m *wire.OwnerSuccession) { m.OldSig[3] ^= 1 },
		"the next has not signed":         func(_ *town, m *wire.OwnerSuccession) { m.NextSig[3] ^= 1 },
		"the signatures are exchanged":    func(_ *town, m *wire.OwnerSuccession) { m.OldSig, m.NextSig = m.NextSig, m.OldSig },
		"other members than were signed":  func(_ *town, m *wire.OwnerSuccession) { m.Stands[0]++ },
	} {
		w := settled(t, 2)
		m := hand(w, "owner", "owner 2")
		change(w, m)
		if err := w.refused(ReasonSuccessionSig, m); err == nil {
			t.Error(name)
		}
	}
}

func TestOwnersSuccessionsThatCannotBeAreRefused(t *testing.T) {
	w := settled(t, 2)
	stale := hand(w, "owner", "owner 2")
	w.do(policy(w, "owner", 0))
	w.refused(ReasonStaleChain, stale)
	stale = hand(w, "owner", "owner 2")
	w.grant("owner", give("bob", holo.RoleReader, holo.Scope{}))
	w.refused(ReasonStaleAccess, stale)
	w.refused(ReasonKeyInUse, hand(w, "owner", "bob"))
	w.refused(ReasonKeyInUse, hand(w, "owner", "owner"))
	w.refused(ReasonKeyInUse, hand(w, "owner", "node 1"))
	others := hand(w, "owner", "owner 2")
	others.Stands = StandsOf(w.Members()[:1]) // signed so by both keys
	w.refused(ReasonBadChain, signHand(others, "owner", "owner 2"))

	fork := hand(w, "owner", "owner 3")
	w.do(hand(w, "owner", "owner 2"))
	w.refused(ReasonSuccessionSig, fork) // the chain has decided
	w.refused(ReasonKeyInUse, hand(w, "owner 2", "owner"))
	w.refused(ReasonKeyInUse, succeed(w, "bob", "owner")) // nobody takes up what was the owner's key
	forged := append(slices.Clone(w.Chain()), *ownerRecord(signHand(&wire.OwnerSuccession{Prev: w.chain.head, Next: ownerID(), Stands: StandsOf(w.Members())}, "owner 2", "owner"), now))
	if _, err := VerifyChain(cluster, ownerID(), forged); err == nil {
		t.Error("a chain that leads back was believed")
	}
}

// Anybody who knows one key of the line verifies all of it, and who knows none
// nothing.
func TestChainLeadsFromAnyOwnerToTheLast(t *testing.T) {
	w := handed(t)
	w.do(hand(w, "owner 2", "owner 3"))
	for _, known := range []string{"owner", "owner 2", "owner 3"} {
		v, err := ReadChain(cluster, principal(known), w.Chain())
		if err != nil || v.Owner() != principal("owner 3") || len(v.Members) != 3 {
			t.Fatalf("by %s: %+v, %v", known, v, err)
		}
		for n := 1; n <= 3; n++ {
			owners, err := VerifyProof(cluster, principal(known), node(n), proofOf(t, w, known, n))
			if err != nil || len(owners) != 3 || owners[2] != principal("owner 3") {
				t.Errorf("node %d, by %s: %v, %v", n, known, owners, err)
			}
			if _, err := VerifyProof(cluster, principal(known), node(4), proofOf(t, w, known, n)); err == nil {
				t.Errorf("node %d's proof serves another", n)
			}
		}
	}
	if _, err := VerifyChain(cluster, principal("thief"), w.Chain()); err == nil {
		t.Error("another owner's chain verified")
	}
	if _, err := VerifyProof(cluster, principal("thief"), node(1), proofOf(t, w, "owner", 1)); err == nil {
		t.Error("another owner's proof verified")
	}
}

// Who has moved on to the next owner does not go back to what an old key shows:
// the proof of before, or another successor.
func TestProofsOfAnOldOwnerAreBelievedByNobodyWhoKnowsTheNext(t *testing.T) {
	w := settled(t, 2)
	before := proofOf(t, w, "owner", 1)
	fork := settled(t, 2)
	fork.do(hand(fork, "owner", "thief"))
	w.do(hand(w, "owner", "owner 2"))
	for name, proof := range map[string][]byte{"of before": before, "of another successor": proofOf(t, fork, "owner", 1)} {
		if _, err := VerifyProof(cluster, principal("owner 2"), node(1), proof); err == nil {
			t.Errorf("the proof %s was believed", name)
		}
	}
	m := &wire.MembershipProof{Founder: principal("owner 2"), Admission: w.Chain()[1]}
	if _, err := VerifyProof(cluster, principal("owner 2"), node(2), wire.Encode(m)); err == nil {
		t.Error("an admission that only the owner before has signed was believed")
	}
}

// A node that was put out before a succession cannot show that it is a member to
// anybody who follows to the next owner.
func TestEvictedNodeHasNoProofUnderTheNextOwner(t *testing.T) {
	w := settled(t, 3)
	gone := w.Chain()[1]
	w.do(evict(w, 2))
	w.do(hand(w, "owner", "owner 2"))
	msg, err := wire.Decode(proofOf(t, w, "owner", 1))
	if err != nil {
		t.Fatal(err)
	}
	m := msg.(*wire.MembershipProof)
	m.Admission = gone
	for _, known := range []string{"owner", "owner 2"} {
		if _, err := VerifyProof(cluster, principal(known), node(2), wire.Encode(m)); err == nil {
			t.Errorf("it was believed by who knows %s", known)
		}
	}
}

func TestInvitesAndWaitingNodesFallWithTheirOwner(t *testing.T) {
	w := settled(t, 1)
	w.do(invite("node's", expires))
	w.do(clientInvite("client's", holo.RoleUser))
	w.do(clientInvite("used", holo.RoleUser))
	w.do(enrol("anna", "used"))
	w.do(invite("joined", expires))
	w.do(admit(2, "joined"))
	w.do(policy(w, "owner", 1))
	w.do(admit(3, "node's"))
	if len(w.Pending()) != 1 {
		t.Fatal("nobody waits")
	}
	w.do(hand(w, "owner", "owner 2"))
	if len(w.Pending()) != 0 {
		t.Error("a node waits for votes that it was promised by the owner before")
	}
	w.refused(ReasonInviteSuperseded, admit(3, "node's"))
	w.refused(ReasonInviteSuperseded, enrol("bert", "client's"))
	w.do(enrol("anna", "used")) // who has the answer already gets it again
	w.do(admit(2, "joined"))
	w.do(policy(w, "owner 2", 0))
	w.refused(ReasonInviteSuperseded, admit(3, "node's"))
}

func TestTokenKeysStandByTheNextOwnersWordAlone(t *testing.T) {
	w := settled(t, 1)
	w.tokenKey("kept", wire.TokenKeyPrepared, wire.TokenKeyActive)
	w.tokenKey("forgotten", wire.TokenKeyPrepared)
	w.tokenKey("gone", wire.TokenKeyPrepared, wire.TokenKeyRevoked)
	bad := hand(w, "owner", "owner 2", "kept")
	bad.Keys[0].Sig[0] ^= 1
	w.refused(ReasonTokenKeySig, bad)
	w.refused(ReasonStaleAccess, hand(w, "owner", "owner 2", "never registered"))
	w.refused(ReasonStaleAccess, hand(w, "owner", "owner 2", "gone"))
	w.do(hand(w, "owner", "owner 2", "kept"))
	keys := w.TokenKeys()
	if len(keys) != 1 || keys[0].Key != signer("kept").Public() || keys[0].State != wire.TokenKeyActive || keys[0].Registrant != principal("owner 2") {
		t.Fatalf("%+v", keys)
	}
	if err := VerifyTokenKey(cluster, principal("owner 2"), &keys[0]); err != nil {
		t.Error(err)
	}
	if err := VerifyTokenKey(cluster, ownerID(), &keys[0]); err == nil {
		t.Error("it verifies by the owner before")
	}
	w.do(issued("kept", 3, now, now+60))
}

// The way to the owner of now is bounded, and a proof of the longest fits a
// handshake.
func TestOwnersAreBoundedAndProofsStaySmall(t *testing.T) {
	w := settled(t, 2)
	last := "owner"
	for i := 2; i <= wire.MaxOwners; i++ {
		next := fmt.Sprint("owner ", i)
		w.do(hand(w, last, next))
		last = next
	}
	err := w.refused(ReasonFull, hand(w, last, "one more"))
	if holo.KindOf(err) != holo.Exhausted {
		t.Error(err)
	}
	owners, err := VerifyProof(cluster, ownerID(), node(1), proofOf(t, w, "owner", 1))
	if err != nil || len(owners) != wire.MaxOwners || owners[len(owners)-1] != principal(last) {
		t.Errorf("%d owners, %v", len(owners), err)
	}
	longest := wire.MembershipProof{Owners: make([]wire.ChainRecord, wire.MaxOwners-1), Stands: make([][32]byte, wire.MaxNodes)}
	for i := range longest.Owners {
		longest.Owners[i].Kind = wire.ChainOwner
	}
	longest.Admission = wire.ChainRecord{Kind: wire.ChainAdmit, Name: string(make([]byte, wire.MaxName)), Votes: make([]wire.Vote, wire.MaxVotes)}
	if n := len(wire.Encode(&longest)); n > 8<<10 {
		t.Errorf("a proof of %d bytes", n)
	}
}
