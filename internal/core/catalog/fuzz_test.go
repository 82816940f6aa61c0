package catalog

import (
	"bytes"
	"testing"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/claim"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// FuzzApply applies what decodes out of chopped bytes to a catalogue that has
// something in every table. Nothing may panic, a refusal may leave no trace,
// and what comes out must survive its snapshot.
func FuzzApply(f *testing.F) {
	client := &town{Catalog: New(cluster, ownerID(), claim.Reader{})}
	script := func(msgs ...wire.Message) []byte {
		var b []byte
		for _, m := range msgs {
			if procedure, q := requestOf(m); q != nil {
				m = client.ask("maker", procedure, q)
			}
			if wire.IsAttested(m) {
				m = client.attest(client.speaker(m), m)
			}
			e := wire.Encode(&wire.Command{Request: wire.RequestID{byte(len(b))}, Time: now, Body: m})
			b = append(b, byte(len(e)), byte(len(e)>>8))
			b = append(b, e...)
		}
		return b
	}
	f.Add(script(create("b", 4, 2), &wire.ArraySealing{Array: 3}, &wire.ArraySealed{Array: 3}, &wire.ArrayPurge{Array: 2}))
	f.Add(script(admit(4, "spare"), &wire.NodeRegister{Node: node(4), Incarnation: 4}, create("c", 4, 3)))
	f.Add(script(&wire.NodeRegister{Node: node(1), Incarnation: 11, Life: 1}, &wire.NodeRegister{Node: node(2), Incarnation: 22, Life: 1}))
	f.Add(script(&wire.NodeDead{Node: node(1), Incarnation: 1, Life: 1}, &wire.NodeDead{Node: node(2), Incarnation: 2, Life: 1}))
	for shard := range holo.ShardID(4) {
		by := wire.Member{Node: node(int(shard) + 1), Incarnation: holo.Incarnation(shard + 1)}
		s := holo.MakeShardID(2, uint64(shard))
		f.Add(script(&wire.ShardLearner{Shard: s, Epoch: 2, Learner: by}, &wire.ShardPromote{Shard: s, Epoch: 2, By: by, Learner: by, Gen: 1},
			&wire.ShardShrink{Shard: s, Epoch: 2, By: by, Drop: node(2)}, &wire.ShardTransfer{Shard: s, Epoch: 2, By: by, To: node(2)}, &wire.ShardRecover{Shard: s}))
	}
	f.Add(script(rekey("owner", 1), put(2), &wire.ClusterKeyConfirm{Node: node(1), Epoch: 2}, &wire.ClusterKeySettle{Epoch: 2}, &wire.PolicyPut{Need: 2}))
	f.Add(script(&wire.AdmitVote{Node: node(4)}, &wire.Evict{Node: node(2), LoseData: true}, put(2)))
	f.Add(script(&wire.JobTake{Job: 2, Epoch: 1, Coordinator: node(1)}, &wire.JobState{Job: 2, Epoch: 2, End: wire.JobEnd{Phase: wire.JobFailed}}))
	epoch := uint64(FirstEpoch + 3) // of the full town
	put := &wire.GrantPut{Access: give("bob", holo.RoleReader, holo.Scope{}), Epoch: epoch, By: ownerID()}
	copy(put.Sig[:], signer("owner").Sign(grantProof(cluster, epoch, &put.Access)))
	end := &wire.GrantRevoke{ID: 1, Epoch: epoch, By: ownerID()}
	copy(end.Sig[:], signer("owner").Sign(api.RevokeProof(cluster, epoch, 1)))
	f.Add(script(put, put, end))
	f.Add(script(end, put))
	next := &wire.Succession{Old: principal("ada"), Next: principal("ada 2"), Epoch: epoch}
	f.Add(script(signSuccession(next, "ada", "ada 2"), put))
	f.Add(script(inviteAs("i", holo.RoleUser), admitUser(4, "i", "bob"), &wire.JobPut{Bound: []holo.ArrayID{1}}))
	f.Add(script(clientInvite("c", holo.RoleUser), enrol("anna", "c"), enrol("bert", "c")))

	full := &town{Catalog: New(cluster, ownerID(), claim.Reader{})}
	full.access.epoch = 11 // as of the full town
	f.Add(script(keyChange(full, "owner", "token key 2", wire.TokenKeyActive), issued("token key 1", 3, now, now+60), issued("token key 2", 3, now, now+60)))
	f.Add(script(keyChange(full, "owner", "token key 4", wire.TokenKeyPrepared), revokeTokens(full, "owner", wire.RevokeClient, []byte{7})))

	base := &town{}
	f.Fuzz(func(t *testing.T, b []byte) {
		if base.Catalog == nil {
			base = fullTown(t)
		}
		w := &town{T: t, Catalog: New(cluster, ownerID(), claim.Reader{}), index: base.index}
		if err := w.Restore(base.Snapshot()); err != nil {
			t.Fatal(err)
		}
		applied := 0
		for len(b) >= 2 && applied < 16 {
			n := min(int(b[0])|int(b[1])<<8, len(b)-2)
			msg, err := wire.Decode(b[2 : 2+n])
			b = b[2+n:]
			if err != nil {
				continue
			}
			applied++
			w.index++
			if cmd, ok := msg.(*wire.Command); ok && cmd.Request != (wire.RequestID{}) {
				w.Apply(w.index, msg)
				continue
			}
			before := w.state()
			if _, err := w.Apply(w.index, msg); err != nil && !bytes.Equal(before, w.state()) {
				t.Fatalf("%T was refused (%v) and left a trace", msg, err)
			}
		}
		s := w.Snapshot()
		again := New(cluster, ownerID(), claim.Reader{})
		if err := again.Restore(s); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Snapshot(), s) {
			t.Fatal("the snapshot changes when it is restored")
		}
	})
}

// FuzzRestore: bytes are refused or restored to themselves.
func FuzzRestore(f *testing.F) {
	f.Add([]byte{})
	f.Add(New(cluster, ownerID(), claim.Reader{}).Snapshot())
	w := &town{Catalog: New(cluster, ownerID(), claim.Reader{})}
	w.Apply(1, &wire.Command{Time: now, Body: genesis("box1")})
	w.Apply(2, &wire.Command{Time: now, Body: &wire.NodeRegister{Node: node(1), Incarnation: 1}})
	f.Add(w.Snapshot())
	w.Apply(3, &wire.Command{Time: now, Body: grant(w, "owner", give("maker", holo.RoleUser, holo.Scope{}))})
	procedure, q := requestOf(create("a", 4, 1))
	w.Apply(4, &wire.Command{Request: wire.RequestID{1}, Time: now, Body: w.ask("maker", procedure, q)})
	f.Add(w.Snapshot())
	f.Fuzz(func(t *testing.T, b []byte) {
		c := New(cluster, ownerID(), claim.Reader{})
		if c.Restore(b) == nil && !bytes.Equal(c.Snapshot(), b) {
			t.Fatal("restored to other bytes")
		}
	})
}
