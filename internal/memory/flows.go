package memory

import (
	"context"
	"sync"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wait"
)

// flowBytes bounds the page bytes on their way to or from one node: enough to
// fill 10 Gbit/s at a round trip of 10 ms, and little beside a node's memory.
const flowBytes = 16 << 20

// flows bounds what this node has in flight to each peer. Who wants more waits.
type flows struct {
	freed wait.Signal
	mu    struct {
		sync.Mutex
		used map[holo.NodeID]int64
	}
}

func newFlows() *flows {
	f := &flows{}
	f.mu.used = make(map[holo.NodeID]int64)
	return f
}

// take waits until size more bytes may be in flight to the peer. A single
// request larger than the bound goes alone.
func (f *flows) take(ctx context.Context, peer holo.NodeID, size int64) (release func(), err error) {
	for {
		freed := f.freed.Wait()
		if f.tryTake(peer, size) {
			return func() { f.release(peer, size) }, nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, holo.Refuse(holo.Unavailable, ReasonBusy, "node %s: too much is on its way there: %w", peer, ctx.Err())
		}
	}
}

func (f *flows) tryTake(peer holo.NodeID, size int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	used := f.mu.used[peer]
	if used > 0 && used+size > flowBytes {
		return false
	}
	f.mu.used[peer] = used + size
	return true
}

func (f *flows) release(peer holo.NodeID, size int64) {
	f.mu.Lock()
	if f.mu.used[peer] -= size; f.mu.used[peer] == 0 {
		delete(f.mu.used, peer)
	}
	f.mu.Unlock()
	f.freed.Fire()
}
