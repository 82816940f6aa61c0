package wait

import (
	"context"
	"errors"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// owner takes the turns until its group ends.
func owner(g *Group, t *Turns) {
	g.Run(func(ctx context.Context) {
		for {
			select {
			case <-ctx.Done():
				return
			case f := <-t.Inputs():
				t.Take(f)
			}
		}
	})
}

func TestTurnsRunOneAfterTheOtherAndAreToldTheTime(t *testing.T) {
	t.Parallel()
	g, ctx := NewGroup(), context.Background()
	turns := NewTurns("node a", func() holo.Time { return 7 }, g.Done())
	owner(g, turns)
	var all []int // not guarded: the race detector would see two at a time
	err := Parallel(ctx, 1000, 20, func(ctx context.Context, i int) error {
		return turns.Do(ctx, func(now holo.Time) {
			if now == 7 {
				all = append(all, i)
			}
		})
	})
	if err != nil || len(all) != 1000 {
		t.Errorf("%d of 1000 ran: %v", len(all), err)
	}
	g.Close()
	err = turns.Do(ctx, func(holo.Time) {})
	if holo.KindOf(err) != holo.Unavailable || holo.ReasonOf(err) != ReasonClosing {
		t.Errorf("an owner that has ended answers %v", err)
	}
}

func TestTurnThatNobodyTakesIsGivenUp(t *testing.T) {
	t.Parallel()
	g := NewGroup()
	defer g.Close()
	turns := NewTurns("node a", func() holo.Time { return 1 }, g.Done())
	for range inputQueue {
		turns.Post(context.Background(), func(holo.Time) {})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := turns.Do(ctx, func(holo.Time) { t.Error("it ran") }); holo.KindOf(err) != holo.Cancelled {
		t.Errorf("a full queue answers %v", err)
	}
}

func TestWhatIsWatchedEndsWithItsReason(t *testing.T) {
	t.Parallel()
	g := NewGroup()
	defer g.Close()
	var changed Signal
	over, holds := errors.New("over"), make(chan bool, 2)
	holds <- true
	ctx, stop := g.While(context.Background(), &changed, over, func() bool {
		select {
		case h := <-holds:
			return h
		default:
			return true
		}
	})
	defer stop()
	holds <- false
	changed.Fire()
	for ctx.Err() == nil {
		changed.Fire()
	}
	if !errors.Is(context.Cause(ctx), over) {
		t.Errorf("it ended because of %v", context.Cause(ctx))
	}
}
