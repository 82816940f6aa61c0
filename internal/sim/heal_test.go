package sim

import (
	"bytes"
	"testing"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// These are schedules about damaged copies. What is damaged is replaced by what
// has the digest that stayed, and by nothing else.

// whole writes a page of 64 KiB of one byte at a node and delivers everything.
func (s *stage) whole(i int, b byte) holo.Version {
	s.t.Helper()
	id := s.wholeOf(i, b)
	s.carry(anyone)
	a := s.actors[i].answers[id]
	if a.Err != nil || a.Version.Seq == 0 {
		s.t.Fatalf("a whole page was not written: %+v", a)
	}
	return a.Version
}

func (s *stage) wholeOf(i int, b byte) uint64 {
	s.last++
	data := bytes.Repeat([]byte{b}, holo.PageSize)
	s.actors[i].machine.Submit(s.now, s.last, s.shard, wire.Mutation{
		Op: holo.OpID{Session: 2, Num: s.last}, Kind: wire.MutateWrite, Array: page.Array,
		Changes: []wire.Change{{Page: page.Index, Kind: wire.PageData, Data: data, Digest: digest.Of(data)}},
	})
	s.drain(i)
	return s.last
}

// A lying holder costs time. The next is asked, and its bytes are the page.
func TestWhatHealsHasTheDigestThatStayed(t *testing.T) {
	s := newStage(t, 3, 3)
	v := s.whole(0, 7)
	s.pass(shardTiming.Resend)
	s.carry(anyone)
	s.actors[0].machine.Damaged(s.shard, page, v)
	s.pass(tickEvery)
	s.carry(and(kindOf[*wire.PageAsk], not(to(0))))
	lies := s.take(kindOf[*wire.PageGive])
	if len(lies) == 0 {
		t.Fatal("nobody was asked, or nobody answers")
	}
	for _, l := range lies {
		give := *l.msg.(*wire.PageGive)
		give.Data = bytes.Repeat([]byte{8}, holo.PageSize)
		give.Digest = digest.Of(give.Data)
		s.deliver(letter{l.from, l.to, &give})
	}
	for range 8 {
		s.pass(shardTiming.Resend)
		s.carry(anyone)
	}
	got, ok := s.actors[0].machine.Committed(s.shard, page, v)
	if !ok || got.Damaged || got.Data[0] != 7 {
		t.Fatalf("the page is %+v", got.Version)
	}
}

// A holder need not know that a write is committed to have its page.
func TestPageIsGivenThoughItIsNotKnownToBeCommitted(t *testing.T) {
	s := newStage(t, 2, 2)
	id := s.wholeOf(0, 7)
	s.carry(kindOf[*wire.Repl])
	s.carry(kindOf[*wire.Ack])
	v := s.actors[0].answers[id].Version
	s.take(anyone) // that it is committed does not arrive
	s.actors[0].machine.Damaged(s.shard, page, v)
	s.pass(tickEvery)
	s.carry(not(kindOf[*wire.Repl]))
	got, ok := s.actors[0].machine.Committed(s.shard, page, v)
	if !ok || got.Damaged || got.Data[0] != 7 {
		t.Fatal("the page was not replaced")
	}
}

// What waited for the page goes on when it is there.
func TestMemberGoesOnWhenItsPageIsHealed(t *testing.T) {
	s := newStage(t, 2, 2)
	v := s.whole(0, 7)
	s.pass(shardTiming.Resend)
	s.carry(anyone)
	s.actors[1].machine.Damaged(s.shard, page, v)
	s.last++
	s.actors[0].machine.Submit(s.now, s.last, s.shard, wire.Mutation{
		Op: holo.OpID{Session: 3, Num: 1}, Kind: wire.MutateWrite, Array: page.Array,
		Changes: []wire.Change{{Page: page.Index, Kind: wire.PageDelta, Offset: 5, Data: []byte{9}, Digest: digest.Of([]byte{9})}},
	})
	s.drain(0)
	s.carry(anyone)
	if s.acked(0, s.last) {
		t.Fatal("a member acknowledged a change of a page that it does not have")
	}
	s.pass(tickEvery)
	s.carry(and(anyone, not(kindOf[*wire.Repl]))) // nothing is sent again
	if !s.acked(0, s.last) {
		t.Fatal("the write that waited was not acknowledged")
	}
}

// The page is damaged where it is still the committed one, and everybody else has
// gone on to the next, which the damaged holder has too and must not commit alone.
// Its word that the next is committed is all that the other can give.
func TestDamagedPageThatAllOthersWentOnFromKeepsNobodyOut(t *testing.T) {
	s := newStage(t, 2, 2)
	v := s.whole(0, 7)
	s.pass(shardTiming.Resend)
	s.carry(anyone)
	next := s.wholeOf(0, 8)
	s.carry(kindOf[*wire.Repl])
	s.carry(kindOf[*wire.Ack])
	if !s.acked(0, next) {
		t.Fatal("the second value was not acknowledged")
	}
	s.take(anyone) // that it is committed does not arrive
	s.decide(s.dead(0))
	s.decide(s.register(0))
	s.actors[1].machine.Damaged(s.shard, page, v)
	s.grant(1)
	s.decide(s.learner(s.member(0)))
	s.inform()
	s.promote()
	s.inform()
	s.carry(anyone)
	for i := range 2 {
		got, ok := s.actors[i].machine.Committed(s.shard, page, s.actors[0].answers[next].Version)
		if !ok || got.Damaged || got.Data[0] != 8 {
			t.Errorf("node %d has %+v, %v", i, got.Version, ok)
		}
	}
}
