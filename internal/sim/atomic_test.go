package sim

import (
	"encoding/binary"
	"testing"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// add asks a node to add to the page's first word, in an operation of its own.
func (s *stage) add(i int, op, value uint64) uint64 {
	s.last++
	mu := wire.Mutation{
		Op: holo.OpID{Session: 2, Num: op}, Kind: wire.MutateFold, Fold: holo.FoldAdd, Element: holo.U64, Array: page.Array,
		Changes: []wire.Change{{Page: page.Index, Kind: wire.PageDelta, Data: binary.LittleEndian.AppendUint64(nil, value)}},
	}
	shard.SignMutation(&mu)
	s.actors[i].machine.Submit(s.now, s.last, s.shard, mu)
	s.drain(i)
	return s.last
}

// An addition whose answer was lost is asked for again at the next primary: it
// counts once, and the answer says what it met the first time.
func TestAdditionAskedForAgainAfterATakeoverIsAnsweredTheSame(t *testing.T) {
	s := newStage(t, 3, 3)
	s.mustWrite(0, 7)
	s.add(0, 1, 5)
	second := s.add(0, 2, 30)
	s.carry(anyone)
	if a := s.actors[0].answers[second]; a.Err != nil || a.Old != 12 || !a.Applied {
		t.Fatalf("7 + 5, then + 30 met: %+v", a)
	}
	s.crash(0)
	s.decide(s.dead(0))
	for _, i := range []int{1, 2} {
		s.push(i)
	}
	next := 1
	if s.config().Primary == nodeID(2) {
		next = 2
	}
	s.grant(next)
	s.carry(anyone)
	again := s.add(next, 1, 5)
	s.carry(anyone)
	if a := s.actors[next].answers[again]; a.Err != nil || !a.Duplicate || a.Old != 7 {
		t.Errorf("the first addition again, at the next primary: %+v", a)
	}
	s.mustRead(next, 42)
}

// Additions that wait side by side each meet what the one before left, though
// nothing is committed yet.
func TestAdditionsUnderWayMeetOneAnother(t *testing.T) {
	s := newStage(t, 2, 2)
	ids := make([]uint64, 4)
	for i := range ids {
		ids[i] = s.add(0, uint64(i), 10)
	}
	s.carry(anyone)
	for i, id := range ids {
		if a := s.actors[0].answers[id]; a.Err != nil || a.Old != uint64(10*i) {
			t.Errorf("addition %d met %+v", i, a)
		}
	}
	s.mustRead(0, 40)
}
