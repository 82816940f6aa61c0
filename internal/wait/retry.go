package wait

import (
	"context"
	"errors"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

// The waits between two attempts.
const (
	FirstPause   = 10 * time.Millisecond
	LongestPause = 250 * time.Millisecond
)

// Again reports whether an error leaves the operation safe to repeat: it was
// not applied, or carries an ID that takes effect once.
func Again(err error) bool {
	switch holo.KindOf(err) {
	case holo.Unavailable, holo.Stale, holo.Indeterminate:
		return true
	}
	return false
}

// Retry calls f until it succeeds, fails for good, or the limit is over; then
// it returns the last error. Between calls it waits a while that doubles, or
// until changed fires.
func Retry(ctx context.Context, limit time.Duration, changed *Signal, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	pause := FirstPause
	var last error
	for {
		wake := changed.Wait()
		err := f(ctx)
		if err == nil {
			return nil
		}
		if last = LastError(last, err); !Again(err) && ctx.Err() == nil {
			return last
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return last
		case <-wake:
			// What changed may not be what this waits for: never spin.
			if !Sleep(ctx, timer, FirstPause) {
				return last
			}
		case <-timer.C:
			pause = min(2*pause, LongestPause)
		}
	}
}

// LastError keeps the error that tells most: once an attempt may have been
// applied, no other attempt's refusal makes it certain that it was not. Else an
// attempt that was given up says less than the one before.
func LastError(before, now error) error {
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
