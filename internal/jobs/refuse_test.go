package jobs

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/kernels"
)

func TestJobsThatCannotBeAreRefused(t *testing.T) {
	l := newLAN(t, 1, Options{})
	in := l.longs("x", 1, ramp(0, 100))
	longer := l.longs("x", 1, ramp(0, 101))
	elsewhere := l.longs("y", 1, ramp(0, 100))
	other := l.array(Array{Shape: holo.Shape{Type: holo.I64, Extent: 8192}, Affinity: "x"}, bytesOf(ramp(0, 100)))
	sealed := l.array(Array{Shape: holo.Shape{Type: holo.I64, Extent: 16384}, Affinity: "x", Sealed: true}, bytesOf(ramp(0, 100)))
	for name, c := range map[string]struct {
		kind  holo.Kind
		text  string
		spoil func(*Spec)
	}{
		"no kind":            {holo.Invalid, "kind 0 is not known", func(s *Spec) { s.Kind = 0 }},
		"no function":        {holo.Invalid, "name has 0 characters", func(s *Spec) { s.Function = "" }},
		"unknown function":   {holo.Invalid, "does not export holo_map_nothing", func(s *Spec) { s.Function = "nothing" }},
		"unknown kernel":     {holo.NotFound, "is not known", func(s *Spec) { s.Module[0]++ }},
		"no input":           {holo.Invalid, "no input array", func(s *Spec) { s.Inputs = nil }},
		"unknown input":      {holo.NotFound, "does not exist", func(s *Spec) { s.Inputs[0] = 99 }},
		"unknown output":     {holo.NotFound, "does not exist", func(s *Spec) { s.Output = 99 }},
		"too many arrays":    {holo.Invalid, "17 arrays, at most 16", func(s *Spec) { s.Inputs = make([]holo.ArrayID, 16) }},
		"map without output": {holo.Invalid, "a map or a task has one", func(s *Spec) { s.Output = 0 }},
		"map with acc":       {holo.Invalid, "a map or a task none", func(s *Spec) { s.AccBytes = 8 }},
		"reduce without acc": {holo.Invalid, "a reduce wants 1", func(s *Spec) { s.Kind, s.Output = wire.TaskReduce, 0 }},
		"reduce with output": {holo.Invalid, "a reduce none", func(s *Spec) { s.Kind, s.AccBytes = wire.TaskReduce, 8 }},
		"acc too large":      {holo.Invalid, "1048577 bytes", func(s *Spec) { s.Kind, s.Output, s.AccBytes = wire.TaskReduce, 0, wire.MaxAcc+1 }},
		"params too large":   {holo.Invalid, "bytes of parameters", func(s *Spec) { s.Params = make([]byte, wire.MaxParams+1) }},
		"longer input":       {holo.Invalid, "has 101 elements", func(s *Spec) { s.Inputs[1] = longer }},
		"longer output":      {holo.Invalid, "has 101 elements", func(s *Spec) { s.Output = longer }},
		"other extent":       {holo.Invalid, "extents of 8192", func(s *Spec) { s.Inputs[1] = other }},
		"other affinity":     {holo.Invalid, "affinity", func(s *Spec) { s.Inputs[1] = elsewhere }},
		"sealed output":      {holo.Invalid, "is sealed", func(s *Spec) { s.Output = sealed }},
	} {
		s := l.addJob(in, in, in)
		c.spoil(&s)
		id, err := l.peers[0].runner.Submit(t.Context(), s)
		if holo.KindOf(err) != c.kind || err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: job %d, %s: %v", name, id, holo.KindOf(err), err)
		}
	}
	if len(l.peers[0].runner.Jobs()) != 0 || l.lastJob != 0 {
		t.Error("a refused job was recorded")
	}
	if j := l.do(l.addJob(in, in, in)); j.State != Done {
		t.Error("after refusals a good job does not run")
	}
}

// K-14. What no node could ever run is refused at once, nothing recorded: the
// refusal names what is missing and what would fit.
func TestJobsThatFitNowhereAreRefusedAtOnce(t *testing.T) {
	l := newLAN(t, 1, Options{})
	in := l.longs("x", 1, ramp(0, 100))
	greedy := kernels.Get("basic")
	at := bytes.Index(greedy, []byte{5, 3, 1, 0}) // the memory: one, no maximum
	if at < 0 {
		t.Fatal("the kernel's memory is not where it was")
	}
	greedy = slices.Concat(greedy[:at], []byte{5, 4, 1, 0, 0x81, 0x08}, greedy[at+5:]) // 1025 pages
	for name, c := range map[string]struct {
		ask   func(*Spec)
		words []string
	}{
		"gas":    {func(s *Spec) { s.Gas = MaxGas + 5 }, []string{"5 more than a task may have", "ask for 40000000000000 at most"}},
		"memory": {func(s *Spec) { s.Module = l.add(greedy) }, []string{"starts with 65600 KiB", "64 KiB more than a task may have", "build it for 65536 KiB at most"}},
	} {
		s := l.addJob(in, in, in)
		c.ask(&s)
		_, err := l.peers[0].runner.Submit(t.Context(), s)
		if holo.KindOf(err) != holo.Exhausted || holo.ReasonOf(err) != ReasonInfeasible {
			t.Fatalf("%s: %v", name, err)
		}
		for _, w := range c.words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q does not say %q", name, err, w)
			}
		}
	}
	if len(l.peers[0].runner.Jobs()) != 0 || l.lastJob != 0 {
		t.Error("a refused job was recorded")
	}
}

