// Package wait waits: for a change, for an operation that may be tried again,
// for goroutines, and for the one goroutine that owns what others may not
// touch. Everything that waits here ends with its context.
package wait

import (
	"context"
	"sync"
	"time"
)

// Signal tells any number of waiters that something changed. A waiter takes
// the channel first, looks at the state second and waits third, so that no
// change is missed. The zero value is ready.
type Signal struct {
	mu struct {
		sync.Mutex
		ch chan struct{}
	}
}

// Wait is closed at the next Fire.
func (s *Signal) Wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.ch == nil {
		s.mu.ch = make(chan struct{})
	}
	return s.mu.ch
}

// Fire wakes all who wait.
func (s *Signal) Fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.ch != nil {
		close(s.mu.ch)
		s.mu.ch = nil
	}
}

// Sleep resets a timer and waits for it; false means that ctx ended first.
func Sleep(ctx context.Context, timer *time.Timer, d time.Duration) bool {
	timer.Reset(d)
	select {
	case <-ctx.Done():
		timer.Stop()
		return false
	case <-timer.C:
		return true
	}
}
