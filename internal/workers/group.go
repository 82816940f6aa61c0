package workers

import (
	"os"
	"runtime"
	"sync"

	"github.com/holocompute/holocompute/internal/confine"
)

// group owns the goroutines of a pool. The
// goroutine that starts processes comes first and ends last.
type group struct {
	watchers sync.WaitGroup
	starter  sync.WaitGroup
	quit     chan struct{}
}

func newGroup() *group { return &group{quit: make(chan struct{})} }

// start is a request to start a process; the answer comes on done.
type start struct {
	argv  string
	way   confine.Way
	files []*os.File
	done  chan started
}

type started struct {
	process *os.Process
	missing []confine.Gap
	err     error
}

// startOn starts processes from a thread of its own, which has given up what
// they shall not have. The thread is never used for anything else: the
// goroutine ends locked to it, and it ends too. Children that are left then,
// or when this process dies, are killed by the system (Pdeathsig).
func (g *group) startOn(requests <-chan start) {
	g.starter.Go(func() {
		runtime.LockOSThread()
		var missing []confine.Gap
		restricted := false
		for {
			select {
			case r := <-requests:
				if !restricted { // only now: most pools of tests never start anything
					confine.Seal()
					missing, restricted = confine.Restrict(), true
				}
				p, err := spawn(r.argv, r.way, r.files)
				r.done <- started{p, missing, err}
			case <-g.quit:
				return
			}
		}
	})
}

// watch waits for a process's last words and its end.
func (g *group) watch(w *process) { g.watchers.Go(w.watch) }

// close ends the group. All processes have been killed.
func (g *group) close() {
	g.watchers.Wait()
	close(g.quit)
	g.starter.Wait()
}
