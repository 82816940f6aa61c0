package jobs

import (
	"bytes"
	"context"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/internal/wire"
)

// Light maps of one page each go to a worker together. Each commits once, and each has a
// receipt of its own that is what the task alone gives.
func TestLightTasksGoTogetherAndCountOneByOne(t *testing.T) {
	const pages = 200
	l := newLAN(t, 1, Options{})
	x := l.array(Array{Shape: holo.Shape{Type: holo.I64, Extent: 8192}, Affinity: "x"}, bytesOf(ramp(0, pages*8192)))
	y := l.array(Array{Shape: holo.Shape{Type: holo.I64, Extent: 8192}, Affinity: "x"}, make([]byte, pages*holo.PageSize))
	j := l.do(l.addJob(x, x, y))
	want := ramp(0, pages*8192)
	for i := range want {
		want[i] *= 2
	}
	if !bytes.Equal(l.content(y), bytesOf(want)) || len(l.commits) != pages || j.Progress.Retried != 0 {
		t.Errorf("another array, after %d commits and %d retries", len(l.commits), j.Progress.Retried)
	}
	for key, n := range l.commits {
		if n != 1 {
			t.Errorf("task %d committed %d times", key.task, n)
		}
	}
	spans, _, err := l.peers[0].runner.Trace(t.Context(), j.ID)
	trips := map[[2]int64]int{}
	for _, s := range spans {
		trips[[2]int64{int64(s.Start), int64(s.End)}]++
	}
	if err != nil || len(spans) != pages || len(trips) > pages/2 {
		t.Errorf("%d attempts in %d trips, %v", len(spans), len(trips), err)
	}
	for _, n := range trips {
		if n > tripTasks {
			t.Errorf("%d in one trip", n)
		}
	}
	receipts := l.receipts(j.ID)
	if len(receipts) != pages {
		t.Fatalf("%d receipts", len(receipts))
	}
	runner := l.peers[0].runner
	m, release, err := runner.modules.get(t.Context(), l.module("basic"))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	for _, r := range receipts[:3] {
		again, _, err := Replay(t.Context(), runner.workers, m, r.Task, l.inputs(r.Task), nil)
		if err != nil || again.Gas != r.Said.Gas || again.Output != r.Said.Output {
			t.Errorf("task %d: %v, or another receipt", r.Task.Task, err)
		}
	}
}

// pageWork is an attempt over one page, on node 0.
func (l *lan) pageWork(in holo.ArrayID, task holo.TaskID) *work {
	t := &wire.RunTask{
		Job: 1, Epoch: 1, Task: task, Attempt: 1, Module: l.module("basic"), Kind: wire.TaskReduce, Function: "stats", AccBytes: statsBytes, Gas: DefaultGas,
		MemoryPages: memoryPages, Length: l.arrays[in].Shape.Length, Extent: 8192, First: uint64(task) * 8192, Count: 8192,
		Inputs: []wire.TaskArray{{Array: in, Type: holo.I64, Shard: l.peers[0].Shard(l.arrays[in], uint64(task))}},
	}
	return &work{cluster: l.peers[0], workers: l.peers[0].runner.workers, task: t, result: &wire.TaskResult{}}
}

// trip is so many of them.
func (l *lan) trip(n int) (list []*work) {
	l.Helper()
	in := l.array(Array{Shape: holo.Shape{Type: holo.I64, Extent: 8192}, Affinity: "x"}, bytesOf(ramp(0, n*8192)))
	m, release, err := l.peers[0].runner.modules.get(l.Context(), l.module("basic"))
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(release)
	for i := range holo.TaskID(n) {
		w := l.pageWork(in, i)
		w.module = m
		list = append(list, w)
	}
	return list
}

// What one task of a trip fails with is its own: those after it are done all the same.
func TestFailureInATripIsOfOneTask(t *testing.T) {
	l := newLAN(t, 1, Options{})
	list := l.trip(tripTasks)
	list[3].task.Gas = 5000
	doAll(t.Context(), list)
	for i, w := range list {
		if i == 3 && holo.ReasonOf(w.err) != sandbox.OutOfGas || i != 3 && (w.err != nil || len(w.result.Partial) != statsBytes) {
			t.Errorf("task %d: %v", i, w.err)
		}
	}
}

// A trip ends when all its attempts were recalled, and not before.
func TestTripEndsWithTheLastOfItsAttempts(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	list := recalls(3, end)
	list[0]()
	list[0]()
	list[2]()
	if ctx.Err() != nil {
		t.Error("one attempt is not recalled, and it ended")
	}
	if list[1](); ctx.Err() == nil {
		t.Error("all are recalled, and it goes on")
	}
}
