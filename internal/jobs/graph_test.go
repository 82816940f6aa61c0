package jobs

import (
	"bytes"
	"encoding/binary"
	"strings"
	"sync"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/kernels/std"
)

// sums is a graph over n numbers: x1 = x0 + one, x2 = x1 + one ... to the depth,
// and then the statistics of the last.
func (l *lan) sums(n, depth int) (spec Spec, last holo.ArrayID) {
	ones := make([]int64, n)
	for i := range ones {
		ones[i] = 1
	}
	one := l.longs("x", 1, ones)
	last = l.longs("x", 1, ramp(0, n))
	var stages []Spec
	for range depth {
		next := l.longs("x", 1, make([]int64, n))
		stages = append(stages, l.addJob(last, one, next))
		last = next
	}
	stages = append(stages, Spec{
		Module: l.module("basic"), Kernel: "basic", Kind: wire.TaskReduce, Function: "stats", Inputs: []holo.ArrayID{last}, AccBytes: statsBytes,
	})
	spec = stages[0]
	spec.Then = stages[1:]
	return spec, last
}

// order checks, at each commit, that what the task reads was committed before.
func (l *lan) order(depth, extents int) func(int, *TaskCommit) {
	return func(_ int, c *TaskCommit) {
		l.mu.Lock()
		defer l.mu.Unlock()
		stage, extent := int(c.Task)/extents, int(c.Task)%extents
		if stage == 0 || stage >= depth {
			return
		}
		if _, done := l.applied[taskKey{c.Job, holo.TaskID((stage-1)*extents + extent)}]; !done {
			l.Errorf("task %d of stage %d committed before what it reads", extent, stage)
		}
	}
}

// A graph of 25 stages over 9 extents, on three nodes that refuse and lose
// answers: every task after what it reads, each takes effect once, and the
// result is that of plain Go.
func TestGraphRunsEachTaskOnceAndAfterWhatItReads(t *testing.T) {
	const n, depth, extents = 8*16384 + 7, 24, 9
	l := newLAN(t, 3, troubled)
	l.chaos = 15
	spec, last := l.sums(n, depth)
	l.onCommit = l.order(depth, extents)
	j := l.do(spec)
	if got := l.content(last); !bytes.Equal(got, bytesOf(ramp(depth, n))) {
		t.Error("the last array is not that of plain Go")
	}
	var want int64
	for _, v := range ramp(depth, n) {
		want += v
	}
	if got := int64(binary.LittleEndian.Uint64(j.Result[16:])); got != want {
		t.Errorf("the sum is %d, want %d", got, want)
	}
	if p := j.Progress; p.Tasks != (depth+1)*extents || p.Committed != p.Tasks || p.Retried == 0 {
		t.Errorf("progress %+v: want %d tasks, and trouble", p, (depth+1)*extents)
	}
}

// The result of a reduce is a parameter of a later stage. Four elements are at
// least n-6, and the counters {4, 0} are as parameters: at most 0. Of those
// there are three, on any number of nodes.
func TestStageIsGivenAResult(t *testing.T) {
	const n = 5*16384 + 3
	for nodes := 1; nodes <= 2; nodes++ {
		l := newLAN(t, nodes, Options{})
		x := l.longs("x", 1, ramp(-2, n))
		spec, then := l.countJob(x, n-6), l.countJob(x, 0)
		then.Params, then.Results = nil, []int{0}
		spec.Then = []Spec{then}
		j := l.do(spec)
		if want := bytesOf([]int64{4, 0, 3, 0}); !bytes.Equal(j.Result, want) {
			t.Fatalf("the results are %v, want %v", j.Result, want)
		}
		receipts := l.receipts(j.ID)
		if len(receipts) != 22 {
			t.Errorf("%d receipts, want those of 12 tasks and 10 steps", len(receipts))
		}
		for _, r := range receipts {
			if r.Task != nil && r.Task.Task >= 6 && (len(r.Task.Params) != 16 || r.Task.Params[0] != 4) {
				t.Errorf("task %d had the parameters %v, want the result of the first stage", r.Task.Task, r.Task.Params)
			}
		}
	}
}

