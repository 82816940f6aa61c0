package node

import (
	"maps"
	"sync"

	"github.com/holocompute/holocompute/internal/core/tally"
	"github.com/holocompute/holocompute/internal/holo"
)

// ledger counts what happens too often for a record each, and says when its number
// is due for one. Its kinds are made of constants of the program and of members, so
// it is bounded as they are. It is safe for concurrent use.
type ledger[K comparable] struct {
	mu struct {
		sync.Mutex
		count map[K]uint64
		owed  *tally.Tally[K]
	}
}

func newLedger[K comparable]() *ledger[K] {
	l := &ledger[K]{}
	l.mu.count, l.mu.owed = map[K]uint64{}, tally.New[K](recordEvery)
	return l
}

func (l *ledger[K]) add(kind K, count uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.count[kind] += count
	l.mu.owed.Owe(kind, count)
}

// owe notes what could not be recorded: it was counted.
func (l *ledger[K]) owe(kind K, count uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.owed.Owe(kind, count)
}

// due takes what is to be recorded now.
func (l *ledger[K]) due(now holo.Time) map[K]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.owed.Due(now)
}

// rest takes all that is still to be recorded.
func (l *ledger[K]) rest() map[K]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.owed.Rest()
}

func (l *ledger[K]) all() map[K]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.mu.count)
}