// A comb is needed as soon as there are two extents.
func TestReduceWithoutCombineIsRefusedUnlessOneExtent(t *testing.T) {
	l := newLAN(t, 1, Options{})
	uncombined := bytes.Replace(kernels.Get("loop"), []byte("holo_comb_attack"), []byte("holo_comb_missed"), 1)
	s := Spec{Module: l.add(uncombined), Kind: wire.TaskReduce, Function: "attack", AccBytes: 8, Gas: 1000}
	s.Inputs = []holo.ArrayID{l.longs("x", 1, ramp(0, 16385))}
	if _, err := l.peers[0].runner.Submit(t.Context(), s); holo.KindOf(err) != holo.Invalid {
		t.Errorf("two extents: %v", err)
	}
}

// An endless kernel stops out of gas, at the same count on two nodes; the
// error names kernel, function, task, extent and elements.
func TestTrapNamesKernelTaskAndExtent(t *testing.T) {
	l := newLAN(t, 2, Options{})
	// One task on each node, so that the trap has another node to go to.
	s := l.statsJob(bytesOf(ramp(0, 2*8192)), holo.I64, 8192)
	s.Gas = 5000
	id, err := l.peers[0].runner.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	j := l.finish(l.peers[0], id)
	if j.State != Failed || holo.KindOf(j.Err) != holo.KernelTrapped || holo.ReasonOf(j.Err) != "out_of_gas" {
		t.Fatalf("%s: %v", j.State, j.Err)
	}
	for _, want := range []string{"of job 1: reduce basic/stats of extent", "of array a1 (elements", "out of gas"} {
		if !strings.Contains(j.Err.Error(), want) {
			t.Errorf("%q does not say %q", j.Err, want)
		}
	}
	if j.Progress.Retried != 1 && j.Progress.Retried != 2 {
		t.Errorf("%d retries, want one for a task that trapped", j.Progress.Retried)
	}
	if got := l.ended[id]; got.State != Failed || got.Err == nil {
		t.Errorf("recorded as %+v", got)
	}
}

// endless is a job whose one task runs until it is stopped.
func (l *lan) endless() Spec {
	return Spec{
		Module: l.module("loop"), Kernel: "loop", Kind: wire.TaskReduce, Function: "attack", AccBytes: 8, Gas: MaxGas,
		Inputs: []holo.ArrayID{l.longs("x", 1, ramp(0, 10))},
	}
}

// startEndless starts an endless job and waits until its task runs on node 1.
func (l *lan) startEndless() holo.JobID {
	l.Helper()
	running := make(chan struct{}, 1)
	for s := range l.homes {
		l.homes[s] = 1
	}
	l.onRun = func(int, *wire.RunTask) { running <- struct{}{} }
	id, err := l.peers[0].runner.Submit(l.Context(), l.endless())
	if err != nil {
		l.Fatal(err)
	}
	<-running
	return id
}

func TestCancelEndsAnEndlessJobAndItsTasks(t *testing.T) {
	l := newLAN(t, 2, Options{})
	id := l.startEndless()
	j, err := l.peers[0].runner.Cancel(t.Context(), id)
	if err != nil || j.State != Cancelled || j.Progress.Running != 0 {
		t.Fatalf("%+v, %v", j, err)
	}
	again, err := l.peers[0].runner.Cancel(t.Context(), id)
	if err != nil || again.State != Cancelled {
		t.Errorf("cancelled twice: %+v, %v", again, err)
	}
	l.peers[1].runner.worker.close() // returns when the task has stopped
	late := l.peers[1].runner.RunTask(t.Context(), &wire.RunTask{Job: id, Epoch: 1, Inputs: make([]wire.TaskArray, 1), Extent: 1})
	if !late.Failed {
		t.Error("a task of a cancelled job was run")
	}
}

func TestCancelledJobsTasksAreRefusedWhenTheyComeLate(t *testing.T) {
	l := newLAN(t, 1, Options{})
	w := l.peers[0].runner.worker
	w.cancelTasks(&wire.CancelTasks{Job: 5, Epoch: 2})
	task := func(job holo.JobID, epoch holo.JobEpoch) *wire.RunTask {
		return &wire.RunTask{Job: job, Epoch: epoch, Extent: 1, Inputs: make([]wire.TaskArray, 1), Module: holo.ModuleID{1}}
	}
	for _, epoch := range []holo.JobEpoch{1, 2} {
		if r := w.run(t.Context(), task(5, epoch)); !r[0].Failed || r[0].Failure.Kind != holo.Cancelled {
			t.Errorf("epoch %d: %+v", epoch, r)
		}
	}
	if r := w.run(t.Context(), task(5, 3)); r[0].Failure.Kind != holo.NotFound { // it gets as far as its module
		t.Errorf("the next epoch: %+v", r)
	}
}

