package sim

import (
	"testing"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/wire"
)

// These are the errors of the protocol's first draft, each as the schedule that
// shows it. Each test fails when its error is put back (mutants/).

// Error 1. A restarted process acted on a configuration that named its former
// life, and became primary with empty memory.
func TestRestartDoesNotKeepItsSeat(t *testing.T) {
	s := newStage(t, 2, 2)
	s.mustWrite(0, 7) // node 1 holds it, and does not know yet that it is committed
	old := s.config()
	s.restart(0)
	s.tell(0, old) // a push that was on its way
	s.carry(anyone)
	if st := s.state(0); st != shard.None {
		t.Errorf("the restarted process is %v", st)
	}
	s.decide(s.register(0))
	s.push(0)
	s.grant(1)
	s.decide(s.learner(s.member(0)))
	s.grant(1)
	s.inform()
	s.promote()
	s.grant(1)
	s.carry(anyone)
	s.mustRead(1, 7)
}

// Error 2. A primary dropped a slow member and then died: the only copy was
// gone, although the dropped one was whole.
func TestSlowMemberIsReplacedBeforeItIsDropped(t *testing.T) {
	s := newStage(t, 3, 2)
	s.elect()
	s.mustWrite(0, 7)
	s.live(100*ms, anyone)
	s.write(0, 8)
	data := func(l letter) bool { return l.to == 1 && l.from == 0 || l.to == 2 && l.from == 0 }
	s.live(300*ms, not(data)) // node 1 is alive and hears nothing from node 0; nor does the learner
	s.restart(0)
	s.mail = nil
	s.live(900*ms, anyone)
	if c := s.config(); c.Lost {
		t.Fatal("the shard is lost")
	}
	s.grant(1)
	s.mustRead(1, 7)
}

// Error 3. Members that lost their lease below minAck were forgotten. When the
// survivor's memory was lost too, so was everything, though they held it.
func TestSuspendedMemberComesBackWithTheData(t *testing.T) {
	s := newStage(t, 2, 2)
	s.mustWrite(0, 7)
	s.pass(shardTiming.Resend)
	s.carry(anyone)
	s.decide(s.dead(1)) // cut off; its memory is whole
	s.restart(0)
	s.decide(s.register(0))
	if c := s.config(); c.Lost || c.Primary != nodeID(1) {
		t.Fatalf("nobody turned to the suspended node: %+v", c)
	}
	s.decide(s.register(1))
	s.grant(1)
	s.mustRead(1, 7)
}

// Error 4. A delayed duplicate of an InvalAck released a newer read lease.
func TestLateInvalAckDoesNotReleaseANewerLease(t *testing.T) {
	s := newStage(t, 2, 2)
	s.mustWrite(0, 7)
	holder := wire.Member{Node: nodeID(firstClient), Incarnation: 1}
	cache := shard.NewCache(cacheBytes)
	s.cache(cache, holder)
	first := s.write(0, 8)
	inval := s.take(kindOf[*wire.Inval])
	if len(inval) == 0 {
		t.Fatal("a write to a leased page withdrew no lease")
	}
	ack := letter{firstClient, 0, cache.Withdraw(1, inval[0].msg.(*wire.Inval))}
	s.deliver(ack)
	s.carry(anyone)
	if !s.acked(0, first) {
		t.Fatal("the write still waits, though its lease is given back")
	}
	s.cache(cache, holder)
	second := s.write(0, 9)
	s.deliver(ack) // once more
	s.carry(anyone)
	if v, ok := cache.Get(s.now, page); s.acked(0, second) && ok {
		t.Fatalf("a write was acknowledged while a reader's copy says %d", valueOf(&v))
	}
}

// cache reads the page under a read lease.
func (s *stage) cache(c *shard.Cache, holder wire.Member) {
	s.t.Helper()
	_, rd, err := s.read(0, holder)
	if err != nil || rd.Lease.For <= 0 {
		s.t.Fatalf("no read lease: %v", err)
	}
	c.Put(s.now, s.shard, rd.Lease, rd.Pages)
}

// Error 5. A value was taken, the process stalled, lost its lease, woke up, got
// a new one, and passed the check with the old value.
func TestReadAcrossARenewedLeaseIsRefused(t *testing.T) {
	s := newStage(t, 2, 2)
	s.mustWrite(0, 7)
	rd, err := s.begin(0, wire.Member{})
	if err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(2 * leaseTiming.TTL)
	s.decide(s.transfer(0, 1))
	s.grant(1)
	s.push(0)
	s.carry(anyone)
	s.mustWrite(1, 8)
	s.decide(s.transfer(1, 0))
	s.push(1)
	s.grant(0)
	s.carry(anyone)
	s.mustRead(0, 8)
	if err := s.actors[0].machine.FinishRead(s.now, rd); err == nil {
		t.Fatalf("a read shows %d after 8 was acknowledged", valueOf(&rd.Pages[0]))
	}
}

// Error 6. A delayed snapshot of an earlier generation overwrote a learner that
// had been promoted since.
func TestOlderSnapshotDoesNotReplaceANewer(t *testing.T) {
	s := newStage(t, 3, 2)
	s.mustWrite(0, 7)
	s.decide(s.learner(s.member(2)))
	s.inform()
	s.pass(tickEvery)
	delayed := s.take(kindOf[*wire.Snap])
	s.mustWrite(0, 8)
	s.decide(s.learner(wire.Member{}))
	s.decide(s.learner(s.member(2)))
	s.inform()
	s.pass(tickEvery)
	s.carry(anyone)
	s.mustWrite(0, 9)
	s.promote()
	for _, l := range delayed {
		s.deliver(l)
	}
	s.crash(0)
	s.crash(1)
	s.decide(s.dead(0))
	s.decide(s.dead(1))
	s.grant(2)
	s.mustRead(2, 9)
}

