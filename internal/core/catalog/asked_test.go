package catalog

import (
	"bytes"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/claim"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/token"
	"github.com/holocompute/holocompute/internal/wire"
)

// forged wants a command refused that uses up no signature and leaves no trace
// at all.
func (w *town) forged(reason string, body wire.Message) {
	w.Helper()
	before, uses := w.state(), len(w.stamps.order)+len(w.words.order)
	_, err := w.propose(now, "", body)
	if err == nil || holo.ReasonOf(err) != reason {
		w.Fatalf("%T: %v, want a refusal with reason %q", body, err, reason)
	}
	if !bytes.Equal(before, w.state()) || len(w.stamps.order)+len(w.words.order) != uses {
		w.Fatalf("%T was refused and left a trace", body)
	}
	if asked, ok := body.(*wire.Asked); ok && holo.ReasonOf(w.Judge(asked, now)) != reason {
		w.Fatalf("a leader that asks before hears %v, want %q", w.Judge(asked, now), reason)
	}
}

func (w *town) deletion(by string, a holo.ArrayID) *wire.Asked {
	return w.ask(by, deleteArray, &holov1.DeleteRequest{Array: uint64(a)})
}

// The attack: a member, or the leader, makes up commands in a client's name.
// Every voter refuses what no client has signed.
func TestCommandsThatNoClientSignedAreRefused(t *testing.T) {
	w := settled(t, 1)
	a := w.array("precious", 1, 1)
	for _, m := range []wire.Message{create("more", 1, 1), &wire.ArraySealing{Array: a.ID}, &wire.ArrayDelete{Array: a.ID}} {
		w.forged(ReasonUnsigned, m)
	}
	w.forged(ReasonRequestSig, &wire.Asked{})
	byNode := w.deletion("maker", a.ID)
	copy(byNode.Sig[:], signer("node 1").Sign(requestProof(byNode))) // the member's own key, in the client's name
	w.forged(ReasonRequestSig, byNode)
	if r, ok := w.ArrayByName("precious"); !ok || r.State != wire.ArrayOpen {
		t.Errorf("the array is %+v", r)
	}
}

// The attack: a member takes a request that a client signed and changes it. No
// field can be another.
func TestEachFieldOfASignedRequestCounts(t *testing.T) {
	w := settled(t, 2)
	a, b := w.array("a", 1, 1), w.array("b", 1, 1)
	changes := map[string]struct {
		reason string
		change func(*wire.Asked)
	}{
		"Procedure": {ReasonRequestSig, func(m *wire.Asked) { m.Procedure = sealArray }},
		"Request":   {ReasonRequestSig, func(m *wire.Asked) { m.Request, _ = proto.Marshal(&holov1.DeleteRequest{Array: uint64(b.ID)}) }},
		"Stamp":     {ReasonRequestSig, func(m *wire.Asked) { m.Stamp[15]++ }},
		"Node":      {ReasonSession, func(m *wire.Asked) { m.Node = node(2) }},
		"Session":   {ReasonRequestSig, func(m *wire.Asked) { m.Session[0]++ }},
		"Key":       {ReasonRequestSig, func(m *wire.Asked) { m.Key = ownerID() }},
		"Token":     {ReasonToken, func(m *wire.Asked) { m.Token = "a.b.c" }},
		"Sig":       {ReasonRequestSig, func(m *wire.Asked) { m.Sig[0]++ }},
	}
	for i := range reflect.TypeFor[wire.Asked]().NumField() {
		field := reflect.TypeFor[wire.Asked]().Field(i).Name
		attack, ok := changes[field]
		if !ok {
			t.Errorf("nobody attacks the field %s", field)
			continue
		}
		m := w.deletion("maker", a.ID)
		attack.change(m)
		t.Log(field)
		w.forged(attack.reason, m)
	}
	w.do(w.deletion("maker", a.ID)) // the honest one
}

// The attack: a member signs with a key that it has, and that may do nothing, or
// not this. What it asks for is not done.
func TestAnothersSignatureGivesNoRight(t *testing.T) {
	w := settled(t, 2)
	a := w.array("lab/a", 1, 1)
	w.forgedRight("eve", a.ID)
	w.forgedRight("owner", a.ID)  // of the data the owner may do nothing
	w.forgedRight("node 1", a.ID) // a member's key is no client's
	w.grant("owner", give("eve", holo.RoleReader, holo.Scope{}))
	w.forgedRight("eve", a.ID)
	w.grant("owner", give("eve", holo.RoleUser, holo.Scope{Under: "la"})) // by whole segments
	w.forgedRight("eve", a.ID)
	w.grant("owner", give("eve", holo.RoleUser, holo.Scope{Under: "lab", Nodes: []holo.NodeID{node(2)}})) // asked at node 1
	w.forgedRight("eve", a.ID)
	w.grant("owner", give("eve", holo.RoleUser, holo.Scope{Under: "lab", NotAfter: now}))
	if _, err := w.propose(now+1, "", w.deletion("eve", a.ID)); holo.ReasonOf(err) != ReasonNotGranted {
		t.Errorf("a grant that is over: %v", err)
	}
	w.do(w.deletion("eve", a.ID))
}

