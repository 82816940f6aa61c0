package sim

import (
	"testing"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// These are errors found while the production machine was written, by seeds or
// by reading, each as the schedule that shows it.

// Seed 568. A learner that had left the shard before got its snapshot ahead of
// the configuration that named it, and let go of it when the grace period of
// its earlier leaving ended. It was promoted with nothing in memory. A snapshot
// waits for the configuration now.
func TestLearnerTakesNothingBeforeItHeardOfIt(t *testing.T) {
	s := newStage(t, 3, 2)
	s.mustWrite(0, 7)
	s.pass(2 * shardTiming.Grace) // node 2 knows for long that it has no part
	s.grant(0)
	s.decide(s.learner(s.member(2)))
	s.push(0)
	s.pass(tickEvery)
	s.carry(anyone)
	s.pass(tickEvery)
	if len(s.take(kindOf[*wire.ShardPromote])) > 0 {
		t.Error("the learner was proposed, and does not know that it learns")
	}
	s.push(2)
	s.promote()
	s.decide(s.dead(0))
	s.decide(s.dead(1))
	s.grant(2)
	s.mustRead(2, 7)
}

// Seed 1467. A repeated Seal made a member forget the chunks it had received,
// and the new primary went on from where it thought the member was.
func TestRepeatedSealDoesNotStopTheTakeover(t *testing.T) {
	s := newStage(t, 3, 3)
	s.mustWrite(0, 7)
	s.mustWrite(0, 8) // node 2 does not know yet that this is committed
	s.decide(s.transfer(0, 1))
	s.inform()
	seal := s.take(and(kindOf[*wire.Seal], to(2)))[0]
	s.deliver(seal)
	s.carry(not(and(kindOf[*wire.Recon], func(l letter) bool { return l.msg.(*wire.Recon).Index > 0 })))
	if len(s.take(kindOf[*wire.Recon])) == 0 {
		t.Fatal("the reconciliation came in one chunk, want several")
	}
	s.deliver(seal)
	for range 20 {
		s.carry(anyone)
		s.pass(shardTiming.Resend)
	}
	if st := s.state(1); st != shard.Active {
		t.Fatalf("the new primary is %v", st)
	}
}

// An acknowledgement from before this process lost and regained the shard
// counts entries that have been replaced since.
func TestAckOfAnEarlierActivationDoesNotCount(t *testing.T) {
	s := newStage(t, 3, 3)
	s.mustWrite(0, 7)
	s.write(0, 8)
	s.take(and(kindOf[*wire.Repl], to(2)))
	s.carry(kindOf[*wire.Repl])
	late := s.take(and(kindOf[*wire.Ack], from(1))) // node 1 holds entry 2 of epoch 1
	s.take(anyone)
	s.decide(s.transfer(0, 2)) // node 2 does not have it, so neither will anybody
	s.inform()
	s.carry(anyone)
	s.decide(s.transfer(2, 0))
	s.inform()
	s.carry(anyone)
	s.grant(0)
	id := s.write(0, 9) // entry 2 of epoch 3
	s.carry(and(kindOf[*wire.Repl], to(2)))
	s.carry(and(kindOf[*wire.Ack], from(2)))
	for _, l := range late {
		s.deliver(l)
	}
	if s.acked(0, id) {
		t.Fatal("a write was acknowledged that node 1 does not hold")
	}
}

// After a Transfer was proposed it may be committed at any time, even when its
// proposer has given up waiting. A read lease granted then is one that the next
// primary knows nothing of.
func TestNoReadLeaseAfterATransferWasProposed(t *testing.T) {
	s := newStage(t, 2, 2)
	s.mustWrite(0, 7)
	s.actors[0].machine.Handoff(s.now, s.shard, nodeID(1))
	s.pass(shardTiming.Handoff + tickEvery)
	transfers := s.take(kindOf[*wire.ShardTransfer])
	if len(transfers) == 0 {
		t.Fatal("no transfer was proposed")
	}
	s.grant(0)
	holder, cache := wire.Member{Node: nodeID(firstClient), Incarnation: 1}, shard.NewCache(cacheBytes)
	if _, rd, err := s.read(0, holder); err == nil {
		cache.Put(s.now, s.shard, rd.Lease, rd.Pages)
	}
	s.decide(transfers[0].msg) // only now
	s.inform()
	s.grant(1)
	s.carry(anyone)
	s.mustWrite(1, 8)
	if v, ok := cache.Get(s.now, page); ok {
		t.Fatalf("a cache still shows %d after 8 was acknowledged", valueOf(&v))
	}
}

// A suspended node that is learning may have to become the sole member before
// the snapshot is complete. What it holds must be there until then.
func TestHalfASnapshotChangesNothing(t *testing.T) {
	s := newStage(t, 2, 2)
	s.mustWrite(0, 7)
	s.pass(shardTiming.Resend)
	s.carry(anyone)
	s.decide(s.dead(1))
	s.decide(s.register(1))
	s.decide(s.learner(s.member(1)))
	s.push(0)
	s.push(1)
	s.pass(tickEvery)
	snaps := s.take(kindOf[*wire.Snap])
	if len(snaps) < 2 {
		t.Fatalf("the snapshot came in %d chunks, want several", len(snaps))
	}
	s.deliver(snaps[0])
	s.restart(0)
	s.decide(s.register(0))
	s.grant(1)
	s.mustRead(1, 7)
}

// A primary that missed an epoch cannot know who led the shard in it.
func TestPrimaryThatMissedAnEpochTakesOverAnew(t *testing.T) {
	s := newStage(t, 2, 2)
	s.mustWrite(0, 7)
	before := s.status(0).TakeoverN
	s.decide(s.transfer(0, 1))
	s.decide(s.transfer(1, 0))
	s.push(0)
	if st := s.status(0); st.TakeoverN == before || st.State != shard.TakingOver {
		t.Fatalf("after an epoch that it missed the primary is %v", st.State)
	}
}

// The line of the Promela model that was an accident: a learner whose
// acknowledgements count only once its promotion is known lacks the writes
// acknowledged in between.
func TestLearnerIsSynchronousBeforeItsPromotion(t *testing.T) {
	s := newStage(t, 3, 2)
	s.mustWrite(0, 7)
	s.decide(s.learner(s.member(2)))
	s.inform()
	s.pass(tickEvery)
	s.carry(anyone)
	s.pass(tickEvery)
	promote := s.take(kindOf[*wire.ShardPromote])
	if len(promote) == 0 {
		t.Fatal("the learner was not proposed")
	}
	id := s.write(0, 8)
	s.carry(not(to(2)))
	if s.acked(0, id) {
		t.Fatal("a write was acknowledged that the learner does not hold")
	}
}

// Reads of a page wait where a takeover with too few members cannot know
// whether its last write was acknowledged.
func TestSurvivorHoldsBackWhatMayNotHaveBeenAcknowledged(t *testing.T) {
	s := newStage(t, 2, 2)
	s.mustWrite(0, 7) // node 1 holds it and does not know that it is committed
	s.decide(s.dead(0))
	s.grant(1)
	if _, _, err := s.read(1, wire.Member{}); holo.ReasonOf(err) != "recovering" {
		t.Fatalf("read: %v", err)
	}
	if st := s.state(1); st != shard.Degraded {
		t.Fatalf("the survivor is %v", st)
	}
}

// What a primary sends under an epoch that a member has not heard of waits for
// it, and then is sent again at once, without anybody's patience running out.
func TestEntriesOfAnEpochAheadAreSentAgain(t *testing.T) {
	s := newStage(t, 3, 2)
	s.mustWrite(0, 7)
	s.decide(s.learner(s.member(2)))
	s.inform()
	s.promote()
	s.push(0) // only the primary knows that there are three members
	id := s.write(0, 8)
	s.carry(anyone)
	if s.acked(0, id) {
		t.Fatal("a member acknowledged an epoch that it does not know")
	}
	s.inform()
	s.carry(anyone)
	if !s.acked(0, id) {
		t.Error("the entry is not sent again until a timer ends")
	}
}

// A table of read leases that is full makes room by asking, not by forgetting:
// whoever holds a copy may be cut off.
func TestFullTableOfReadLeasesForgetsNone(t *testing.T) {
	s := newStage(t, 2, 2)
	s.mustWrite(0, 7)
	holder, cache := wire.Member{Node: nodeID(firstClient), Incarnation: 1}, shard.NewCache(cacheBytes)
	_, rd, err := s.read(0, holder)
	if err != nil {
		t.Fatal(err)
	}
	cache.Put(s.now, s.shard, rd.Lease, rd.Pages)
	m := s.actors[0].machine
	for i := range holo.PageIndex(4 * smallLimits(&Options{}).Leases) {
		req := shard.ReadRequest{Shard: s.shard, Pages: []holo.PageID{{Array: page.Array, Index: page.Index + 1 + i}}, Holder: holder}
		other, err := m.BeginRead(s.now, req)
		if err == nil {
			err = m.FinishRead(s.now, other)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	id := s.write(0, 8)
	s.carry(func(l letter) bool { return l.to < firstClient }) // the reader is cut off
	if v, ok := cache.Get(s.now, page); ok && s.acked(0, id) {
		t.Fatalf("a cache shows %d after 8 was acknowledged", valueOf(&v))
	}
}

// A follower that has everything is told soon that it is committed, though nothing
// follows: what it knows to be committed a takeover need not hold back.
func TestMemberIsToldSoonWhatIsCommitted(t *testing.T) {
	s := newStage(t, 2, 2)
	s.mustWrite(0, 7)
	s.pass(shardTiming.Resend / 2)
	s.carry(anyone)
	s.decide(s.dead(0))
	s.grant(1)
	s.mustRead(1, 7)
}
