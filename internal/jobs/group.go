package jobs

import (
	"context"
	"sync"
)

// group owns goroutines: Close cancels their context and waits for them.
type group struct {
	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup
}

func newGroup(ctx context.Context) *group {
	g := &group{}
	g.ctx, g.cancel = context.WithCancel(ctx)
	return g
}

// Go runs f until it returns. It may be called by the group's own goroutines,
// and by others only before Close.
func (g *group) Go(f func(context.Context)) { g.wait.Go(func() { f(g.ctx) }) }

// Close ends the group.
func (g *group) Close() {
	g.cancel()
	g.wait.Wait()
}