// forgedRight wants all three commands refused for want of the right.
func (w *town) forgedRight(by string, a holo.ArrayID) {
	w.Helper()
	for procedure, q := range map[string]proto.Message{
		createArray: &holov1.CreateArrayRequest{Name: "lab/new", Type: "u8", Length: 8, Copies: 1},
		sealArray:   &holov1.SealRequest{Array: uint64(a)}, deleteArray: &holov1.DeleteRequest{Array: uint64(a)},
	} {
		w.refused(ReasonNotGranted, w.ask(by, procedure, q))
	}
}

// The attack: a node keeps what a client signed until the client may no longer.
func TestRightsCountWhenTheRequestIsCarriedOut(t *testing.T) {
	w := settled(t, 2)
	a := w.array("a", 1, 2)
	w.grant("owner", give("bob", holo.RoleUser, holo.Scope{}))
	kept := w.deletion("bob", a.ID)
	if err := w.Judge(kept, now); err != nil {
		t.Fatal(err)
	}
	w.do(revoke(w, "owner", w.access.last))
	w.refused(ReasonNotGranted, kept)

	elsewhere := w.askedAt("maker", node(2), w.deletion("maker", a.ID))
	if err := w.Judge(elsewhere, now); err != nil {
		t.Fatal(err)
	}
	w.do(evict(w, 2)) // the node that kept it is a member no more
	w.forged(ReasonSession, elsewhere)
}

// The attack: what a client signed is handed in again, by another node or
// leader, under another request ID. It is carried out once, and what was refused
// once is not carried out when it could be.
func TestSignedRequestIsUsedOnce(t *testing.T) {
	w := settled(t, 1)
	ask := func(name string) *wire.Asked {
		return w.ask("maker", createArray, &holov1.CreateArrayRequest{Name: name, Type: "u8", Length: 8, Copies: 1})
	}
	first, taken := ask("a"), ask("a")
	a := w.do(first).(*wire.ArrayRecord)
	w.forged(ReasonReplayed, first)
	w.refused("", taken) // the name is taken
	w.do(w.deletion("maker", a.ID))
	w.forged(ReasonReplayed, first)
	w.forged(ReasonReplayed, taken)

	again := &town{T: t, Catalog: New(cluster, ownerID(), claim.Reader{}), index: w.index}
	if err := again.Restore(w.Snapshot()); err != nil {
		t.Fatal(err)
	}
	again.forged(ReasonReplayed, first)
	if _, err := w.propose(now, "asked again", ask("b")); err != nil {
		t.Fatal(err)
	}
	if m, err := w.propose(now, "asked again", first); err != nil || m.(*wire.ArrayRecord).Name != "b" {
		t.Errorf("whoever asks again gets %+v, %v: want the answer that there was", m, err)
	}
}

// The memory of uses is bounded, and what falls out of it is not taken again:
// stamps of before are stale, and who has one opens a session anew.
func TestForgottenUsesAreStale(t *testing.T) {
	w := settled(t, 1)
	old := w.ask("maker", createArray, &holov1.CreateArrayRequest{Name: "a", Type: "u8", Length: 8, Copies: 1})
	slow := w.ask("maker", createArray, &holov1.CreateArrayRequest{Name: "b", Type: "u8", Length: 8, Copies: 1})
	w.do(old)
	for i := range uint64(wire.MaxStamps) {
		w.stamps.spend(wire.StampUse{Version: w.version, Use: [16]byte{byte(i), byte(i >> 8), byte(i >> 16), 1}})
	}
	if len(w.stamps.used) != wire.MaxStamps || len(w.stamps.order) != wire.MaxStamps {
		t.Fatalf("%d uses are remembered, want %d", len(w.stamps.used), wire.MaxStamps)
	}
	w.forged(ReasonStaleStamp, old)
	w.forged(ReasonStaleStamp, slow)
	w.array("b", 1, 1) // with a stamp of now
	s := w.Snapshot()
	again := &town{T: t, Catalog: New(cluster, ownerID(), claim.Reader{}), index: w.index}
	if err := again.Restore(s); err != nil || !bytes.Equal(again.Snapshot(), s) {
		t.Fatalf("the memory does not survive a snapshot: %v", err)
	}
	again.forged(ReasonStaleStamp, old)
}

