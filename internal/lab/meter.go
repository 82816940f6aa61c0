package lab

import (
	"sync"
	"time"
)

// Meter measures the longest time without an answer about one of some things. It
// is safe for concurrent use; Reset comes first.
type Meter struct {
	mu    sync.Mutex
	last  []time.Time
	worst time.Duration
}

// Reset begins to measure so many things.
func (m *Meter) Reset(things int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.worst, m.last = 0, make([]time.Time, things)
	for i := range m.last {
		m.last[i] = time.Now()
	}
}

// Tick notes an answer about one of them.
func (m *Meter) Tick(i int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.worst = max(m.worst, time.Since(m.last[i]))
	m.last[i] = time.Now()
}

// Take gives the longest time since the last call, of those that still wait too.
func (m *Meter) Take() (worst time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	worst, m.worst = m.worst, 0
	for i := range m.last {
		worst = max(worst, time.Since(m.last[i]))
	}
	return worst
}
