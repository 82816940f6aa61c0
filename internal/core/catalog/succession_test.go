package catalog

import (
	"bytes"
	"testing"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/claim"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// succeed is a succession that both keys have signed, at the epoch of now.
func succeed(w *town, old, next string) *wire.Succession {
	m := &wire.Succession{Old: principal(old), Next: principal(next), Epoch: w.AccessEpoch()}
	return signSuccession(m, old, next)
}

func signSuccession(m *wire.Succession, old, next string) *wire.Succession {
	proof := api.SuccessionProof(cluster, m.Epoch, m.Old, m.Next)
	copy(m.OldSig[:], signer(old).Sign(proof))
	copy(m.NextSig[:], signer(next).Sign(proof))
	return m
}

func labArray(name string) *holov1.CreateArrayRequest {
	return &holov1.CreateArrayRequest{Name: "lab/" + name, Type: "u8", Length: 8, Copies: 1}
}

// alicesTown is one in which alice has rights, an array, a kernel and a job.
func alicesTown(t *testing.T) *town {
	w := settled(t, 1)
	w.grant("owner", give("alice", holo.RoleUser, holo.Scope{Under: "lab"}))
	w.grant("owner", give("alice", holo.RoleReader, holo.Scope{NotAfter: expires}))
	w.grant("owner", give("bob", holo.RoleReader, holo.Scope{}))
	made := w.do(w.ask("alice", createArray, labArray("a"))).(*wire.ArrayRecord)
	module := holo.ModuleID{5}
	w.do(w.ask("alice", pushKernel, &holov1.PushKernelRequest{Name: "lab/k", Module: module[:], Size: 9, Functions: []string{"red_f", "comb_f"}}))
	w.do(w.ask("alice", submitJob, &holov1.SubmitRequest{Kernel: "lab/k", Function: "f", Kind: "reduce", Inputs: []uint64{uint64(made.ID)}, AccBytes: 8, GasPerTask: 9}))
	return w
}

func TestNextKeyTakesThePlaceOfTheOldOne(t *testing.T) {
	w := alicesTown(t)
	before, last := w.AccessEpoch(), w.access.last
	head := w.do(succeed(w, "alice", "alice 2")).(*wire.AccessHead)
	if head.Epoch != before+1 || w.AccessEpoch() != head.Epoch {
		t.Errorf("epoch %d after %d, told %d", w.AccessEpoch(), before, head.Epoch)
	}
	var moved []wire.GrantRecord
	for _, r := range w.Grants() {
		if r.Access.Principal == principal("alice") {
			t.Errorf("a grant stays with the old key: %+v", r)
		}
		if r.Access.Principal == principal("alice 2") {
			moved = append(moved, r)
		}
	}
	if len(moved) != 2 || moved[0].ID <= last || moved[0].By != ownerID() || moved[0].Epoch != head.Epoch || moved[0].Access.Scope.Under != "lab" {
		t.Errorf("moved: %+v", moved)
	}
	next := principal("alice 2")
	for _, r := range w.Arrays() {
		if r.Owner != next {
			t.Errorf("an array is whose? %+v", r)
		}
	}
	if k, _ := w.KernelByName("lab/k"); k.Owner != next {
		t.Errorf("the kernel is whose? %+v", k)
	}
	if j, ok := w.JobByID(1); !ok || j.Owner != next {
		t.Errorf("the job is whose? %+v", j)
	}
	w.refused(ReasonNotGranted, w.ask("alice", createArray, labArray("b")))
	w.do(w.ask("alice 2", createArray, labArray("b")))
	again := New(cluster, ownerID(), claim.Reader{})
	if err := again.Restore(w.Snapshot()); err != nil || !bytes.Equal(again.Snapshot(), w.Snapshot()) {
		t.Errorf("a catalogue after a succession: %v", err)
	}
}

func TestForgedSuccessionsAreRefused(t *testing.T) {
	w := alicesTown(t)
	for name, change := range map[string]func(m *wire.Succession){
		"a thief gives alice's place to himself": func(m *wire.Succession) {
			m.Next = principal("thief")
			signSuccession(m, "thief", "thief")
		},
		"to a key that has not signed": func(m *wire.Succession) { m.Next = principal("bob") },
		"the old key has not signed":   func(m *wire.Succession) { m.OldSig[3] ^= 1 },
		"the next key has not signed":  func(m *wire.Succession) { m.NextSig[3] ^= 1 },
		"the signatures are exchanged": func(m *wire.Succession) { m.OldSig, m.NextSig = m.NextSig, m.OldSig },
		"for another epoch":            func(m *wire.Succession) { m.Epoch++ },
		"in another cluster": func(m *wire.Succession) {
			proof := api.SuccessionProof(holo.ClusterID{9}, m.Epoch, m.Old, m.Next)
			copy(m.OldSig[:], signer("alice").Sign(proof))
			copy(m.NextSig[:], signer("alice 2").Sign(proof))
		},
	} {
		m := succeed(w, "alice", "alice 2")
		change(m)
		if err := w.refused(ReasonSuccessionSig, m); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestSuccessionsThatCannotBeAreRefused(t *testing.T) {
	w := alicesTown(t)
	w.refused(ReasonState, succeed(w, "owner", "owner 2"))
	w.refused(ReasonNotGranted, succeed(w, "nobody", "nobody 2"))
	w.refused(ReasonKeyInUse, succeed(w, "alice", "bob"))
	w.refused(ReasonKeyInUse, succeed(w, "alice", "owner"))
	w.refused(ReasonKeyInUse, succeed(w, "alice", "node 1"))
	w.refused(ReasonKeyInUse, succeed(w, "alice", "alice"))
	kept := succeed(w, "alice", "alice 2")
	w.grant("owner", give("carol", holo.RoleReader, holo.Scope{}))
	w.refused(ReasonStaleAccess, kept)
	w.do(succeed(w, "alice", "alice 2"))
	w.refused(ReasonNotGranted, succeed(w, "alice", "alice 3")) // the old key gives nothing a second time
	w.do(succeed(w, "alice 2", "alice 3"))
}

func TestSuccessionEndsTheTokensOfTheOldKey(t *testing.T) {
	w := alicesTown(t)
	w.tokenKey("owner's", wire.TokenKeyPrepared)
	hers := keyChange(w, "owner", "hers", wire.TokenKeyPrepared)
	hers.Registrant = principal("alice")
	w.do(signKeyChange(hers, "owner", "hers"))
	w.do(succeed(w, "alice", "alice 2"))
	if w.stateOf("hers") != wire.TokenKeyRevoked || w.stateOf("owner's") != wire.TokenKeyPrepared {
		t.Errorf("token keys: hers %s, the owner's %s", w.stateOf("hers"), w.stateOf("owner's"))
	}
	for _, l := range []wire.TokenRecord{
		{Client: key.Thumbprint(principal("alice")), Subject: principal("bob"), Issued: now},
		{Client: key.Thumbprint(principal("bob")), Subject: principal("alice"), Issued: now},
	} {
		if !w.tokenRevoked(l) {
			t.Errorf("a token stands: %+v", l)
		}
	}
	if w.tokenRevoked(wire.TokenRecord{Client: key.Thumbprint(principal("alice 2")), Subject: principal("alice 2"), Issued: now}) {
		t.Error("the next key's tokens do not stand")
	}
}

// A succession that cannot revoke what it has to changes nothing.
func TestSuccessionWithoutRoomForRevocationsIsRefused(t *testing.T) {
	w := alicesTown(t)
	for n := range wire.MaxRevocations - 1 {
		name := [32]byte{1, byte(n), byte(n >> 8)}
		w.revocations[revoked{wire.RevokeClient, name}] = wire.Revocation{Kind: wire.RevokeClient, Name: name, Expires: now + 99}
	}
	w.refused(ReasonFull, succeed(w, "alice", "alice 2"))
	w.do(w.ask("alice", createArray, labArray("b")))
}
