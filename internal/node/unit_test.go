package node

import (
	"bytes"
	"slices"
	"sync"
	"testing"

	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

func TestEveryRouteNamesKindsActionAndHandler(t *testing.T) {
	t.Parallel()
	for of, r := range routes {
		if len(r.kinds) == 0 || r.action == "" || r.handle == nil || r.quota >= quotas_ {
			t.Errorf("route of message %#04x is not complete: %+v", uint16(of), r)
		}
		if slices.Contains(r.kinds, handshake.KindJoin) && of != (&wire.JoinRequest{}).Type() && of != (&wire.EnrolRequest{}).Type() {
			t.Errorf("message %#04x is open to joiners", uint16(of))
		}
		if slices.Contains(r.kinds, handshake.KindClient) {
			t.Errorf("message %#04x is open to clients, who come in by the door", uint16(of))
		}
	}
}

func TestNodesMayNotProposeWhatIsTheKeepers(t *testing.T) {
	t.Parallel()
	me, other := holo.NodeID{1}, holo.NodeID{2}
	refused := []wire.Message{
		&wire.NodeRegister{Node: me}, &wire.NodeDead{Node: other}, &wire.ShardLearner{}, &wire.ShardShrink{}, &wire.ShardPromote{},
		&wire.ShardTransfer{}, &wire.ShardRecover{}, &wire.ClusterInit{}, &wire.NodeAddress{Node: other},
		&wire.JobPut{Job: wire.JobRecord{Coordinator: other}}, &wire.JobTake{Coordinator: other}, &wire.Heartbeat{},
		&wire.ClusterKeyPut{}, &wire.ClusterKeySettle{}, &wire.ClusterKeyConfirm{Node: other},
		&wire.ArrayCreate{}, &wire.ArraySealing{}, &wire.ArrayDelete{}, &wire.KernelPut{}, &wire.NodeDrain{Node: me}, &wire.Rebalance{}, &wire.JobPut{Job: wire.JobRecord{Coordinator: me}}, // clients ask for these, not nodes
		&wire.NodeAddress{Node: me}, &wire.JobTake{Coordinator: me}, &wire.JobState{}, &wire.ArraySealed{}, &wire.ArrayPurge{}, &wire.ArrayExpire{}, &wire.ClusterKeyConfirm{Node: me}, // unsigned
		&wire.Attested{Node: other, Body: &wire.NodeAddress{Node: me}},
	}
	for _, m := range refused {
		if err := mayPropose(me, m); holo.ReasonOf(err) != reasonNotAllowed {
			t.Errorf("%T from a node: %v", m, err)
		}
	}
	for _, m := range []wire.Message{&wire.Asked{}, &wire.Attested{Node: me, Body: &wire.NodeAddress{Node: me}}} {
		if err := mayPropose(me, m); err != nil {
			t.Errorf("%T from a node: %v", m, err)
		}
	}
}

func TestQuotaIsPerPeerAndClass(t *testing.T) {
	t.Parallel()
	q := newQuotas()
	a, b := holo.NodeID{1}, holo.NodeID{2}
	release, err := q.take(quotaJoin, a)
	must(t, err)
	_, err = q.take(quotaJoin, a)
	wantRefused(t, err, holo.Unavailable, reasonBusy)
	if _, err := q.take(quotaJoin, b); err != nil {
		t.Errorf("another peer is refused: %v", err)
	}
	release()
	if _, err := q.take(quotaJoin, a); err != nil {
		t.Errorf("refused after the first has ended: %v", err)
	}
}

// foundedBy is a chain of one record, and the home that it belongs to.
func foundedBy(owner key.Signer, cluster holo.ClusterID) *home {
	h := &home{settings: &identity.Cluster{ID: cluster, Owner: owner.Public(), NodeName: "first"}, signer: key.GenerateSigner()}
	h.records = []wire.ChainRecord{*h.genesis(owner, 1)}
	return h
}

func TestMembersBelieveTheOwnerAndNobodyElse(t *testing.T) {
	t.Parallel()
	owner, cluster := key.GenerateSigner(), holo.ClusterID{7}
	h := foundedBy(owner, cluster)
	m := newMembers(cluster, owner.Public(), h.self())
	if err := m.admit(handshake.KindNode, h.self(), "", nil); holo.ReasonOf(err) != reasonMembership {
		t.Errorf("a node is admitted by an empty chain: %v", err)
	}
	if _, _, err := m.extend(0, foundedBy(key.GenerateSigner(), cluster).records); err == nil {
		t.Error("another owner's chain was believed")
	}
	changed := slices.Clone(h.records)
	changed[0].Name = "other"
	if _, _, err := m.extend(0, changed); err == nil {
		t.Error("a chain with a changed record was believed")
	}
	_, _, err := m.extend(0, h.records)
	must(t, err)
	must(t, m.admit(handshake.KindNode, h.self(), "", nil))
	if _, _, err := m.extend(0, foundedBy(owner, cluster).records); err == nil {
		t.Error("a second chain of the same owner replaced the first")
	}
	_, err = catalog.VerifyProof(cluster, owner.Public(), h.self(), m.proof())
	must(t, err)
	for _, proof := range [][]byte{nil, {1, 2, 3}, wire.Encode(&wire.Heartbeat{})} {
		if _, err := catalog.VerifyProof(cluster, owner.Public(), h.self(), proof); err == nil {
			t.Errorf("proof %x was believed", proof)
		}
	}
	if _, err := catalog.VerifyProof(cluster, owner.Public(), holo.NodeID{9}, m.proof()); err == nil {
		t.Error("one node's proof served another")
	}
	back, err := decodeChain(encodeChain(h.records))
	must(t, err)
	if !bytes.Equal(encodeChain(back), encodeChain(h.records)) || len(back) != len(h.records) {
		t.Error("the chain changed on its way to the disk and back")
	}
	if _, err := decodeChain(append(encodeChain(h.records), 0)); holo.KindOf(err) != holo.Corrupt {
		t.Errorf("a chain with a byte too many: %v", err)
	}
}

// Strangers who guess invites at a node that has to ask for them do not wait
// behind one another without end.
func TestGuessesOfInvitesDoNotPileUp(t *testing.T) {
	t.Parallel()
	n := &Node{catalog: newReplica(holo.ClusterID{7}, holo.PrincipalID{}), group: wait.NewGroup(), inviteQuery: make(chan struct{}, 1)}
	n.inviteQuery <- struct{}{} // the leader does not answer the one in front
	var guesses sync.WaitGroup
	for i := range byte(20) {
		guesses.Go(func() {
			if _, ok := n.findInvite([8]byte{i}); ok {
				t.Error("a guess is an invite")
			}
		})
	}
	guesses.Wait() // all have given up, and the turn was never theirs
	if len(n.inviteQuery) != 1 {
		t.Error("the turn was taken from the one in front")
	}
}
