package workers

import (
	"encoding/binary"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/sandbox"
)

// several is what a worker that was taken over answers to several tasks.
func several(what string, tasks int) (body []byte) {
	good, bad := answer{gas: 1, pages: 1}, answer{gas: 1, err: holo.Refuse(holo.KernelTrapped, sandbox.Trap, "x")}
	switch what {
	case "more":
		tasks++
	case "fewer":
		tasks--
	case "none":
		tasks = 0
	case "early":
		body = appendLong(body, bad.encode())
	}
	for i := range tasks {
		a := good
		if what == "gas" && i == tasks-1 {
			a.gas = 1 << 62
		}
		body = appendLong(body, a.encode())
	}
	return body
}

// A worker that lies about some of the tasks that it was given together is killed, and all
// of them are as they were.
func TestWorkerThatLiesAboutSeveralTasksIsKilledAndCounted(t *testing.T) {
	counted := 0
	p := New(Options{Max: 1, Count: func(reason string) {
		if reason == WorkerFault {
			counted++
		}
	}})
	p.argv = hostileName
	t.Cleanup(p.Close)
	lies := []string{"more", "fewer", "none", "early", "gas"}
	for _, what := range lies {
		var tasks []*Task
		for i := range 3 {
			k := step(t, i, 1000)
			k.Function, k.Gas = what, 1000
			tasks = append(tasks, k)
		}
		done, _, err := p.Together(t.Context(), tasks)
		if len(done) != 0 || holo.KindOf(err) != holo.Corrupt || holo.ReasonOf(err) != WorkerFault || len(p.mu.idle) != 0 {
			t.Errorf("%s: %d done, %v, %d workers left", what, len(done), err, len(p.mu.idle))
		}
		for i, k := range tasks {
			if binary.LittleEndian.Uint64(k.Acc) != uint64(i) {
				t.Errorf("%s: task %d has changed", what, i)
			}
		}
	}
	if counted != len(lies) {
		t.Errorf("%d lies counted of %d", counted, len(lies))
	}
}
