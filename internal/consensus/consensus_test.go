package consensus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/holocompute/holocompute/internal/holo"
)

func TestThreeVotersApplyTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := newCluster(t, 3)
		for i := range 20 {
			result, err := all[0].Propose(t.Context(), fmt.Appendf(nil, "command %d", i))
			if err != nil || result != i+1 {
				t.Fatalf("command %d: result %v, error %v", i, result, err)
			}
		}
		want := all[0].state.all()
		for _, v := range all[1:] {
			if got := v.state.wait(t, 20); !slices.Equal(got, want) {
				t.Errorf("%s has %v", v.id, got)
			}
			if leader, ok := v.Leader(); !ok || leader != all[0].id || v.IsLeader() {
				t.Errorf("%s follows %s", v.id, leader)
			}
		}
		if n := len(all[2].Voters()); n != 3 {
			t.Errorf("%d voters", n)
		}
	})
}

func TestRestartOfAllKeepsWhatWasAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := newCluster(t, 3)
		for i := range 10 {
			all[0].propose(t, fmt.Sprint(i))
		}
		want := all[0].state.all()
		for _, v := range all {
			if err := v.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for _, v := range all {
			v.open(t)
			if v.Empty() {
				t.Errorf("%s is empty", v.id)
			}
		}
		leader := leads(t, all...)
		if got := leader.state.all(); !slices.Equal(got, want) {
			t.Fatalf("the leader has %v", got)
		}
		leader.propose(t, "after")
		for _, v := range all {
			v.state.wait(t, 11)
		}
	})
}

func TestBootstrapOnlyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := newCluster(t, 1)
		if err := all[0].Bootstrap(); holo.KindOf(err) != holo.Exists {
			t.Errorf("second bootstrap: %v", err)
		}
		fresh := newVoter(t, all[0].wires, 9)
		if !fresh.Empty() {
			t.Error("a new group is not empty")
		}
	})
}

func TestDeposedLeaderCannotVerifyAndLosesNothingAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, all := newCluster(t, 3)
		old := all[0]
		old.propose(t, "before")
		w.isolate(old.id, true)
		if !old.IsLeader() {
			t.Fatal("the leader knows already")
		}
		if err := old.VerifyLeader(t.Context()); holo.KindOf(err) != holo.Unavailable || holo.ReasonOf(err) != ReasonNotLeader {
			t.Errorf("verify: %v", err)
		}
		if err := old.Read(t.Context()); err == nil {
			t.Error("read from a deposed leader")
		}
		next := leads(t, all[1:]...)
		next.propose(t, "since")
		if _, err := old.Propose(t.Context(), []byte("lost")); err == nil {
			t.Error("a deposed leader committed")
		}
		w.isolate(old.id, false)
		leader := leads(t, all...)
		leader.propose(t, "healed")
		for _, v := range all {
			got := v.state.wait(t, 3)
			if !slices.Equal(got, []string{"before", "since", "healed"}) {
				t.Errorf("%s has %v", v.id, got)
			}
		}
	})
}

func TestOutcomesSayWhatMayHaveHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, all := newCluster(t, 3)
		if _, err := all[1].Propose(t.Context(), []byte("x")); holo.KindOf(err) != holo.Unavailable || holo.ReasonOf(err) != ReasonNotLeader {
			t.Errorf("to a follower: %v", err)
		}
		if err := all[1].VerifyLeader(t.Context()); holo.ReasonOf(err) != ReasonNotLeader {
			t.Errorf("a follower verifies: %v", err)
		}
		if _, err := all[0].Propose(t.Context(), make([]byte, MaxCommand+1)); holo.KindOf(err) != holo.Invalid {
			t.Errorf("too long: %v", err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := all[0].Propose(ended, []byte("x")); holo.KindOf(err) != holo.Cancelled {
			t.Errorf("cancelled before: %v", err)
		}
		w.isolate(all[0].id, true)
		if _, err := all[0].Propose(t.Context(), []byte("perhaps")); holo.KindOf(err) != holo.Indeterminate {
			t.Errorf("lost on the way: %v", err)
		}
		if len(all[0].state.all()) != 0 {
			t.Error("applied without a majority")
		}
		all[0].Close()
		if _, err := all[0].Propose(t.Context(), []byte("x")); holo.ReasonOf(err) != ReasonClosed {
			t.Errorf("closed: %v", err)
		}
	})
}

func TestWaitEndsWithItsContextAndTheCommandMayStillHappen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, all := newCluster(t, 3)
		w.isolate(all[1].id, true)
		w.isolate(all[2].id, true)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := all[0].Propose(ctx, []byte("late")); holo.KindOf(err) != holo.Indeterminate || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error %v", err)
		}
		w.isolate(all[1].id, false)
		w.isolate(all[2].id, false)
		if got := all[1].state.wait(t, 1); got[0] != "late" {
			t.Errorf("applied %v", got)
		}
	})
}

func TestBarrierCostsOneEntryPerTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := newCluster(t, 1) // which has read, hence passed the barrier
		before := all[0].raft.LastIndex()
		for range 10 {
			if err := all[0].Read(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if after := all[0].raft.LastIndex(); after != before {
			t.Errorf("%d entries for reads of one term", after-before)
		}
		if err := all[0].Close(); err != nil {
			t.Fatal(err)
		}
		all[0].open(t)
		before = all[0].raft.LastIndex()
		leads(t, all[0])
		if after := all[0].raft.LastIndex(); after != before+2 { // the new leader's own and the barrier
			t.Errorf("%d entries in a new term", after-before)
		}
	})
}

func TestNobodyHasToReadChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := newCluster(t, 3)
		for i := range 8 {
			leader := leads(t, all...)
			if err := leader.TransferLeadership(t.Context()); err != nil {
				t.Fatalf("transfer %d: %v", i, err)
			}
			leads(t, all...).propose(t, fmt.Sprint(i))
		}
		last := leads(t, all...)
		synctest.Wait()
		for _, v := range all {
			told := false // who never led was told nothing
			select {
			case told = <-v.Changes():
			default:
			}
			if told != (v == last) {
				t.Errorf("%s was last told %v", v.id, told)
			}
		}
	})
}

func TestTransferToANamedVoter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := newCluster(t, 3)
		if err := all[0].TransferTo(t.Context(), all[2].id); err != nil {
			t.Fatal(err)
		}
		if got := leads(t, all...); got != all[2] {
			t.Errorf("%s leads", got.id)
		}
		_, alone := newCluster(t, 1)
		if err := alone[0].TransferLeadership(t.Context()); holo.KindOf(err) != holo.Unavailable {
			t.Errorf("transfer to nobody: %v", err)
		}
	})
}

func TestPromotionWaitsForTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, all := newCluster(t, 1)
		leader, slow := all[0], newVoter(t, w, 2)
		slow.Expect(leader.id)
		w.isolate(slow.id, true)
		if err := leader.AddNonvoter(t.Context(), slow.id); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := leader.Promote(ctx, slow.id); holo.KindOf(err) != holo.Unavailable {
			t.Fatalf("promote what has nothing: %v", err)
		}
		leader.propose(t, "goes on alone") // which it could not with an empty second voter
		if n := len(leader.Voters()); n != 1 {
			t.Fatalf("%d voters", n)
		}
		w.isolate(slow.id, false)
		if err := leader.Promote(t.Context(), slow.id); err != nil {
			t.Fatal(err)
		}
		if got := slow.state.wait(t, 1); len(leader.Voters()) != 2 || got[0] != "goes on alone" {
			t.Errorf("%d voters, state %v", len(leader.Voters()), got)
		}
		if err := slow.Promote(t.Context(), leader.id); holo.ReasonOf(err) != ReasonNotLeader {
			t.Errorf("a follower promotes: %v", err)
		}
	})
}

func TestRemovedVoterDoesNotDisturb(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := newCluster(t, 3)
		if err := all[0].Remove(t.Context(), all[2].id); err != nil {
			t.Fatal(err)
		}
		term := all[0].Term()
		<-time.After(20 * electionTimeout) // virtual
		all[0].propose(t, "quiet")
		if all[0].Term() != term || !all[0].IsLeader() || len(all[0].Voters()) != 2 {
			t.Errorf("term %d of %d, %d voters", all[0].Term(), term, len(all[0].Voters()))
		}
	})
}

