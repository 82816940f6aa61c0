package memory

import (
	"context"
	"slices"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/lane"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

// notBuffer refuses what would change or hold a buffer's pages as those of an
// array.
func notBuffer(a *wire.ArrayRecord) error {
	if a.Buffer {
		return holo.Errorf(holo.Invalid, "array %s is a buffer: its records are appended and taken, and not written", a.Name)
	}
	return nil
}

// DoLane brings an operation to the lane's home: see buffer.Memory.
func (n *Node) DoLane(ctx context.Context, a *wire.ArrayRecord, number int, op *lane.Op) (lane.Outcome, error) {
	run := RunOf(a, uint64(number))
	if a.LostIn(run.Shard) {
		return lane.Outcome{}, lostLane(a, number)
	}
	mu := &wire.Mutation{
		Op: n.NextOp(), Kind: wire.MutateLane, Array: a.ID,
		Changes: []wire.Change{{Page: run.First, Kind: wire.PageDelta, Data: op.Encode()}},
	}
	shard.SignMutation(mu)
	done, err := n.Mutate(ctx, run.Shard, mu)
	return lane.Unpack(done.Old), err
}

func lostLane(a *wire.ArrayRecord, number int) error {
	return holo.Refuse(holo.DataLost, ReasonLost, "buffer %s: what was in lane %d is lost with every node that held it", a.Name, number)
}

// ReadLane reads bytes of a lane at its home: see buffer.Memory.
func (n *Node) ReadLane(ctx context.Context, a *wire.ArrayRecord, number int, from, count uint64) ([]byte, error) {
	whole := RunOf(a, uint64(number))
	if a.LostIn(whole.Shard) {
		return nil, lostLane(a, number)
	}
	out := make([]byte, 0, count)
	for _, r := range lane.Runs(from, count, int(a.Shape.ExtentPages())) {
		got, err := n.readLanePages(ctx, a, wire.PageRun{Shard: whole.Shard, First: whole.First + holo.PageIndex(r.Page), Count: uint32(r.Pages)})
		if err != nil {
			return nil, err
		}
		out = appendPages(out, got, r.Skip, r.Bytes)
	}
	return out, nil
}

// appendPages adds so many bytes of pages from an offset in the first.
func appendPages(out []byte, pages []Content, skip, count int) []byte {
	for _, p := range pages {
		k := min(holo.PageSize-skip, count)
		start := len(out)
		out = slices.Grow(out, k)[:start+k]
		p.copyTo(out[start:], skip)
		count, skip = count-k, 0
	}
	return out
}

// readLanePages reads pages from their home, and keeps none: they change.
func (n *Node) readLanePages(ctx context.Context, a *wire.ArrayRecord, run wire.PageRun) (pages []Content, err error) {
	err = wait.Retry(ctx, opDeadline, &n.Configs.Changed, func(ctx context.Context) error {
		home, err := n.HomeOf(ctx, a.ID, run.Shard)
		switch {
		case err != nil:
			return err
		case home == n.self:
			pages, err = n.contentHere(ctx, a.ID, false, run)
		default:
			pages, _, err = n.readFrom(ctx, home, &wire.RangeRead{Array: a.ID, Run: run})
		}
		return err
	})
	return pages, err
}
