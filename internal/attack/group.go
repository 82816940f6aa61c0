package attack

import (
	"context"
	"sync"
)

// group owns the liar's goroutines. Nothing else in this package starts any.
type group struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func newGroup() *group {
	ctx, cancel := context.WithCancel(context.Background())
	return &group{ctx: ctx, cancel: cancel}
}

// run starts f, which must return soon after its context is done.
func (g *group) run(f func(context.Context)) { g.wg.Go(func() { f(g.ctx) }) }

// close ends the group and waits for it.
func (g *group) close() {
	g.cancel()
	g.wg.Wait()
}
