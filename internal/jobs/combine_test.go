package jobs

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/internal/workers"
)

// A reduce ends neither because no process can be started for a while, nor waits
// for that without end; what was done before is not done again.
func TestCombiningOutlastsAWhileWithoutAWorker(t *testing.T) {
	for _, c := range []struct {
		kind holo.Kind
		away time.Duration // for which there is no worker
		want int           // tasks that are done
	}{{holo.Unavailable, 30 * time.Second, 3}, {holo.Unavailable, time.Hour, 1}, {holo.Exhausted, time.Hour, 1}, {holo.KernelTrapped, time.Second, 1}} {
		synctest.Test(t, func(t *testing.T) {
			tasks := []*workers.Task{{Said: &wire.Said{}}, {Said: &wire.Said{}}, {Said: &wire.Said{}}}
			began, ran := time.Now(), []*workers.Task{}
			done, _, err := combineTogether(t.Context(), tasks, func(_ context.Context, list []*workers.Task) (done []sandbox.Result, failed sandbox.Result, err error) {
				n := len(list)
				if time.Since(began) < c.away {
					n, err = 1-len(ran), holo.Errorf(c.kind, "start a worker")
				}
				ran = append(ran, list[:n]...)
				return make([]sandbox.Result, n), failed, err
			})
			if len(done) != c.want || (err == nil) != (c.want == 3) || !slices.Equal(ran, tasks[:c.want]) {
				t.Errorf("%s for %s: %d of %d tasks are done: %v", c.kind, c.away, len(done), len(ran), err)
			}
			if waited := time.Since(began); waited > combinePatience {
				t.Errorf("%s for %s: it waited %s", c.kind, c.away, waited)
			}
		})
	}
}