// many proposes n commands, 64 at a time.
func many(t *testing.T, v *voter, n int) {
	t.Helper()
	var all sync.WaitGroup
	for w := range 64 {
		all.Go(func() {
			for i := w; i < n; i += 64 {
				if _, err := v.Propose(t.Context(), fmt.Appendf(nil, "command %d", i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func TestSnapshotServesRestartAndNewcomer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = keptEntries + 500
		w, all := newCluster(t, 1)
		leader := all[0]
		many(t, leader, n)
		if err := leader.raft.Snapshot().Error(); err != nil {
			t.Fatal(err)
		}
		if first, _ := leader.store.FirstIndex(); first <= 1 {
			t.Fatalf("the log still begins at %d", first)
		}
		leader.propose(t, "after the snapshot")
		want := leader.state.all()
		if err := leader.Close(); err != nil {
			t.Fatal(err)
		}
		leader.open(t)
		leads(t, leader)
		if got := leader.state.all(); !slices.Equal(got, want) || leader.state.restores() != 1 {
			t.Fatalf("%d commands after %d restores, want %d", len(got), leader.state.restores(), len(want))
		}
		newcomer := newVoter(t, w, 2)
		newcomer.Expect(leader.id)
		if err := leader.AddNonvoter(t.Context(), newcomer.id); err != nil {
			t.Fatal(err)
		}
		if err := leader.Promote(t.Context(), newcomer.id); err != nil {
			t.Fatal(err)
		}
		if got := newcomer.state.wait(t, len(want)); !slices.Equal(got, want) || newcomer.state.restores() != 1 {
			t.Errorf("%d commands after %d restores", len(got), newcomer.state.restores())
		}
	})
}

// request sends one of Raft's requests to a node over a stream of from, with
// any sender in its header, as a member with a patched binary could.
type request func(tr *raft.NetworkTransport, to holo.NodeID, head raft.RPCHeader) error

var requests = map[string]request{
	"vote": func(tr *raft.NetworkTransport, to holo.NodeID, head raft.RPCHeader) error {
		args := &raft.RequestVoteRequest{RPCHeader: head, Term: 1000, LastLogIndex: 1 << 40, LastLogTerm: 999}
		return tr.RequestVote(serverID(to), address(to), args, &raft.RequestVoteResponse{})
	},
	"prevote": func(tr *raft.NetworkTransport, to holo.NodeID, head raft.RPCHeader) error {
		args := &raft.RequestPreVoteRequest{RPCHeader: head, Term: 1000, LastLogIndex: 1 << 40, LastLogTerm: 999}
		return tr.RequestPreVote(serverID(to), address(to), args, &raft.RequestPreVoteResponse{})
	},
	"heartbeat": func(tr *raft.NetworkTransport, to holo.NodeID, head raft.RPCHeader) error {
		args := &raft.AppendEntriesRequest{RPCHeader: head, Term: 1000}
		return tr.AppendEntries(serverID(to), address(to), args, &raft.AppendEntriesResponse{})
	},
	"entries": func(tr *raft.NetworkTransport, to holo.NodeID, head raft.RPCHeader) error {
		args := &raft.AppendEntriesRequest{RPCHeader: head, Term: 1000, PrevLogEntry: 1, PrevLogTerm: 1, LeaderCommitIndex: 1}
		return tr.AppendEntries(serverID(to), address(to), args, &raft.AppendEntriesResponse{})
	},
	"timeout now": func(tr *raft.NetworkTransport, to holo.NodeID, head raft.RPCHeader) error {
		return tr.TimeoutNow(serverID(to), address(to), &raft.TimeoutNowRequest{RPCHeader: head}, &raft.TimeoutNowResponse{})
	},
}

func header(id holo.NodeID) raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(id.Hex()), Addr: []byte(id.Hex())}
}

func TestRequestsOfOthersIdentitiesAreDropped(t *testing.T) {
	for name, send := range requests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, all := newCluster(t, 3)
				target := all[1]
				senders := map[string]struct {
					from   holo.NodeID
					head   raft.RPCHeader
					reason string
				}{
					"voter as the leader": {all[2].id, header(all[0].id), ReasonImpostor},
					"voter without name":  {all[2].id, raft.RPCHeader{ProtocolVersion: 3}, ReasonImpostor},
					"voter, other addr":   {all[2].id, raft.RPCHeader{ProtocolVersion: 3, ID: header(all[2].id).ID, Addr: header(all[0].id).Addr}, ReasonImpostor},
					"stranger as itself":  {holo.NodeID{77}, header(holo.NodeID{77}), ReasonStranger},
					"stranger as leader":  {holo.NodeID{77}, header(all[0].id), ReasonStranger},
				}
				term := all[0].Term()
				for who, s := range senders {
					log := newLogger(target.config.Logger)
					g := newGroup()
					out := newOutlet(Config{Self: s.from, Streams: end{w, s.from}}, g)
					tr := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: out, MaxPool: 1, Timeout: time.Second, Logger: log})
					before := target.refusals(s.reason)
					if err := send(tr, target.id, s.head); err == nil {
						t.Errorf("%s: was answered", who)
					}
					synctest.Wait() // the refusal is counted after the connection was closed
					if got := target.refusals(s.reason); got != before+1 {
						t.Errorf("%s: %d refusals as %s, want %d", who, got, s.reason, before+1)
					}
					tr.Close()
					g.cancel()
				}
				all[0].propose(t, "undisturbed")
				if got := all[0].Term(); got != term || !all[0].IsLeader() {
					t.Errorf("term %d became %d", term, got)
				}
			})
		})
	}
}

// The check must not be what refuses a request that is in order.
func TestRequestOfItsOwnIdentityIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, all := newCluster(t, 3)
		g := newGroup()
		defer g.cancel()
		out := newOutlet(Config{Self: all[2].id, Streams: end{w, all[2].id}}, g)
		tr := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Stream: out, MaxPool: 1, Timeout: time.Second, Logger: newLogger(all[1].config.Logger),
		})
		defer tr.Close()
		if err := requests["timeout now"](tr, all[1].id, header(all[2].id)); err != nil {
			t.Fatal(err)
		}
		if all[1].refusals(ReasonImpostor)+all[1].refusals(ReasonStranger) != 0 {
			t.Errorf("refusals %v", all[1].refused)
		}
	})
}

func TestEmptyGroupFollowsOnlyWhomItExpects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, all := newCluster(t, 1)
		newcomer := newVoter(t, w, 2)
		newcomer.Expect(holo.NodeID{55})
		if err := all[0].AddNonvoter(t.Context(), newcomer.id); err != nil {
			t.Fatal(err)
		}
		all[0].propose(t, "x")
		<-time.After(10 * time.Second) // virtual
		if !newcomer.Empty() || newcomer.refusals(ReasonStranger) == 0 {
			t.Fatalf("followed a leader it does not know; refusals %v", newcomer.refused)
		}
		newcomer.Expect(all[0].id)
		newcomer.state.wait(t, 1)
	})
}
