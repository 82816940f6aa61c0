package sim

import (
	"testing"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// The protocol's rules one by one, each with the mistake that breaks it
// (mutants/).

func TestRetriedOperationTakesEffectOnce(t *testing.T) {
	s := newStage(t, 2, 2)
	s.mustWrite(0, 7)
	s.mustWrite(0, 8)
	id := s.write(0, 7) // the operation of the first write again
	s.carry(anyone)
	if a := s.actors[0].answers[id]; !a.Duplicate || a.Version.Seq != 1 {
		t.Errorf("the repeated write is answered with %+v", a)
	}
	s.mustRead(0, 8)
}

func TestWriteWaitsForEveryMember(t *testing.T) {
	s := newStage(t, 3, 3)
	id := s.write(0, 7)
	s.carry(not(to(2)))
	if s.acked(0, id) {
		t.Fatal("a write was acknowledged that node 2 does not hold")
	}
	s.carry(anyone)
	if !s.acked(0, id) {
		t.Fatal("every member holds the write, and it is not acknowledged")
	}
}

func TestPrimaryNeverDecidesAloneThatAMemberIsGone(t *testing.T) {
	s := newStage(t, 3, 3)
	id := s.write(0, 7)
	s.pass(2 * shardTiming.SlowMember)
	s.carry(not(to(2)))
	s.pass(2 * shardTiming.SlowMember)
	s.carry(not(to(2)))
	if s.acked(0, id) {
		t.Error("a write was acknowledged without a member that Raft still lists")
	}
	if len(s.take(kindOf[*wire.ShardShrink])) == 0 {
		t.Error("nobody asked to be rid of the silent member")
	}
}

func TestAnswerOlderThanAnInvalidationIsNotCached(t *testing.T) {
	s := newStage(t, 2, 2)
	s.mustWrite(0, 7)
	holder, cache := wire.Member{Node: nodeID(firstClient), Incarnation: 1}, shard.NewCache(cacheBytes)
	_, rd, err := s.read(0, holder) // the answer is slow
	if err != nil {
		t.Fatal(err)
	}
	id := s.write(0, 8)
	for _, l := range s.take(kindOf[*wire.Inval]) {
		s.deliver(letter{firstClient, 0, cache.Withdraw(1, l.msg.(*wire.Inval))})
	}
	s.carry(anyone)
	cache.Put(s.now, s.shard, rd.Lease, rd.Pages) // now it is there
	if v, ok := cache.Get(s.now, page); ok && s.acked(0, id) {
		t.Fatalf("a cache shows %d after 8 was acknowledged", valueOf(&v))
	}
}

func TestFencedPrimaryIsRefused(t *testing.T) {
	s := newStage(t, 3, 3)
	s.mustWrite(0, 7)
	s.decide(s.dead(0)) // cut off from the control plane, not from the members
	for _, i := range []int{1, 2} {
		s.push(i)
	}
	id := s.write(0, 8)
	s.carry(anyone)
	if s.acked(0, id) {
		t.Fatal("a fenced primary acknowledged a write")
	}
	next := 1
	if s.config().Primary == nodeID(2) {
		next = 2
	}
	s.grant(next)
	s.carry(anyone)
	s.mustRead(next, 7)
}

// A heartbeat that the old keeper granted just before it was deposed is a lease
// that the new one knows nothing of.
func TestNewKeeperWaitsOutTheLeasesItDoesNotKnow(t *testing.T) {
	s := newStage(t, 2, 2)
	s.elect()
	s.live(100*ms, anyone)
	s.elect()
	s.live(leaseTiming.TTL-30*ms, and(anyone, not(from(0)), not(from(1))))
	for i := range s.actors {
		if c := s.config(); !c.Has(nodeID(address(i))) {
			t.Fatalf("node %d was declared dead while its lease may run", i)
		}
	}
}

func TestReadNeedsTheNodeLease(t *testing.T) {
	s := newStage(t, 2, 2)
	s.mustWrite(0, 7)
	s.now = s.now.Add(leaseTiming.TTL)
	if _, _, err := s.read(0, wire.Member{}); holo.ReasonOf(err) != "no_lease" {
		t.Fatalf("a read without a lease: %v", err)
	}
}

func TestLearnerIsProposedOnlyWithItsCopy(t *testing.T) {
	s := newStage(t, 3, 2)
	s.mustWrite(0, 7)
	s.decide(s.learner(s.member(2)))
	s.push(0)
	for range 5 {
		s.pass(shardTiming.Resend)
		s.take(kindOf[*wire.Snap]) // lost
	}
	if len(s.take(kindOf[*wire.ShardPromote])) > 0 {
		t.Fatal("a learner without a copy was proposed")
	}
}

func TestNewPrimaryMakesTheMembersEqual(t *testing.T) {
	s := newStage(t, 3, 3)
	s.mustWrite(0, 7)
	s.write(0, 8)
	s.take(to(1)) // only node 2 gets it
	s.carry(to(2))
	s.take(anyone)
	s.crash(0)
	s.decide(s.dead(0))
	next, other := 1, 2
	if s.config().Primary == nodeID(2) {
		next, other = 2, 1
	}
	s.push(other)
	s.grant(next)
	s.carry(anyone)
	s.pass(shardTiming.Resend)
	s.carry(anyone)
	if a, b := s.status(next), s.status(other); a.State != shard.Active || a.Seq != b.Seq || b.State != shard.Member {
		t.Fatalf("the new primary is %v at %d, the member %v at %d", a.State, a.Seq, b.State, b.Seq)
	}
}

func TestUncommittedValueIsNeverShown(t *testing.T) {
	s := newStage(t, 2, 2)
	s.mustWrite(0, 7)
	s.write(0, 8)
	s.mustRead(0, 7)
	s.carry(anyone)
	s.mustRead(0, 8)
}

func TestDeposedLeaderGrantsNothing(t *testing.T) {
	s := newStage(t, 2, 2)
	s.elect()
	s.keeper.Heartbeat(s.now, nodeID(0), &wire.Heartbeat{Incarnation: s.actors[0].life, Sent: s.now})
	for range 20 {
		s.now = s.now.Add(tickEvery)
		s.keeper.Tick(s.now, &keeper{table: s.table})
		for _, e := range s.keeper.Ready().Send { // its rounds are never answered
			if _, granted := e.Msg.(*wire.Grant); granted {
				t.Fatal("a lease was granted by a leader that nobody confirmed")
			}
		}
	}
}

func TestLeaseCountsFromSending(t *testing.T) {
	s := newStage(t, 2, 2)
	sent := s.now
	s.now = s.now.Add(100 * ms)
	until, ok := s.actors[0].holder.Granted(s.now, &wire.Grant{Incarnation: s.actors[0].life, Sent: sent, TTL: leaseTiming.TTL})
	if want := sent.Add(leaseTiming.TTL); !ok || until != want {
		t.Fatalf("a lease asked for at %d ends at %d, want %d", sent, until, want)
	}
}

func TestReadLeaseEndsBeforeThePrimarysOwn(t *testing.T) {
	s := newStage(t, 2, 2)
	s.mustWrite(0, 7)
	s.now = s.now.Add(leaseTiming.TTL - 40*ms)
	_, rd, err := s.read(0, wire.Member{Node: nodeID(firstClient), Incarnation: 1})
	if err != nil {
		t.Fatal(err)
	}
	if rd.Lease.For <= 0 || rd.Lease.For >= 40*ms {
		t.Fatalf("a read lease of %v under a node lease of 40ms", rd.Lease.For)
	}
}
