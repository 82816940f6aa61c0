// Package buffer makes one buffer out of lanes: where a producer's records go,
// whom a lane's records are handed to, and for how long.
//
// Its one idea is that no consumer has to know of the others. Each takes the
// oldest records of any lane of which nobody has any; until they are committed
// or released that lane gives out nothing more, so a producer's records, which
// are all in one lane, are consumed in their order. A consumer that dies is
// fenced by whoever takes what it had. How the lanes are kept, and that what is
// done to one is done once, is not its business: that is internal/lane and
// internal/core/shard (decision record 0033).
package buffer

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/lane"
	"github.com/holocompute/holocompute/internal/wire"
)

// Limits of the calls.
const (
	MaxWait = 10 * time.Second
	// MaxTake is how many bytes of frames are handed out at a time, at most.
	MaxTake = 4 * holo.PageSize
	// oneWait is how long the homes of lanes are asked to wait; then others may
	// be home.
	oneWait = time.Duration(wire.MaxLaneWait)
	// retryPause comes between two looks where no lane answers.
	retryPause = 50 * time.Millisecond
)

// Reasons for which an operation on a buffer is refused.
const (
	ReasonFull      = "buffer_full"        // the producer's lane has no room, and nothing was consumed in time
	ReasonForgotten = "producer_forgotten" // it was not opened, was closed, or others were opened since
	ReasonOrder     = "out_of_order"       // records that do not come next after the producer's last
	ReasonOver      = "handout_over"       // the records were handed out to somebody else meanwhile
)

// Seen is a lane as its home says it is, or why nobody does. Neither: it was not
// waited for.
type Seen struct {
	State *lane.State
	Err   error
}

// Memory is where the lanes are.
type Memory interface {
	// DoLane has an operation done, once.
	DoLane(ctx context.Context, a *wire.ArrayRecord, number int, op *lane.Op) (lane.Outcome, error)
	// LookLanes tells how lanes are, in their order: when one of them has
	// something to take, or so much room, or after the wait.
	LookLanes(ctx context.Context, a *wire.ArrayRecord, numbers []int, wait time.Duration, room uint64) []Seen
	// ReadLane reads bytes of a lane from an offset.
	ReadLane(ctx context.Context, a *wire.ArrayRecord, number int, from, count uint64) ([]byte, error)
}

// Buffers serves all buffers. It is safe for concurrent use.
type Buffers struct {
	memory   Memory
	patience *patience
}

// New serves the buffers that lie in the memory.
func New(m Memory) *Buffers { return &Buffers{memory: m, patience: newPatience()} }

// Batch is what was handed out of one lane. Number 0: nothing.
type Batch struct {
	Lane    int
	Number  uint64
	Records []lane.Record
}

// LaneOf is the lane of a producer: who draws its number at random spreads its
// producers.
func LaneOf(a *wire.ArrayRecord, producer uint64) int {
	return int(producer % a.Shape.Extents())
}

func pages(a *wire.ArrayRecord) int { return int(a.Shape.ExtentPages()) }

// Open makes a producer known to its lane, or closes it. Both may be repeated.
func (b *Buffers) Open(ctx context.Context, a *wire.ArrayRecord, who lane.Party, shut bool) (number int, err error) {
	op := &lane.Op{Kind: lane.Open, Pages: pages(a), Who: who}
	if shut {
		op.Kind = lane.Close
	}
	number = LaneOf(a, who.Number)
	_, err = b.memory.DoLane(ctx, a, number, op)
	return number, err
}

// Append appends records of a producer, all or none, and once. Where its lane is
// full it waits for room.
func (b *Buffers) Append(ctx context.Context, a *wire.ArrayRecord, who lane.Party, first uint64, records [][]byte, wait time.Duration) (offset uint64, err error) {
	number, until := LaneOf(a, who.Number), time.Now().Add(min(wait, MaxWait))
	op := &lane.Op{Kind: lane.Append, Pages: pages(a), Who: who, Seq: first, Records: records}
	for {
		out, err := b.memory.DoLane(ctx, a, number, op)
		if err != nil {
			return 0, err
		}
		if out.Word != lane.Full {
			return out.Value, appended(a, out, first)
		}
		rest := time.Until(until)
		if rest <= 0 {
			return 0, holo.Refuse(holo.Exhausted, ReasonFull, "append to buffer %s: lane %d is full: its consumers do not come after", a.Name, number)
		}
		if err := b.look(ctx, a, number, min(rest, oneWait), op); err != nil {
			return 0, err
		}
	}
}

func appended(a *wire.ArrayRecord, out lane.Outcome, first uint64) error {
	switch out.Word {
	case lane.Done, lane.Again:
		return nil
	case lane.Forgotten:
		return holo.Refuse(holo.Conflict, ReasonForgotten, "append to buffer %s: the producer is not open, or not any more: open a new one", a.Name)
	case lane.Gap:
		return holo.Refuse(holo.Conflict, ReasonOrder, "append to buffer %s: record %d does not come after the producer's last, %d", a.Name, first, out.Value)
	}
	return holo.Errorf(holo.Internal, "append to buffer %s: outcome %d", a.Name, out.Word)
}

// look waits for room for an operation.
func (b *Buffers) look(ctx context.Context, a *wire.ArrayRecord, number int, wait time.Duration, op *lane.Op) error {
	room := uint64(0)
	for _, r := range op.Records {
		room += uint64(lane.FrameBytes + len(r))
	}
	if seen := b.memory.LookLanes(ctx, a, []int{number}, wait, room); seen[0].State == nil {
		return pause(ctx)
	}
	return nil
}

// Settle ends a hand-out: commit says that its records are consumed.
func (b *Buffers) Settle(ctx context.Context, a *wire.ArrayRecord, who lane.Party, number int, handout uint64, commit bool) error {
	op := &lane.Op{Kind: lane.Release, Pages: pages(a), Who: who, Number: handout}
	if commit {
		op.Kind = lane.Commit
	}
	out, err := b.memory.DoLane(ctx, a, number, op)
	switch {
	case err != nil:
		return err
	case out.Word == lane.Done || out.Word == lane.Again:
		return nil
	case out.Word == lane.LongAgo:
		return holo.Errorf(holo.Indeterminate, "settle hand-out %d of lane %d of buffer %s: it is not known any more what became of it", handout, number, a.Name)
	}
	return holo.Refuse(holo.Conflict, ReasonOver, "settle hand-out %d of lane %d of buffer %s: it is over: its records are there for others, or with them", handout, number, a.Name)
}

// Stat tells how all lanes are.
func (b *Buffers) Stat(ctx context.Context, a *wire.ArrayRecord) []Seen {
	return b.memory.LookLanes(ctx, a, all(a), 0, 0)
}

func all(a *wire.ArrayRecord) []int {
	list := make([]int, a.Shape.Extents())
	for i := range list {
		list[i] = i
	}
	return list
}

// pause waits a moment, or until ctx ends.
func pause(ctx context.Context) error {
	t := time.NewTimer(retryPause)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return holo.Errorf(holo.Cancelled, "wait for a buffer: %w", ctx.Err())
	}
}
