package wait

import (
	"context"
	"sync"
)

// Group owns goroutines: each runs until the group's context is done, and Close
// waits for all of them. It is safe for concurrent use.
type Group struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.RWMutex // held for reading while one starts
	closed bool
}

// NewGroup makes a group that runs until Cancel or Close.
func NewGroup() *Group {
	ctx, cancel := context.WithCancel(context.Background())
	return &Group{ctx: ctx, cancel: cancel}
}

// Context is done when the group ends.
func (g *Group) Context() context.Context { return g.ctx }

// Done is closed when the group ends.
func (g *Group) Done() <-chan struct{} { return g.ctx.Done() }

// Run starts f, which must return soon after its context is done. It reports
// false when the group is closed and f will not run.
func (g *Group) Run(f func(context.Context)) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return false
	}
	g.wg.Go(func() { f(g.ctx) })
	return true
}

// Cancel ends the group's context without waiting.
func (g *Group) Cancel() { g.cancel() }

// Close ends the group and waits for it.
func (g *Group) Close() {
	g.cancel()
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.wg.Wait()
}

// While gives a context that ends as soon as holds does not, which is looked at
// whenever changed fires; its cause is then why. stop ends the watching.
func (g *Group) While(ctx context.Context, changed *Signal, why error, holds func() bool) (watched context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	g.Run(func(closing context.Context) {
		for {
			wake := changed.Wait()
			if !holds() {
				cancel(why)
				return
			}
			select {
			case <-wake:
			case <-ctx.Done():
				return
			case <-closing.Done():
				return
			}
		}
	})
	return ctx, func() { cancel(nil) }
}

// Parallel calls f for 0 to n-1, at most limit at a time, and returns when all
// have ended: with the first error, after which no further call begins and the
// others' contexts are done.
func Parallel(ctx context.Context, n, limit int, f func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	slots := make(chan struct{}, max(limit, 1))
	for i := range n {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := f(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
