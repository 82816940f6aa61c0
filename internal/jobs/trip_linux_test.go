package jobs

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/holocompute/holocompute/internal/workers"
)

// children are the processes that this one has started.
func children(t *testing.T) (pids []int) {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		stat, _ := os.ReadFile(name) // it may have ended
		if f := statFields(stat); len(f) > 21 && f[0] != "Z" && f[1] == strconv.Itoa(os.Getpid()) {
			pids = append(pids, number(filepath.Base(filepath.Dir(name))))
		}
	}
	return pids
}

// killAtWork kills a process as soon as it is seen to run, unless that is over first.
func killAtWork(pid int, over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		default:
		}
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if f := statFields(stat); err == nil && strings.HasPrefix(f[0], "R") {
			if p, err := os.FindProcess(pid); err == nil {
				_ = p.Kill() // it may have ended
			}
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
		pids := children(t)
		go func() {
			defer close(killed)
			for _, pid := range pids {
				killAtWork(pid, over)
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
