package wait

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

func TestParallelStopsAtTheFirstError(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	bad := errors.New("bad")
	err := Parallel(context.Background(), 100, 2, func(ctx context.Context, i int) error {
		calls.Add(1)
		if i == 3 {
			return bad
		}
		if i > 3 {
			<-ctx.Done()
		}
		return nil
	})
	if !errors.Is(err, bad) || calls.Load() > 7 {
		t.Errorf("error %v after %d calls", err, calls.Load())
	}
	if err := Parallel(context.Background(), 3, 8, func(context.Context, int) error { return nil }); err != nil {
		t.Error(err)
	}
}

func TestRetryRepeatsWhatIsSafeAndKeepsTheDoubt(t *testing.T) {
	t.Parallel()
	var s Signal
	calls := 0
	err := Retry(context.Background(), time.Minute, &s, func(context.Context) error {
		if calls++; calls < 3 {
			return holo.Refuse(holo.Unavailable, "no_home", "not yet")
		}
		return nil
	})
	if err != nil || calls != 3 {
		t.Errorf("error %v after %d calls, want none after 3", err, calls)
	}
	calls = 0
	err = Retry(context.Background(), time.Minute, &s, func(context.Context) error {
		calls++
		return holo.Errorf(holo.Conflict, "no")
	})
	if holo.KindOf(err) != holo.Conflict || calls != 1 {
		t.Errorf("error %v after %d calls, want a conflict after 1", err, calls)
	}
	ctx, cancel := context.WithCancel(context.Background())
	calls = 0
	err = Retry(ctx, time.Minute, &s, func(context.Context) error {
		if calls++; calls == 1 {
			return holo.Errorf(holo.Indeterminate, "perhaps")
		}
		cancel()
		return holo.Errorf(holo.Unavailable, "not now")
	})
	if holo.KindOf(err) != holo.Indeterminate {
		t.Errorf("a write that may be applied ends as %v", err)
	}
}

// Whichever attempt may have been applied, no refusal before or after it makes the
// outcome certain.
func TestDoubtOutlivesEveryRefusal(t *testing.T) {
	t.Parallel()
	perhaps := holo.Refuse(holo.Indeterminate, "unreachable", "answer of a node: %w", context.DeadlineExceeded)
	for _, k := range []struct {
		what  string
		tries []error
		want  holo.Kind
	}{
		{"refused, then perhaps", []error{holo.Refuse(holo.Unavailable, "no_home", "not yet"), perhaps}, holo.Indeterminate},
		{"perhaps, then refused", []error{perhaps, holo.Refuse(holo.Unavailable, "no_home", "not yet")}, holo.Indeterminate},
		{"perhaps, then refused for good", []error{perhaps, holo.Errorf(holo.Exhausted, "full")}, holo.Indeterminate},
		{"refused, then given up", []error{holo.Refuse(holo.Unavailable, "no_home", "not yet"), context.DeadlineExceeded}, holo.Unavailable},
		{"refused for good", []error{holo.Errorf(holo.Exhausted, "full")}, holo.Exhausted},
	} {
		ctx, cancel := context.WithCancel(context.Background())
		var s Signal
		i := 0
		err := Retry(ctx, time.Minute, &s, func(context.Context) error {
			if i++; i == len(k.tries) && Again(k.tries[i-1]) {
				cancel()
			}
			return k.tries[min(i, len(k.tries))-1]
		})
		cancel()
		if err == nil || holo.KindOf(err) != k.want {
			t.Errorf("%s: %v, want kind %v", k.what, err, k.want)
		}
	}
}
