package node

import (
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
	quotaWait
	quotas_
)

// inProgress is the most requests of each class that one peer may have in
// progress. A data request is up to 4 MiB, so a peer holds at most 128 MiB of
// a node's buffers; Raft keeps a few streams per peer; a joiner asks once. Who waits for the lanes of
// buffers waits two seconds at most, and each takes 35 KiB at most.
var inProgress = [quotas_]int{
	quotaProtocol: 8,
	quotaRaft:     16,
	quotaControl:  32,
	quotaData:     32,
	quotaJob:      256,
	quotaJoin:     1,
	quotaWait:     256,
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