// countJob counts the elements that are at least some value.
func (l *lan) countJob(x holo.ArrayID, least int64) Spec {
	m, _ := std.Named(std.Count)
	return Spec{
		Module: l.add(m.Wasm), Kernel: std.Count, Kind: wire.TaskReduce, Function: "count", Inputs: []holo.ArrayID{x}, AccBytes: 16,
		Params: append([]byte{6, 0, 0, 0, 0, 0, 0, 0}, bytesOf(least)...),
	}
}

// The coordinator dies in the middle: another takes the graph up from its
// beginning, and what had committed takes effect once.
func TestGraphGoesOnExactlyOnceWhenItsCoordinatorDies(t *testing.T) {
	const n, depth = 8 * 16384, 12
	l := newLAN(t, 3, Options{})
	spec, last := l.sums(n, depth)
	half, once := make(chan struct{}), sync.Once{}
	l.onCommit = func(int, *TaskCommit) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.applied) > depth*4 {
			once.Do(func() { close(half) })
		}
	}
	id, err := l.peers[0].runner.Submit(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	<-half
	l.kill(0)
	l.peers[0].runner.Close()
	if err := l.peers[1].runner.Resume(t.Context(), id, spec, epochTwo); err != nil {
		t.Fatal(err)
	}
	if j := l.finish(l.peers[1], id); j.State != Done {
		t.Fatal(j.Err)
	}
	if !bytes.Equal(l.content(last), bytesOf(ramp(depth, n))) {
		t.Error("an element was not counted up once by each stage")
	}
}

// A trap ends the graph at once. Its error names the task and the extent, and
// how many were not run because of it.
func TestTrapInAGraphIsTheCauseOfWhatDidNotRun(t *testing.T) {
	const n, depth = 4 * 16384, 5
	l := newLAN(t, 2, Options{})
	spec, _ := l.sums(n, depth)
	spec.Then[0].Function, spec.Then[0].Inputs = "scale", spec.Then[0].Inputs[:1] // without its parameter
	id, err := l.peers[0].runner.Submit(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	j := l.finish(l.peers[0], id)
	if j.State != Failed || holo.KindOf(j.Err) != holo.KernelTrapped {
		t.Fatalf("the graph is %s: %v", j.State, j.Err)
	}
	for _, part := range []string{"map basic/scale of extent", "tasks that wait for it"} {
		if !strings.Contains(j.Err.Error(), part) {
			t.Errorf("%q is not in: %v", part, j.Err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for key := range l.applied {
		if int(key.task) >= 2*4 {
			t.Errorf("task %d depends on what trapped, and was committed", key.task)
		}
	}
}

func TestGraphsThatCouldNotRunAgainAreRefused(t *testing.T) {
	l := newLAN(t, 1, Options{})
	arrays := make([]holo.ArrayID, 4)
	for i := range arrays {
		arrays[i] = l.longs("x", 1, ramp(0, 16384))
	}
	add := func(a, b, out int) Spec { return l.addJob(arrays[a], arrays[b], arrays[out]) }
	reduce := l.countJob(arrays[0], 0)
	given := add(0, 1, 2)
	given.Results = []int{0}
	long := make([]Spec, wire.MaxStages+1)
	for i := range long {
		long[i] = l.countJob(arrays[0], 0)
	}
	for want, stages := range map[string][]Spec{
		"which stage 0 writes":           {add(0, 1, 2), add(0, 1, 2)},
		"which stage 0 reads before it":  {add(0, 1, 2), add(2, 1, 0)},
		"which is no reduce before it":   {add(0, 1, 3), given},
		"no reduce before":               {given, reduce},
		"stage 1: job map basic/nothing": {add(0, 1, 2), {Module: l.module("basic"), Kernel: "basic", Kind: wire.TaskMap, Function: "nothing", Inputs: arrays[2:3], Output: arrays[3]}},
		"at most 256":                    long,
	} {
		spec := stages[0]
		spec.Then = stages[1:]
		_, err := l.peers[0].runner.Submit(t.Context(), spec)
		if holo.KindOf(err) != holo.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}
