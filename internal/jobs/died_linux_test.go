package jobs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/workers"
)

// killWorkers ends all workers of this process as the system would that runs
// out of memory, and says how many there were.
func killWorkers(t *testing.T) (killed int) {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		cmd, _ := os.ReadFile(name) // it may have ended
		stat, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "stat"))
		var pid, parent int
		var state string
		after := bytes.LastIndexByte(stat, ')') + 1
		fmt.Sscan(filepath.Base(filepath.Dir(name)), &pid)
		fmt.Sscan(string(stat[after:]), &state, &parent)
		if string(bytes.TrimRight(cmd, "\x00")) != "holo worker" || parent != os.Getpid() || state == "Z" {
			continue
		}
		if p, err := os.FindProcess(pid); err == nil && p.Kill() == nil {
			killed++
		}
	}
	return killed
}

// Each worker that is killed while it runs a task costs one try of that task
// and nothing else: the job goes on, and so do others.
func TestKilledWorkerCostsOneRetry(t *testing.T) {
	var died atomic.Uint32
	o := troubled
	o.Count = func(reason string) {
		if reason == workers.WorkerDied {
			died.Add(1)
		}
	}
	l := newLAN(t, 1, o)
	runner := l.peers[0].runner
	id, err := runner.Submit(t.Context(), l.endless())
	if err != nil {
		t.Fatal(err)
	}
	await(t, "a worker dies at work", func() bool {
		killWorkers(t)
		return died.Load() > 0
	})
	await(t, "its task is tried again", func() bool {
		j, err := runner.Job(id)
		return err == nil && j.Progress.Retried == died.Load() && j.Progress.Running > 0 && j.State == Running
	})
	if j, err := runner.Cancel(t.Context(), id); err != nil || j.State != Cancelled {
		t.Errorf("%+v, %v", j, err)
	}
	v := floats(4*8192 + 1001)
	want := lanesOf(v, 8192)
	j := l.do(l.statsJob(bytesOf(v), holo.F64, 8192))
	var got [8]float64
	if _, err := binary.Decode(j.Result[statsBytes-64:], binary.LittleEndian, &got); err != nil || got != want || j.Progress.Retried != 0 {
		t.Errorf("the next job: %v, want %v, %d tried again", got, want, j.Progress.Retried)
	}
}

// await looks until something holds, or the test's patience ends.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		}
	}
}
