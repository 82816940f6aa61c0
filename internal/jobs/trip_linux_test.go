package jobs

import (
	"sync/atomic"
	"testing"

	"github.com/holocompute/holocompute/internal/workers"
)

// killAtWork kills a process as soon as it is seen to run, unless that is over first.
func killAtWork(pid int, over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		default:
		}
		if c, ok := look(pid); ok && c.runs() {
			c.kill()
			return
		}
	}
}

// A worker that is killed in the middle of a trip costs none of its tasks a try.
func TestWorkerKilledInATripCostsNoTaskATry(t *testing.T) {
	var died atomic.Uint32
	l := newLAN(t, 1, Options{})
	pool := workers.New(workers.Options{Max: 1, Count: func(string) { died.Add(1) }})
	t.Cleanup(pool.Close)
	list := l.trip(tripTasks)
	for _, w := range list {
		w.workers = pool
	}
	doAll(t.Context(), list)
	want := list[7].result.Receipt.Output
	await(t, "a worker dies at work", func() bool {
		over, killed := make(chan struct{}), make(chan struct{})
		there := children(t)
		go func() {
			defer close(killed)
			for _, c := range there {
				if !c.ended() {
					killAtWork(c.pid, over)
				}
			}
		}()
		for _, w := range list {
			w.inputs = nil
		}
		doAll(t.Context(), list)
		close(over)
		<-killed
		for i, w := range list {
			if w.err != nil {
				t.Fatalf("task %d: %v", i, w.err)
			}
		}
		return died.Load() > 0
	})
	if list[7].result.Receipt.Output != want {
		t.Error("another result")
	}
}
