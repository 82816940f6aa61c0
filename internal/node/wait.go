package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

// signal tells any number of waiters that something changed. A waiter takes
// the channel first, looks at the state second and waits third, so that no
// change is missed.
type signal struct {
	mu struct {
		sync.Mutex
		ch chan struct{}
	}
}

// wait is closed at the next fire.
func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.ch == nil {
		s.mu.ch = make(chan struct{})
	}
	return s.mu.ch
}

// fire wakes all who wait.
func (s *signal) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.ch != nil {
		close(s.mu.ch)
		s.mu.ch = nil
	}
}

// The deadlines of what the node does for its callers.
const (
	// opDeadline bounds one operation on arrays over all its retries. A
	// failover takes up to 12 s when the Raft leader died (ruling 6).
	opDeadline = 15 * time.Second
	// controlDeadline bounds one catalogue command or query over its retries.
	controlDeadline = 15 * time.Second
	// attemptDeadline bounds one request to one node. It is longer than a lease,
	// so that a request outlives the failover that it waits for.
	attemptDeadline = 4 * time.Second
	firstPause      = 10 * time.Millisecond
	longestPause    = 250 * time.Millisecond
)

// again reports whether an error leaves the operation safe to repeat: it was
// not applied, or carries an ID that takes effect once.
func again(err error) bool {
	switch holo.KindOf(err) {
	case holo.Unavailable, holo.Stale, holo.Indeterminate:
		return true
	}
	return false
}

// retry calls f until it succeeds, fails for good, or the deadline ends; then
// it returns the last error. Between calls it waits a while that doubles, or
// until changed fires.
func retry(ctx context.Context, limit time.Duration, changed *signal, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	pause := firstPause
	var last error
	for {
		wake := changed.wait()
		err := f(ctx)
		if err == nil {
			return nil
		}
		if last = lastError(last, err); !again(err) && ctx.Err() == nil {
			return last
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return last
		case <-wake:
			// What changed may not be what this waits for: never spin.
			if !sleep(ctx, timer, firstPause) {
				return last
			}
		case <-timer.C:
			pause = min(2*pause, longestPause)
		}
	}
}

// sleep resets a timer and waits for it; false means that ctx ended first.
func sleep(ctx context.Context, timer *time.Timer, d time.Duration) bool {
	timer.Reset(d)
	select {
	case <-ctx.Done():
		timer.Stop()
		return false
	case <-timer.C:
		return true
	}
}

// lastError keeps the error that tells most: once an attempt may have been
// applied, no other attempt's refusal makes it certain that it was not. Else an
// attempt that was given up says less than the one before.
func lastError(before, now error) error {
	switch {
	case before == nil || holo.KindOf(now) == holo.Indeterminate:
		return now
	case holo.KindOf(before) == holo.Indeterminate:
		return before
	case errors.Is(now, context.DeadlineExceeded) || errors.Is(now, context.Canceled):
		return before
	}
	return now
}
