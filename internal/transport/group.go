package transport

import (
	"context"
	"sync"
)

// group owns the goroutines of one Transport or pool. Whoever made it calls
// cancel and then wait, after which none is left.
type group struct {
	ctx    context.Context
	cancel context.CancelFunc
	mu     sync.Mutex // guards closed, and that nothing is added while wait waits
	closed bool
	tasks  sync.WaitGroup
}

func newGroup() *group {
	ctx, cancel := context.WithCancel(context.Background())
	return &group{ctx: ctx, cancel: cancel}
}

// run starts f, unless the group is waiting already; it reports whether it
// did. f MUST end soon after the context does.
func (g *group) run(f func(ctx context.Context)) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.tasks.Add(1)
	go func() {
		defer g.tasks.Done()
		f(g.ctx)
	}()
	return true
}

// wait returns when all that was started has ended. Nothing starts afterwards.
func (g *group) wait() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.tasks.Wait()
}
