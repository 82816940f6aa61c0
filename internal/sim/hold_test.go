package sim

import (
	"encoding/binary"
	"testing"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// hold asks a node for a write lease on the page; for no time, to end it.
func (s *stage) hold(i int, name holo.LeaseID, d holo.Duration) (holo.Token, error) {
	run := wire.PageRun{Shard: s.shard, First: page.Index, Count: 1}
	return s.actors[i].machine.Hold(s.now, &wire.Hold{Array: page.Array, Run: run, Lease: name, For: d})
}

func (s *stage) mustHold(i int, name holo.LeaseID) holo.Token {
	s.t.Helper()
	token, err := s.hold(i, name, holdFor)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// writeUnder writes the page under a write lease.
func (s *stage) writeUnder(i int, token holo.Token, value uint64) shard.Answer {
	s.t.Helper()
	s.last++
	mu := wire.Mutation{
		Op: holo.OpID{Session: 1, Num: value}, Kind: wire.MutateWrite, Array: page.Array, Under: token,
		Changes: []wire.Change{{Page: page.Index, Kind: wire.PageFill, Data: binary.LittleEndian.AppendUint64(nil, value)}},
	}
	shard.SignMutation(&mu)
	s.actors[i].machine.Submit(s.now, s.last, s.shard, mu)
	s.drain(i)
	s.carry(anyone)
	return s.actors[i].answers[s.last]
}

func (s *stage) wantReason(err error, reason string) {
	s.t.Helper()
	if holo.ReasonOf(err) != reason {
		s.t.Fatalf("%v, want a refusal as %s", err, reason)
	}
}

func TestOnlyTheHolderOfAWriteLeaseWrites(t *testing.T) {
	s := newStage(t, 2, 2)
	token := s.mustHold(0, 5)
	s.wantReason(s.writeUnder(0, holo.Token{}, 7).Err, shard.ReasonLocked)
	if _, err := s.hold(0, 6, holdFor); holo.ReasonOf(err) != shard.ReasonLocked {
		t.Fatalf("a second lease of the page: %v", err)
	}
	if a := s.writeUnder(0, token, 8); a.Err != nil {
		t.Fatal(a.Err)
	}
	s.mustRead(0, 8) // many readers
	if _, err := s.hold(0, 5, 0); err != nil {
		t.Fatal(err)
	}
	s.mustWrite(0, 9)
	s.wantReason(s.writeUnder(0, token, 10).Err, shard.ReasonFenced)
	s.mustRead(0, 9)
}

func TestWriteLeaseThatIsOverFencesItsHolder(t *testing.T) {
	s := newStage(t, 2, 2)
	old := s.mustHold(0, 5)
	s.now = s.now.Add(holdFor - ms)
	if s.mustHold(0, 5) != old {
		t.Fatal("a lease that was lengthened is another one")
	}
	s.now = s.now.Add(holdFor - ms)
	if a := s.writeUnder(0, old, 7); a.Err != nil {
		t.Fatalf("a write under a lease that was lengthened: %v", a.Err)
	}
	s.now = s.now.Add(2 * ms)
	s.wantReason(s.writeUnder(0, old, 8).Err, shard.ReasonFenced)
	s.mustHold(0, 6)
	s.wantReason(s.writeUnder(0, old, 9).Err, shard.ReasonFenced)
	s.mustRead(0, 7)
}

// A request to take a lease that was repeated on the way comes when the lease is
// over and another's write was acknowledged. Found by seed 71.
func TestLeaseThatIsTakenLateIsAnotherOne(t *testing.T) {
	s := newStage(t, 2, 2)
	token := s.mustHold(0, 5)
	if again := s.mustHold(0, 5); again != token {
		t.Fatalf("the same request while the lease runs gives %+v and %+v", token, again)
	}
	s.now = s.now.Add(holdFor)
	s.mustWrite(0, 7)
	s.mustHold(0, 5)
	s.wantReason(s.writeUnder(0, token, 8).Err, shard.ReasonFenced)
	s.mustRead(0, 7)
}

func TestWriteUnderALeaseOfAnEarlierHomeIsFenced(t *testing.T) {
	s := newStage(t, 2, 2)
	token := s.mustHold(0, 5)
	s.decide(s.transfer(0, 1))
	s.inform()
	s.grant(1)
	s.carry(anyone)
	s.wantReason(s.writeUnder(1, token, 8).Err, shard.ReasonFenced)
	if next := s.mustHold(1, 5); next.Epoch <= token.Epoch {
		t.Fatalf("the next home's token %+v is not newer than %+v", next, token)
	}
	s.wantReason(s.writeUnder(1, token, 9).Err, shard.ReasonFenced)
}

// Its holder reads the page first: what is about to change must have changed.
func TestWriteLeaseWaitsForWhatIsBeingWritten(t *testing.T) {
	s := newStage(t, 2, 2)
	s.write(0, 7)
	if _, err := s.hold(0, 5, holdFor); holo.KindOf(err) != holo.Unavailable {
		t.Fatalf("a lease was given out over a write that is under way: %v", err)
	}
	s.carry(anyone)
	s.mustHold(0, 5)
	s.mustRead(0, 7)
}

// A write that waited for a reader is judged when it is ordered.
func TestWriteThatWaitedOutItsLeaseIsFenced(t *testing.T) {
	s := newStage(t, 2, 2)
	token := s.mustHold(0, 5)
	if _, _, err := s.read(0, wire.Member{Node: nodeID(firstClient), Incarnation: 1}); err != nil {
		t.Fatal(err)
	}
	s.last++
	mu := wire.Mutation{Op: holo.OpID{Session: 1, Num: 8}, Kind: wire.MutateWrite, Array: page.Array, Under: token,
		Changes: []wire.Change{{Page: page.Index, Kind: wire.PageZero}}}
	s.actors[0].machine.Submit(s.now, s.last, s.shard, mu)
	s.drain(0)
	s.now = s.now.Add(holdFor)
	for _, l := range s.take(kindOf[*wire.Inval]) {
		s.deliver(letter{firstClient, 0, shard.NewCache(cacheBytes).Withdraw(1, l.msg.(*wire.Inval))})
	}
	s.carry(anyone)
	s.wantReason(s.actors[0].answers[s.last].Err, shard.ReasonFenced)
}
