package jobs

import (
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// On an idle cluster every task runs where its pages lie, and moves nothing.
func TestTasksOfAnIdleClusterRunOnTheOwnersOfTheirPages(t *testing.T) {
	l := newLAN(t, 3, Options{})
	spec, _ := l.sums(40*16384, 2)
	j := l.do(spec)
	list, err := l.peers[0].runner.Why(t.Context(), j.ID)
	if err != nil || len(list) != 1 || list[0].State != sched.TaskDone || list[0].Reason != sched.AtHome || list[0].Count != 120 {
		t.Fatalf("%+v, %v: want 120 tasks done at home", list, err)
	}
	if !strings.Contains(list[0].Proof, "is the home of shard") {
		t.Errorf("the proof is %q", list[0].Proof)
	}
	for _, w := range j.Progress.Nodes {
		if w.BytesMoved > w.BytesLocal/20 {
			t.Errorf("node %s moved %d bytes of %d", w.Node, w.BytesMoved, w.BytesLocal)
		}
	}
}

// With trouble between the nodes, every task that was not done at its first
// attempt says why, and the trace has every attempt.
func TestEveryTaskThatWasMovedSaysWhy(t *testing.T) {
	l := newLAN(t, 3, troubled)
	l.chaos = 20
	spec, _ := l.sums(20*16384, 4)
	j := l.do(spec)
	r := l.peers[0].runner
	list, err := r.Why(t.Context(), j.ID)
	if err != nil {
		t.Fatal(err)
	}
	done, moved := 0, 0
	for _, b := range list {
		done += b.Count
		if b.Reason != sched.AtHome {
			moved += b.Count
		}
		if b.State != sched.TaskDone || b.Reason.String() == "unknown" || b.Proof == "" {
			t.Errorf("%+v", b)
		}
	}
	if done != 100 || moved == 0 {
		t.Errorf("%d tasks done, %d of them moved: want 100, and trouble", done, moved)
	}
	spans, dropped, err := r.Trace(t.Context(), j.ID)
	if err != nil || dropped != 0 || len(spans) < 100 {
		t.Fatalf("%d spans, %d dropped, %v", len(spans), dropped, err)
	}
	good := map[holo.TaskID]int{}
	for _, s := range spans {
		if s.Outcome == "done" {
			good[s.Task]++
		}
		if s.End < s.Start || s.Outcome == "" || s.Stage != int(s.Task)/20 {
			t.Errorf("span %+v", s)
		}
	}
	if len(good) != 100 {
		t.Errorf("%d tasks are done in the trace, want 100", len(good))
	}
}

// A job is asked while it runs: the task that is held says so, and those after
// it what they wait for.
func TestWhyIsAnsweredWhileTheJobRuns(t *testing.T) {
	l := newLAN(t, 1, Options{})
	spec, _ := l.sums(16384, 2)
	running, release := make(chan struct{}), make(chan struct{})
	l.onCommit = func(_ int, c *TaskCommit) {
		if c.Task == 0 {
			close(running)
			<-release
		}
	}
	r := l.peers[0].runner
	id, err := r.Submit(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	<-running
	for task, want := range map[holo.TaskID]sched.Reason{0: sched.AtHome, 1: sched.AfterStage, 2: sched.AfterStage} {
		if b, err := r.WhyTask(t.Context(), id, task); err != nil || b.Reason != want || b.Proof == "" {
			t.Errorf("task %d: %+v, %v; want %s", task, b, err, want)
		}
	}
	if _, err := r.WhyTask(t.Context(), id, 3); holo.KindOf(err) != holo.NotFound {
		t.Errorf("a task that is none: %v", err)
	}
	close(release)
	l.finish(l.peers[0], id)
}

func TestSpansAreBounded(t *testing.T) {
	j := &job{stages: []*stage{{count: 1}}, spans: make([]Span, maxSpans-1)}
	for range 3 {
		j.span(event{result: &wire.TaskResult{}}, true)
	}
	if len(j.spans) != maxSpans || j.dropped != 2 {
		t.Errorf("%d spans and %d dropped", len(j.spans), j.dropped)
	}
}