// A stamp of what is to come would outlive the memory.
func TestStampOfTheFutureIsRefused(t *testing.T) {
	w := settled(t, 1)
	m := w.deletion("maker", w.array("a", 1, 1).ID)
	m.Stamp = api.NewStamp(w.version+2, [8]byte{1}, "") // it is applied as w.version+1
	w.forged(ReasonStaleStamp, sign("maker", m))
	m.Stamp = api.NewStamp(w.version+1, [8]byte{1}, "")
	w.do(sign("maker", m))
}

// A client asks for what clients may ask for, and for nothing that is a node's
// or the owner's to say.
func TestRequestsThatAreNoCommandsAskForNothing(t *testing.T) {
	w := settled(t, 1)
	a := w.array("a", 1, 1)
	for _, procedure := range []string{"", "holo.v1.ArrayService/Fill", "holo.v1.ArrayService/Purge", "PUT /v1/arrays/1/data", "/" + deleteArray} {
		w.refused(ReasonClaim, w.ask("maker", procedure, &holov1.DeleteRequest{Array: uint64(a.ID)}))
	}
	more := w.deletion("maker", a.ID)
	more.Request = append(more.Request, 0x78, 1) // a field 15 that nobody knows
	w.refused(ReasonClaim, sign("maker", more))
	if r, _ := w.ArrayByID(a.ID); r.State != wire.ArrayOpen {
		t.Errorf("the array is %s", r.State)
	}
}

// issue makes a token of the owner's token key, with which the client acts for the
// maker.
func (w *town) issue(change func(*token.Claims), caps ...string) string {
	w.Helper()
	list, err := token.ParseCaps(caps)
	if err != nil {
		w.Fatal(err)
	}
	c := token.Claims{
		Issuer: ownerID(), Cluster: cluster, Subject: principal("maker"), ID: holo.TokenID{7}, Issued: now, Expires: now + 900,
		Client: key.Thumbprint(signer("client").Public()), Caps: list,
	}
	if change != nil {
		change(&c)
	}
	chain, err := token.Issue(signer("token key"), c)
	if err != nil {
		w.Fatal(err)
	}
	return chain
}

// byToken is a deletion that a client asks for by a token.
func (w *town) byToken(by, chain string, a holo.ArrayID) *wire.Asked {
	return under(chain, by, w.deletion(by, a))
}

// under makes it a request under a token.
func under(chain, by string, m *wire.Asked) *wire.Asked {
	m.Token, m.Stamp = chain, api.NewStamp(api.Stamp(m.Stamp).Version(), [8]byte(m.Stamp[8:16]), chain)
	return sign(by, m)
}

// Who acts by a token may do what its subject may and the token covers, while
// it is good: every voter looks for itself.
func TestTokensAreJudgedByEveryVoter(t *testing.T) {
	w := settled(t, 1)
	w.tokenKey("token key", wire.TokenKeyPrepared, wire.TokenKeyActive)
	a := w.array("lab/a", 1, 1)
	good := w.issue(nil, "FREE:lab/**")
	w.forged(ReasonToken, w.byToken("eve", good, a.ID)) // stolen: bound to another key
	w.forged(ReasonToken, w.byToken("client", good[:len(good)-2], a.ID))
	for name, change := range map[string]func(*token.Claims){
		"of another cluster": func(c *token.Claims) { c.Cluster = holo.ClusterID{9} },
		"that is over":       func(c *token.Claims) { c.Issued, c.Expires = now-900, now-holo.TokenLeeway },
		"of a false issuer":  func(c *token.Claims) { c.Issuer = principal("eve") },
	} {
		t.Log(name)
		w.forged(ReasonToken, w.byToken("client", w.issue(change, "FREE:lab/**"), a.ID))
	}
	w.refused(ReasonToken, w.byToken("client", w.issue(nil, "FREE:other/**", "READ:lab/**"), a.ID))
	w.refused(ReasonNotGranted, w.byToken("client", w.issue(func(c *token.Claims) { c.Subject = principal("eve") }, "FREE:**"), a.ID)) // it gives nothing
	w.refused(ReasonNotGranted, w.deletion("client", a.ID))                                                                            // and without it the key is nobody's
	r := w.do(w.byToken("client", good, a.ID)).(*wire.ArrayRecord)
	if r.State != wire.ArrayDeleted {
		t.Errorf("array %+v", r)
	}
	made := w.ask("client", createArray, &holov1.CreateArrayRequest{Name: "lab/b", Type: "u8", Length: 8, Copies: 1})
	under(w.issue(nil, "ALLOCATE:lab/*"), "client", made)
	if r := w.do(made).(*wire.ArrayRecord); r.Owner != principal("maker") {
		t.Errorf("the array is %s's, want the token's subject", r.Owner)
	}
}

