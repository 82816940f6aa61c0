package buffer

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/lane"
	"github.com/holocompute/holocompute/internal/wire"
)

// Take hands out the oldest records of one lane, at most so many bytes of frames
// but one record at least, and waits for some where there are none. A consumer
// that asks again under the same sequence number gets the same hand-out. Where
// nothing can be had, and not every lane answers, that is the error.
func (b *Buffers) Take(ctx context.Context, a *wire.ArrayRecord, who lane.Party, seq uint64, most int, wait time.Duration) (Batch, error) {
	until := time.Now().Add(min(wait, MaxWait))
	if most <= 0 || most > MaxTake {
		most = MaxTake
	}
	t := &taking{b: b, a: a, who: who, seq: seq, most: most}
	for first := time.Duration(0); ; first = max(0, min(time.Until(until), oneWait)) {
		seen := b.memory.LookLanes(ctx, a, all(a), first, 0)
		batch, err := t.from(ctx, seen)
		if err != nil || batch.Number != 0 {
			return batch, err
		}
		silent := failure(seen)
		if time.Until(until) <= 0 {
			return Batch{}, silent
		}
		if silent != nil {
			if err := pause(ctx); err != nil {
				return Batch{}, err
			}
		}
		if err := ctx.Err(); err != nil {
			return Batch{}, holo.Errorf(holo.Cancelled, "take from buffer %s: %w", a.Name, err)
		}
	}
}

// failure is why a lane does not answer, if one does not.
func failure(seen []Seen) error {
	for _, s := range seen {
		if s.Err != nil {
			return s.Err
		}
	}
	return nil
}

// taking is one call of Take.
type taking struct {
	b    *Buffers
	a    *wire.ArrayRecord
	who  lane.Party
	seq  uint64
	most int
}

// from takes of the lanes that were seen: first what it has been handed already,
// then of the first from some lane on that gives something.
func (t *taking) from(ctx context.Context, seen []Seen) (Batch, error) {
	for i, s := range seen {
		if s.State != nil && s.State.Phase == lane.HandedOut && s.State.Taker == t.who && s.State.TakerSeq == t.seq {
			records, _, err := t.read(ctx, i, s.State, s.State.Taken, MaxTake)
			return Batch{Lane: i, Number: s.State.Number, Records: records}, err
		}
	}
	begin := t.who.Number + t.seq
	for k := range seen {
		i := int((begin + uint64(k)) % uint64(len(seen)))
		if s := seen[i].State; s != nil && t.mayTake(i, s) {
			if batch, err := t.lane(ctx, i, s); err != nil || batch.Number != 0 {
				return batch, err
			}
		}
	}
	return Batch{}, nil
}

// mayTake: of what nobody has, and of what somebody has had for too long.
func (t *taking) mayTake(i int, s *lane.State) bool {
	if s.Phase == lane.Idle {
		return s.Ready()
	}
	return t.b.patience.over(key{t.a.ID, i}, s.Number, time.Now())
}

// lane reads what is at the front of a lane and takes it, if nobody else has
// since.
func (t *taking) lane(ctx context.Context, i int, s *lane.State) (Batch, error) {
	records, end, err := t.read(ctx, i, s, s.Tail, t.most)
	if holo.KindOf(err) == holo.Corrupt && t.movedOn(ctx, i, s) {
		return Batch{}, nil
	}
	if err != nil {
		return Batch{}, err
	}
	op := &lane.Op{
		Kind: lane.Take, Pages: pages(t.a), Who: t.who, Seq: t.seq, Number: s.Number, Head: s.Head, End: end, Count: uint64(len(records)),
	}
	out, err := t.b.memory.DoLane(ctx, t.a, i, op)
	if err != nil || out.Word != lane.Done {
		return Batch{}, err
	}
	return Batch{Lane: i, Number: out.Value, Records: records}, nil
}

// read reads whole records from the lane's head on. One always is whole.
func (t *taking) read(ctx context.Context, i int, s *lane.State, end uint64, most int) ([]lane.Record, uint64, error) {
	count := min(end-s.Head, uint64(max(most, lane.FrameBytes+lane.MaxRecord)))
	data, err := t.b.memory.ReadLane(ctx, t.a, i, s.Head, count)
	if err != nil {
		return nil, 0, err
	}
	records, end, err := lane.Frames(data, s.Head, most)
	if err == nil && len(records) == 0 {
		err = holo.Errorf(holo.Corrupt, "read lane: no record begins at byte %d", s.Head)
	}
	return records, end, err
}

// movedOn reports whether the lane begins somewhere else by now: its pages were
// filled anew under who read them.
func (t *taking) movedOn(ctx context.Context, i int, s *lane.State) bool {
	now := t.b.memory.LookLanes(ctx, t.a, []int{i}, 0, 0)[0].State
	return now == nil || now.Head != s.Head
}
