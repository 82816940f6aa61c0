package buffer

import (
	"sync"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

// Patience is how long a consumer may have records before others take them.
const Patience = 30 * time.Second

// maxWatched bounds the hand-outs that are watched; then all are watched anew,
// which only makes them last longer.
const maxWatched = 4096

type key struct {
	array holo.ArrayID
	lane  int
}

// patience watches hand-outs: one that has been seen for so long, under one
// number all the time, may be taken away. Each node counts for itself and from
// when it saw it first, so no clocks are compared; who was too slow is fenced by
// the number, whatever anybody's clock says.
type patience struct {
	mu struct {
		sync.Mutex
		seen map[key]sight
	}
}

type sight struct {
	number uint64
	since  time.Time
}

func newPatience() *patience {
	p := &patience{}
	p.mu.seen = map[key]sight{}
	return p
}

// over reports whether the hand-out has lasted too long.
func (p *patience) over(k key, number uint64, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.mu.seen[k]; ok && s.number == number {
		return now.Sub(s.since) >= Patience
	}
	if len(p.mu.seen) >= maxWatched {
		clear(p.mu.seen)
	}
	p.mu.seen[k] = sight{number, now}
	return false
}
