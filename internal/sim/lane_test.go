package sim

import (
	"testing"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/lane"
	"github.com/holocompute/holocompute/internal/wire"
)

// onLane asks a node for an operation on a lane, in an operation of its own.
func (s *stage) onLane(i int, number uint64, op lane.Op) uint64 {
	s.last++
	if op.Pages = lane.MinPages; op.Who.Number == 0 {
		op.Who.Number = 7
	}
	mu := wire.Mutation{
		Op: holo.OpID{Session: 3, Num: number}, Kind: wire.MutateLane, Array: page.Array,
		Changes: []wire.Change{{Page: page.Index, Kind: wire.PageDelta, Data: op.Encode()}},
	}
	shard.SignMutation(&mu)
	s.actors[i].machine.Submit(s.now, s.last, s.shard, mu)
	s.drain(i)
	return s.last
}

func (s *stage) outcome(i int, id uint64) lane.Outcome {
	s.t.Helper()
	a := s.actors[i].answers[id]
	if a.Err != nil {
		s.t.Fatal(a.Err)
	}
	return lane.Unpack(a.Old)
}

// Records that are appended side by side lie one after the other, though nothing
// is committed yet; and one that is appended again at the next primary, in an
// operation that it never heard of, is there already.
func TestAppendsUnderWayFollowOneAnother(t *testing.T) {
	s := newStage(t, 3, 3)
	record := [][]byte{make([]byte, 100-lane.FrameBytes)}
	s.onLane(0, 1, lane.Op{Kind: lane.Open})
	ids := make([]uint64, 4)
	for i := range ids {
		ids[i] = s.onLane(0, uint64(2+i), lane.Op{Kind: lane.Append, Seq: uint64(1 + i), Records: record})
	}
	s.carry(anyone)
	for i, id := range ids {
		if out := s.outcome(0, id); out != (lane.Outcome{Word: lane.Done, Value: uint64(100 * i)}) {
			t.Errorf("record %d: outcome %+v", i, out)
		}
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
	again := s.onLane(next, 100, lane.Op{Kind: lane.Append, Seq: 4, Records: record})
	more := s.onLane(next, 101, lane.Op{Kind: lane.Append, Seq: 5, Records: record})
	s.carry(anyone)
	if out := s.outcome(next, again); out.Word != lane.Again || out.Value != 4 {
		t.Errorf("the last record again, at the next primary: %+v", out)
	}
	if out := s.outcome(next, more); out.Word != lane.Done || out.Value != 400 {
		t.Errorf("the record after it: %+v", out)
	}
}

// What a consumer was handed and others took away it cannot commit, also where
// the next primary never saw it take it.
func TestSlowConsumerIsFencedByTheNextPrimary(t *testing.T) {
	s := newStage(t, 3, 3)
	slow, quick := lane.Party{Number: 11}, lane.Party{Number: 12}
	s.onLane(0, 1, lane.Op{Kind: lane.Open})
	s.onLane(0, 2, lane.Op{Kind: lane.Append, Seq: 1, Records: [][]byte{make([]byte, 100-lane.FrameBytes), make([]byte, 100-lane.FrameBytes)}})
	s.onLane(0, 3, lane.Op{Kind: lane.Take, Who: slow, Seq: 1, End: 100, Count: 1})
	s.carry(anyone)
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
	taken := s.onLane(next, 4, lane.Op{Kind: lane.Take, Who: quick, Seq: 1, Number: 1, End: 200, Count: 2})
	late := s.onLane(next, 5, lane.Op{Kind: lane.Commit, Who: slow, Number: 1})
	right := s.onLane(next, 6, lane.Op{Kind: lane.Commit, Who: quick, Number: 2})
	s.carry(anyone)
	if a, b, c := s.outcome(next, taken), s.outcome(next, late), s.outcome(next, right); a.Word != lane.Done || b.Word != lane.Fenced || c.Word != lane.Done {
		t.Errorf("taken away: %+v; the late commit: %+v; the right one: %+v", a, b, c)
	}
}
