package door

import "sync"

// group owns the door's goroutines: start runs one, wait returns when all have
// ended. What ends them is their own business (the server's Close, a context).
type group struct{ wg sync.WaitGroup }

func (g *group) start(f func()) { g.wg.Go(f) }

func (g *group) wait() { g.wg.Wait() }
