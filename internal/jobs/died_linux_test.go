package jobs

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/workers"
)

// busyTicks is the processor time, in hundredths of a second, after which a
// worker is at work and not still starting.
const busyTicks = 150

// killWorkers ends the workers of this process that are at work, as the system
// would that runs out of memory.
func killWorkers(t *testing.T) {
	t.Helper()
	for _, c := range children(t) {
		if user, _ := c.ticks(); !c.ended() && user >= busyTicks {
			c.kill()
		}
	}
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
