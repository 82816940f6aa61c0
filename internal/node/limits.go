package node

import (
	"context"
	"sync"

	"github.com/holocompute/holocompute/internal/holo"
)

// quota is the class of work that a request counts against: each peer may have
// so many of a class in progress.
type quota uint8

const (
	quotaProtocol quota = iota // small and bounded by its stream: one at a time
	quotaRaft
	quotaControl
	quotaData
	quotaJob
	quotaJoin
	quotas_
)

// inProgress is the most requests of each class that one peer may have in
// progress. A data request is up to 4 MiB, so a peer holds at most 128 MiB of
// a node's buffers; Raft keeps a few streams per peer; a joiner asks once.
var inProgress = [quotas_]int{
	quotaProtocol: 8,
	quotaRaft:     16,
	quotaControl:  32,
	quotaData:     32,
	quotaJob:      256,
	quotaJoin:     1,
}

type quotaKey struct {
	class quota
	peer  holo.NodeID
}

// quotas counts the requests in progress.
type quotas struct {
	mu struct {
		sync.Mutex
		used map[quotaKey]int
	}
}

func newQuotas() *quotas {
	q := &quotas{}
	q.mu.used = make(map[quotaKey]int)
	return q
}

// take counts a request and returns what ends it, or refuses it.
func (q *quotas) take(class quota, peer holo.NodeID) (release func(), err error) {
	k := quotaKey{class, peer}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.used[k] >= inProgress[class] {
		return nil, holo.Refuse(holo.Unavailable, reasonBusy, "peer %s has %d requests in progress, at most %d", peer, q.mu.used[k], inProgress[class])
	}
	q.mu.used[k]++
	return func() { q.release(k) }, nil
}

func (q *quotas) release(k quotaKey) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.used[k]--; q.mu.used[k] == 0 {
		delete(q.mu.used, k)
	}
}

// flowBytes bounds the page bytes on their way to or from one node: enough to
// fill 10 Gbit/s at a round trip of 10 ms, and little beside a node's memory.
const flowBytes = 16 << 20

// flows bounds what this node has in flight to each peer. Who wants more waits.
type flows struct {
	freed signal
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
		freed := f.freed.wait()
		if f.tryTake(peer, size) {
			return func() { f.release(peer, size) }, nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, holo.Refuse(holo.Unavailable, reasonBusy, "node %s: too much is on its way there: %w", peer, ctx.Err())
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
	f.freed.fire()
}