// Error 7. Trimming an excess copy picked the living one while another was dead
// and not yet declared so.
func TestMemberIsNotDroppedWhileAnotherIsSilent(t *testing.T) {
	s := newStage(t, 3, 3)
	s.elect()
	s.mustWrite(0, 7)
	s.live(400*ms, not(kindOf[*wire.ShrinkHint]))
	s.crash(1)
	shrink := &wire.ShardShrink{Shard: s.shard, Epoch: s.config().Epoch, By: s.member(0), Drop: nodeID(2)}
	s.deliver(letter{0, leaderAddr, shrink})
	s.live(150*ms, not(kindOf[*wire.ShrinkHint]))
	if c := s.config(); !c.Has(nodeID(2)) {
		t.Fatalf("node 2 was dropped while node 1 was silent: %d members", len(c.Members))
	}
	s.live(400*ms, not(kindOf[*wire.ShrinkHint])) // node 1 is declared dead
	s.crash(0)
	s.live(500*ms, anyone)
	s.mustRead(2, 7)
}

// Error 8. A suspended node that became the sole member again was still listed
// as its own learner, and the shard never had a second copy again.
func TestSuspendedNodeIsNotItsOwnLearner(t *testing.T) {
	s := newStage(t, 3, 2)
	s.mustWrite(0, 7)
	s.pass(shardTiming.Resend)
	s.carry(anyone)
	s.decide(s.dead(1))
	s.decide(s.register(1)) // it lives again, and may learn
	s.decide(s.learner(s.member(1)))
	s.decide(s.dead(0)) // the sole member: back to the suspended node
	c := s.config()
	if !c.Has(nodeID(1)) || c.Learner.Node == nodeID(1) {
		t.Fatalf("members %v, learner %v", c.Members, c.Learner.Node)
	}
	s.elect()
	s.live(900*ms, func(l letter) bool { return l.from != 0 && l.to != 0 })
	if c := s.config(); len(c.Members) != 2 {
		t.Fatalf("the shard has %d copies", len(c.Members))
	}
	s.mustRead(1, 7)
}

// Error 9. A primary that its successor had sealed, but that had not heard of
// the new configuration, went on replicating under the successor's epoch, and
// the successor, still taking over, accepted it. A Seal waits for its
// configuration now, and who learns that stops at once.
func TestSealedPrimaryStopsAtOnce(t *testing.T) {
	s := newStage(t, 2, 2)
	s.mustWrite(0, 7)
	s.decide(s.transfer(0, 1))
	s.push(1) // only the successor knows
	s.carry(and(kindOf[*wire.Seal], to(0)))
	id := s.write(0, 8)
	for _, l := range s.take(kindOf[*wire.Repl]) {
		if e := l.msg.(*wire.Repl).Epoch; e > 1 {
			t.Errorf("the sealed primary replicates under epoch %d", e)
		}
		s.deliver(l)
	}
	s.carry(kindOf[*wire.Ack])
	if s.acked(0, id) {
		t.Error("the sealed primary acknowledged a write")
	}
	s.push(0)
	if st := s.state(0); st != shard.Sealed {
		t.Errorf("the sealed primary is %v", st)
	}
}

// Error 10. Promote named a node and not an incarnation: a learner that had
// restarted and was not registered was promoted, and the suspended list, which
// held the only other copy, was cleared.
func TestOnlyTheLifeThatLearnedIsPromoted(t *testing.T) {
	s := newStage(t, 3, 2)
	s.mustWrite(0, 7)
	s.decide(s.dead(1))
	s.decide(s.learner(s.member(2)))
	s.restart(2) // not registered; the configuration names its former life
	s.inform()
	s.pass(shardTiming.Resend)
	s.carry(anyone)
	s.pass(shardTiming.Resend)
	s.carry(anyone)
	for _, l := range s.take(kindOf[*wire.ShardPromote]) {
		s.decide(l.msg)
	}
	if c := s.config(); c.Has(nodeID(2)) || len(c.Suspended) != 1 {
		t.Fatalf("a life that is over was promoted: members %v, suspended %v", c.Members, c.Suspended)
	}
}

// Error 11. A drop was executed because a heartbeat that had been sent before
// its sender's death arrived after the request.
func TestStaleHeartbeatDoesNotProveLife(t *testing.T) {
	s := newStage(t, 3, 3)
	s.elect()
	s.mustWrite(0, 7)
	s.live(400*ms, not(kindOf[*wire.ShrinkHint]))
	beat := letter{1, leaderAddr, &wire.Heartbeat{Incarnation: s.actors[1].life, Sent: s.now}}
	s.crash(1)
	s.pass(tickEvery)
	s.keep()
	shrink := &wire.ShardShrink{Shard: s.shard, Epoch: s.config().Epoch, By: s.member(0), Drop: nodeID(2)}
	s.deliver(letter{0, leaderAddr, shrink})
	s.live(2*tickEvery, not(kindOf[*wire.ShrinkHint]))
	s.deliver(beat) // it was on its way for a while
	s.live(120*ms, not(kindOf[*wire.ShrinkHint]))
	if c := s.config(); !c.Has(nodeID(2)) {
		t.Fatalf("node 2 was dropped on the word of a dead node: %d members", len(c.Members))
	}
}
