package node

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
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
		&wire.ArrayCreate{}, &wire.ArraySealing{}, &wire.ArrayDelete{}, &wire.KernelPut{}, &wire.NodeDrain{Node: me}, &wire.JobPut{Job: wire.JobRecord{Coordinator: me}}, // clients ask for these, not nodes
		&wire.NodeAddress{Node: me}, &wire.JobTake{Coordinator: me}, &wire.JobState{}, &wire.ArraySealed{}, &wire.ArrayPurge{}, &wire.ClusterKeyConfirm{Node: me}, // unsigned
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

func TestFlowWaitsForRoomAndLetsALargeOneGoAlone(t *testing.T) {
	t.Parallel()
	f, peer := newFlows(), holo.NodeID{1}
	large, err := f.take(context.Background(), peer, 2*flowBytes)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan error, 1)
	g := newGroup()
	g.run(func(context.Context) {
		release, err := f.take(ctx, peer, 1)
		if err == nil {
			release()
		}
		got <- err
	})
	large()
	must(t, <-got)
	full, err := f.take(ctx, peer, flowBytes)
	must(t, err)
	cancel()
	_, err = f.take(ctx, peer, 1)
	wantRefused(t, err, holo.Unavailable, reasonBusy)
	full()
	g.close()
}

func TestParallelStopsAtTheFirstError(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	bad := errors.New("bad")
	err := parallel(context.Background(), 100, 2, func(ctx context.Context, i int) error {
		calls.Add(1)
		if i == 3 {
			return bad
		}
		if i > 3 {
			<-ctx.Done()
		}
		return nil
	})
	if !errors.Is(err, bad) || calls.Load() > 7 {
		t.Errorf("error %v after %d calls", err, calls.Load())
	}
	if err := parallel(context.Background(), 3, 8, func(context.Context, int) error { return nil }); err != nil {
		t.Error(err)
	}
}

func TestRetryRepeatsWhatIsSafeAndKeepsTheDoubt(t *testing.T) {
	t.Parallel()
	var s signal
	calls := 0
	err := retry(context.Background(), time.Minute, &s, func(context.Context) error {
		if calls++; calls < 3 {
			return holo.Refuse(holo.Unavailable, reasonNoHome, "not yet")
		}
		return nil
	})
	if err != nil || calls != 3 {
		t.Errorf("error %v after %d calls, want none after 3", err, calls)
	}
	calls = 0
	err = retry(context.Background(), time.Minute, &s, func(context.Context) error {
		calls++
		return holo.Errorf(holo.Conflict, "no")
	})
	if holo.KindOf(err) != holo.Conflict || calls != 1 {
		t.Errorf("error %v after %d calls, want a conflict after 1", err, calls)
	}
	ctx, cancel := context.WithCancel(context.Background())
	calls = 0
	err = retry(ctx, time.Minute, &s, func(context.Context) error {
		if calls++; calls == 1 {
			return holo.Errorf(holo.Indeterminate, "perhaps")
		}
		cancel()
		return holo.Errorf(holo.Unavailable, "not now")
	})
	if holo.KindOf(err) != holo.Indeterminate {
		t.Errorf("a write that may be applied ends as %v", err)
	}
}

// Whichever attempt may have been applied, no refusal before or after it makes the
// outcome certain.
func TestDoubtOutlivesEveryRefusal(t *testing.T) {
	t.Parallel()
	perhaps := holo.Refuse(holo.Indeterminate, reasonUnreachable, "answer of a node: %w", context.DeadlineExceeded)
	for _, k := range []struct {
		what  string
		tries []error
		want  holo.Kind
	}{
		{"refused, then perhaps", []error{holo.Refuse(holo.Unavailable, reasonNoHome, "not yet"), perhaps}, holo.Indeterminate},
		{"perhaps, then refused", []error{perhaps, holo.Refuse(holo.Unavailable, reasonNoHome, "not yet")}, holo.Indeterminate},
		{"perhaps, then refused for good", []error{perhaps, holo.Errorf(holo.Exhausted, "full")}, holo.Indeterminate},
		{"refused, then given up", []error{holo.Refuse(holo.Unavailable, reasonNoHome, "not yet"), context.DeadlineExceeded}, holo.Unavailable},
		{"refused for good", []error{holo.Errorf(holo.Exhausted, "full")}, holo.Exhausted},
	} {
		ctx, cancel := context.WithCancel(context.Background())
		var s signal
		i := 0
		err := retry(ctx, time.Minute, &s, func(context.Context) error {
			if i++; i == len(k.tries) && again(k.tries[i-1]) {
				cancel()
			}
			return k.tries[min(i, len(k.tries))-1]
		})
		cancel()
		if err == nil || holo.KindOf(err) != k.want {
			t.Errorf("%s: %v, want kind %v", k.what, err, k.want)
		}
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
	must(t, catalog.VerifyProof(cluster, owner.Public(), h.self(), m.proof()))
	for _, proof := range [][]byte{nil, {1, 2, 3}, wire.Encode(&wire.Heartbeat{})} {
		if catalog.VerifyProof(cluster, owner.Public(), h.self(), proof) == nil {
			t.Errorf("proof %x was believed", proof)
		}
	}
	if catalog.VerifyProof(cluster, owner.Public(), holo.NodeID{9}, m.proof()) == nil {
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

func TestChangesCoverASpanExactly(t *testing.T) {
	t.Parallel()
	a := &wire.ArrayRecord{ID: 1, Class: 1, Affinity: "x", Shape: holo.Shape{Type: holo.U8, Length: 5*holo.PageSize + 100, Extent: 2 * holo.PageSize}}
	for _, k := range []struct{ offset, length uint64 }{
		{0, 1}, {0, a.Shape.Bytes()}, {holo.PageSize - 1, 2}, {2*holo.PageSize - 1, holo.PageSize + 2}, {5 * holo.PageSize, 100}, {5*holo.PageSize + 1, 99},
	} {
		src, got := noise(1, int(k.length)), make([]byte, 6*holo.PageSize)
		for _, s := range spans(a, k.offset, k.length) {
			if s.offset/(2*holo.PageSize) != (s.offset+s.length-1)/(2*holo.PageSize) {
				t.Errorf("span %+v crosses extents", s)
			}
			for _, c := range changes(a, s, func(dst []byte, at uint64) { copy(dst, src[at-k.offset:]) }) {
				copy(got[uint64(c.Page)*holo.PageSize+uint64(c.Offset):], c.Data)
			}
		}
		want := make([]byte, len(got))
		copy(want[k.offset:], src)
		if !bytes.Equal(got, want) {
			t.Errorf("write of %d bytes at %d gives other bytes", k.length, k.offset)
		}
	}
	whole := changes(a, spans(a, 5*holo.PageSize, 100)[0], func(dst []byte, _ uint64) { copy(dst, noise(2, 100)) })
	if len(whole) != 1 || whole[0].Kind != wire.PageData {
		t.Errorf("all elements of the last page do not make a whole page: %+v", whole[0].Kind)
	}
	if z := changes(a, spans(a, 0, holo.PageSize)[0], func([]byte, uint64) {}); z[0].Kind != wire.PageZero {
		t.Error("a page of zeros takes memory")
	}
}

// Strangers who guess invites at a node that has to ask for them do not wait
// behind one another without end.
func TestGuessesOfInvitesDoNotPileUp(t *testing.T) {
	t.Parallel()
	n := &Node{catalog: newReplica(holo.ClusterID{7}, holo.PrincipalID{}), group: newGroup(), inviteQuery: make(chan struct{}, 1)}
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