// The attack: a node has seen several tokens of one key, and hands a request in
// under another than it was signed under, or under none where the key has rights
// of its own.
func TestRequestIsUnderTheTokenThatItWasSignedUnder(t *testing.T) {
	w := settled(t, 1)
	w.tokenKey("token key", wire.TokenKeyPrepared, wire.TokenKeyActive)
	a := w.array("lab/a", 1, 1)
	w.grant("owner", give("client", holo.RoleUser, holo.Scope{}))
	narrow, wide := w.issue(nil, "READ:lab/**"), w.issue(nil, "FREE:lab/**")
	signed := w.byToken("client", narrow, a.ID)
	for _, other := range []string{"", wide} {
		m := *signed
		m.Token = other
		w.forged(ReasonToken, &m)
	}
	own := w.deletion("client", a.ID)
	own.Token = wide
	w.forged(ReasonToken, own)
	w.refused(ReasonToken, signed) // it covers no deletion
	w.do(w.byToken("client", wide, a.ID))
}

// A token that was revoked, or its key, counts with no voter from then on.
func TestRevokedTokensAskForNothing(t *testing.T) {
	thumb := key.Thumbprint(signer("client").Public())
	maker := principal("maker")
	for name, end := range map[string]func(*town){
		"the token":     func(w *town) { w.do(revokeTokens(w, "owner", wire.RevokeToken, []byte{7})) },
		"its client":    func(w *town) { w.do(revokeTokens(w, "owner", wire.RevokeClient, thumb[:])) },
		"its subject":   func(w *town) { w.do(revokeTokens(w, "owner", wire.RevokeSubject, maker[:])) },
		"its token key": func(w *town) { w.tokenKey("token key", wire.TokenKeyRevoked) },
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 1)
			w.tokenKey("token key", wire.TokenKeyPrepared, wire.TokenKeyActive)
			ask := w.byToken("client", w.issue(nil, "FREE:**"), w.array("a", 1, 1).ID)
			if err := w.Judge(ask, now); err != nil {
				t.Fatal(err)
			}
			end(w)
			w.forged(ReasonToken, ask)
		})
	}
}

// Two voters that apply the same commands, good and forged, say the same of each
// and come to the same bytes.
func TestVotersRefuseAlike(t *testing.T) {
	a, b := fullTown(t), fullTown(t)
	id := a.array("x", 1, 1).ID
	b.array("x", 1, 1)
	script := []wire.Message{&wire.ArrayDelete{Array: id}, a.deletion("eve", id), a.deletion("maker", id), &wire.Asked{}}
	script = append(script, script[2]) // again
	for i, m := range script {
		request := string(rune('a' + i))
		_, one := a.propose(now, request, m)
		_, other := b.propose(now, request, m)
		if (one == nil) != (other == nil) || one != nil && one.Error() != other.Error() {
			t.Errorf("%T: %v and %v", m, one, other)
		}
	}
	if !bytes.Equal(a.Snapshot(), b.Snapshot()) {
		t.Error("the two went apart")
	}
}

func TestSnapshotWithAStampTwiceIsRefused(t *testing.T) {
	w := fullTown(t)
	w.stamps.order = append(w.stamps.order, w.stamps.order[0])
	if err := New(cluster, ownerID(), claim.Reader{}).Restore(w.Snapshot()); holo.KindOf(err) != holo.Corrupt {
		t.Errorf("restored: %v", err)
	}
}

// BenchmarkSignedCreate is what the evidence of a client's command costs each
// voter, beside the command itself: a creation, and that it is dropped again.
func BenchmarkSignedCreate(b *testing.B) {
	w := settled(&testing.T{}, 1)
	for i := range 100 { // grants of others, which are looked through
		w.grant("owner", give("someone "+string(rune('a'+i)), holo.RoleReader, holo.Scope{}))
	}
	ask := w.ask("maker", createArray, &holov1.CreateArrayRequest{Name: "a", Type: "u8", Length: 8, Copies: 1})
	b.Run("evidence", func(b *testing.B) {
		for b.Loop() {
			if err := w.Judge(ask, now); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("command", func(b *testing.B) {
		for b.Loop() {
			w.index++
			w.version = w.index
			w.table.Begin(w.index)
			shape := holo.Shape{Type: holo.U8, Length: 8, Extent: holo.DefaultExtent}
			r, err := w.perform(&wire.ArrayCreate{Owner: principal("maker"), Name: "a", Shape: shape, Class: 1}, node(1), now)
			if err != nil {
				b.Fatal(err)
			}
			w.drop(*r.(*wire.ArrayRecord))
			delete(w.arrayNames, "a")
		}
	})
}
