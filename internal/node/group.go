package node

import (
	"context"
	"sync"
)

// group owns the node's goroutines: each runs until the group's context is
// done, and close waits for all of them. Nothing else in this package starts
// any.
type group struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.RWMutex // held for reading while one starts
	closed bool
}

func newGroup() *group {
	ctx, cancel := context.WithCancel(context.Background())
	return &group{ctx: ctx, cancel: cancel}
}

// run starts f, which must return soon after its context is done. It reports
// false when the group is closed and f will not run.
func (g *group) run(f func(context.Context)) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return false
	}
	g.wg.Go(func() { f(g.ctx) })
	return true
}

// close ends the group and waits for it.
func (g *group) close() {
	g.cancel()
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.wg.Wait()
}

// while gives a context that ends as soon as holds does not, which is looked at
// whenever changed fires; its cause is then why. stop ends the watching.
func (g *group) while(ctx context.Context, changed *signal, why error, holds func() bool) (watched context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	g.run(func(closing context.Context) {
		for {
			wake := changed.wait()
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

// parallel calls f for 0 to n-1, at most limit at a time, and returns when all
// have ended: with the first error, after which no further call begins and the
// others' contexts are done.
func parallel(ctx context.Context, n, limit int, f func(context.Context, int) error) error {
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
