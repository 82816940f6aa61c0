package node

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/memory"
	"github.com/holocompute/holocompute/internal/storage"
	"github.com/holocompute/holocompute/internal/wait"
)

func rotateData(n *Node, generation uint32) (*holov1.DataKey, error) {
	return n.RotateData(context.Background(), door.Caller{}, &holov1.RotateDataRequest{Node: n.self[:], Generation: generation})
}

// DP-4: the key of the pages on disk is replaced again and again while pages are
// written and read back; no call fails, and no page lies under an older key in
// the end.
func TestDataKeyIsReplacedUnderLoadAndTheOlderOnesGo(t *testing.T) {
	t.Parallel()
	c := spillCluster(t, 1)
	n, ctx := c.nodes[0], context.Background()
	const size = 3 * memory.LeastSpillMemory
	id, data := holo.ArrayID(c.create(n, "large", size).Id), noise(51, size)
	writeAll(t, n, id, data)

	var calls atomic.Int64
	ctx, stop := context.WithCancel(ctx)
	g := wait.NewGroup()
	defer g.Close()
	g.Run(func(context.Context) {
		got := make([]byte, 1<<20)
		for at := 0; ctx.Err() == nil; at = (at + 1<<20) % size {
			part := data[at : at+1<<20]
			for _, err := range []error{n.WriteRange(ctx, id, uint64(at), part), n.ReadRange(ctx, id, uint64(at), got)} {
				if calls.Add(1); err != nil && ctx.Err() == nil {
					t.Errorf("at %d: %v", at, err)
				}
			}
			if ctx.Err() == nil && !bytes.Equal(got, part) {
				t.Errorf("at %d: other bytes than were written", at)
			}
		}
	})
	for generation := uint32(1); generation <= 3; generation++ {
		before := calls.Load()
		k, err := rotateData(n, generation)
		must(t, err)
		if k.GetGeneration() != generation+1 {
			t.Errorf("%v after generation %d", k, generation)
		}
		await(t, "calls go on", func() bool { return calls.Load() >= before+16 })
		await(t, "the older key is wiped", func() bool {
			k, err := n.DataKey(context.Background(), door.Caller{})
			return err == nil && k.GetOlder() == 0 && k.GetRecords() == 0
		})
	}
	stop()
	g.Close()
	wantBytes(t, n, uint64(id), 0, data)
}

func TestDataKeyThatCannotBeReplacedIsRefused(t *testing.T) {
	t.Parallel()
	c := spillCluster(t, 1)
	n := c.nodes[0]
	_, err := rotateData(n, 7)
	wantRefused(t, err, holo.Conflict, storage.ReasonStaleKey)
	_, err = n.RotateData(context.Background(), door.Caller{}, &holov1.RotateDataRequest{Node: make([]byte, 32), Generation: 1})
	wantRefused(t, err, holo.Conflict, reasonElsewhere)
	plain := newCluster(t, 1).nodes[0]
	if k, err := plain.DataKey(context.Background(), door.Caller{}); err != nil || k.GetGeneration() != 0 {
		t.Errorf("%v, %v", k, err)
	}
	_, err = rotateData(plain, 0)
	wantRefused(t, err, holo.Conflict, reasonNoSpill)
}