func TestCloseEndsRunningJobsAndTasks(t *testing.T) {
	l := newLAN(t, 2, Options{})
	id := l.startEndless()
	l.peers[0].runner.Close()
	if j, _ := l.peers[0].runner.Job(id); j.State != Cancelled {
		t.Errorf("the job is %s", j.State)
	}
	if _, err := l.peers[0].runner.Submit(t.Context(), l.endless()); err == nil {
		t.Error("a closed runner takes jobs")
	}
}

func TestRunningJobsAreBounded(t *testing.T) {
	l := newLAN(t, 2, Options{MaxRunning: 1})
	id := l.startEndless()
	_, err := l.peers[0].runner.Submit(t.Context(), l.endless())
	if holo.ReasonOf(err) != "too_many_jobs" {
		t.Errorf("a second job: %v", err)
	}
	if _, err := l.peers[0].runner.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

func TestFinishedJobsAreForgottenInOrder(t *testing.T) {
	l := newLAN(t, 1, Options{MaxFinished: 2})
	s := l.statsJob(bytesOf(ramp(0, 10)), holo.I64, 8192)
	for range 4 {
		l.do(s)
	}
	js := l.peers[0].runner.Jobs()
	if len(js) != 2 || js[0].ID != 3 || js[1].ID != 4 {
		t.Errorf("remembered: %+v", js)
	}
	if _, err := l.peers[0].runner.Job(1); holo.KindOf(err) != holo.NotFound {
		t.Errorf("job 1: %v", err)
	}
}

// A full queue refuses, and the refusal is one that coordinators retry.
func TestQueueIsBounded(t *testing.T) {
	l := newLAN(t, 1, Options{Queue: 1})
	w := l.peers[0].runner.worker
	var leave []func()
	for range 2 { // one slot, one place in the queue
		_, done, err := w.enter(t.Context(), &wire.RunTask{Job: 1})
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, func() { w.leave(done, 0) })
	}
	_, _, err := w.enter(t.Context(), &wire.RunTask{Job: 1})
	if holo.KindOf(err) != holo.Unavailable || holo.ReasonOf(err) != "queue_full" {
		t.Errorf("a third task: %v", err)
	}
	leave[0]()
	if _, done, err := w.enter(t.Context(), &wire.RunTask{Job: 1}); err != nil {
		t.Errorf("after one left: %v", err)
	} else {
		w.leave(done, 0)
	}
	leave[1]()
}

func TestModuleWithAnotherHashIsRefused(t *testing.T) {
	l := newLAN(t, 1, Options{})
	s := l.statsJob(bytesOf(ramp(0, 10)), holo.I64, 8192)
	l.modules[s.Module] = append([]byte{}, l.modules[l.module("flights")]...)
	if _, err := l.peers[0].runner.Submit(t.Context(), s); holo.ReasonOf(err) != "bad_module_hash" {
		t.Errorf("submit: %v", err)
	}
}

func TestModulesAreBounded(t *testing.T) {
	l := newLAN(t, 1, Options{})
	wasm := l.modules[l.module("loop")]
	p := l.peers[0].runner.modules
	for i := range maxModules + 5 {
		// A custom section at the end makes it another module.
		m := append(append([]byte{}, wasm...), 0, 3, 1, 'x', byte(i))
		l.modules[module.ID(m)] = m
		_, release, err := p.get(t.Context(), module.ID(m))
		if err != nil {
			t.Fatal(err)
		}
		release()
	}
	if len(p.mu.entries) != maxModules {
		t.Errorf("%d modules are kept, at most %d", len(p.mu.entries), maxModules)
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	l := newLAN(t, 2, Options{})
	id := l.startEndless()
	ctx, stop := context.WithCancel(t.Context())
	err := l.peers[0].runner.Watch(ctx, id, func(p Progress) error { stop(); return nil })
	if holo.KindOf(err) != holo.Cancelled {
		t.Errorf("watch: %v", err)
	}
}

func TestReportComesBackAsProgress(t *testing.T) {
	p := Progress{
		Job: 3, State: Done, Tasks: 4, Committed: 4, Retried: 1, Gas: 5, BytesProcessed: 6, BytesMoved: 7,
		Nodes: []NodeWork{{Node: holo.NodeID{1}, Committed: 4, Failed: 1, Gas: 5, BytesLocal: 6, BytesMoved: 7}},
	}
	got := ProgressOf(3, Done, p.Report())
	if len(got.Nodes) != 1 || got.Nodes[0] != p.Nodes[0] || got.BytesMoved != 7 || got.State != Done || got.Retried != 1 {
		t.Errorf("%+v comes back as %+v", p, got)
	}
}
