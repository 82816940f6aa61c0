package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holocompute/holocompute/internal/core/joblog"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// bytesArray is an array of u8 with that many extents of a page.
func (l *lan) bytesArray(extents int) holo.ArrayID {
	return l.array(Array{Shape: holo.Shape{Type: holo.U8, Extent: holo.PageSize}, Affinity: "x"}, make([]byte, extents*holo.PageSize))
}

func (l *lan) says(function, text string, extents int) Spec {
	return Spec{Module: l.module("logs"), Kernel: "logs", Kind: wire.TaskMap, Function: function, Inputs: []holo.ArrayID{l.bytesArray(extents)}, Output: l.bytesArray(extents), Params: []byte(text)}
}

// log is what a job has logged.
func (l *lan) log(id holo.JobID) (log Log) {
	l.Helper()
	err := l.peers[0].runner.Logs(l.Context(), id, false, func(part Log) error {
		log.Lines, log.Lost = append(log.Lines, part.Lines...), part.Lost
		return nil
	})
	if err != nil {
		l.Fatal(err)
	}
	return log
}

// Mission row K-17: each line comes with its task, of the attempt that counts and
// of that one only, however often tasks are tried; and what another node says is
// as harmless as what this one does.
func TestLinesAreThoseOfTheAttemptsThatCount(t *testing.T) {
	const extents = 12
	l := newLAN(t, 3, troubled)
	l.chaos = 20
	l.onAnswer = func(node int, r *wire.TaskResult) {
		r.Said.Lines = append(r.Said.Lines, fmt.Sprintf("\x1b[2J%d", r.Attempt))
	}
	j := l.do(l.says("say", "hello\x07", extents))
	attempts := map[holo.TaskID]holo.Attempt{}
	for _, r := range l.receipts(j.ID) {
		attempts[r.Task.Task] = r.Task.Attempt
	}
	log, said := l.log(j.ID), map[holo.TaskID]int{}
	for _, line := range log.Lines {
		want := fmt.Sprintf("hello%s", joblog.Mark)
		if strings.Contains(line.Text, "2J") { // the other node's own
			want = fmt.Sprintf("%s[2J%d", joblog.Mark, attempts[line.Task])
		} else {
			said[line.Task]++
		}
		if line.Text != want || line.Attempt != attempts[line.Task] {
			t.Errorf("task %d, attempt %d says %q; attempt %d counts", line.Task, line.Attempt, line.Text, attempts[line.Task])
		}
	}
	for task := range holo.TaskID(extents) {
		if said[task] != 1 {
			t.Errorf("task %d says it %d times", task, said[task])
		}
	}
	if log.Lost != 0 || j.Progress.Retried == 0 {
		t.Errorf("%d lost, %d tasks tried again", log.Lost, j.Progress.Retried)
	}
}

// The attempt that ends a job is heard, because it may say why.
func TestTheAttemptThatEndsAJobIsHeard(t *testing.T) {
	for nodes := 1; nodes <= 2; nodes++ {
		l := newLAN(t, nodes, Options{})
		id, err := l.peers[0].runner.Submit(t.Context(), l.says("fail", "because", 1))
		if err != nil {
			t.Fatal(err)
		}
		if j := l.finish(l.peers[0], id); j.State != Failed {
			t.Fatalf("%s", j.State)
		}
		if log := l.log(id); len(log.Lines) != 1 || log.Lines[0].Text != "because" || log.Lines[0].Task != 0 {
			t.Errorf("on %d nodes: %+v", nodes, log)
		}
	}
}

// Combining is heard too, as attempt 0 of the task that is combined into; and
// the job's quota holds over all tasks.
func TestAJobsLogIsBounded(t *testing.T) {
	l := newLAN(t, 1, Options{})
	const extents = 5
	s := Spec{Module: l.module("logs"), Kernel: "logs", Kind: wire.TaskReduce, Function: "say", Inputs: []holo.ArrayID{l.bytesArray(extents)}, AccBytes: 8}
	reduced, combined := 0, 0
	for _, line := range l.log(l.do(s).ID).Lines {
		switch {
		case line.Text == "reduced" && line.Attempt == 1:
			reduced++
		case line.Text == "combined" && line.Attempt == 0:
			combined++
		}
	}
	if reduced != extents || combined != extents-1 {
		t.Errorf("%d reduced, %d combined", reduced, combined)
	}
	long := strings.Repeat(strings.Repeat("x", wire.MaxSaidLine-1)+"\n", wire.MaxSaidBytes/wire.MaxSaidLine)
	log, bytes := l.log(l.do(l.says("say", long, 20)).ID), 0
	for _, line := range log.Lines {
		bytes += len(line.Text)
	}
	if lines := uint64(20 * wire.MaxSaidBytes / wire.MaxSaidLine); bytes > joblog.MaxBytes || bytes < joblog.MaxBytes*9/10 || uint64(len(log.Lines))+log.Lost != lines || log.Lost == 0 {
		t.Errorf("%d lines of %d bytes, %d lost of %d", len(log.Lines), bytes, log.Lost, lines)
	}
}

// Whoever follows is told each line once, and the end of the job ends it.
func TestALogIsFollowedToTheEnd(t *testing.T) {
	l := newLAN(t, 2, Options{})
	const extents = 8
	var mu sync.Mutex
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	var commits atomic.Int32
	l.onCommit = func(int, *TaskCommit) {
		if commits.Add(1) > 1 { // whichever task comes first: two that wait may hold both places of a node
			<-gate
		}
	}
	id, err := l.peers[0].runner.Submit(t.Context(), l.says("say", "hello", extents))
	if err != nil {
		t.Fatal(err)
	}
	seen, parts := map[holo.TaskID]int{}, 0
	err = l.peers[0].runner.Logs(t.Context(), id, true, func(part Log) error {
		mu.Lock()
		defer mu.Unlock()
		parts++
		for _, line := range part.Lines {
			seen[line.Task]++
		}
		if len(seen) > 0 {
			open() // the rest only comes once this was heard
		}
		return nil
	})
	if err != nil || len(seen) != extents || parts < 2 {
		t.Errorf("%v in %d parts: %v", seen, parts, err)
	}
	for task, n := range seen {
		if n != 1 {
			t.Errorf("task %d is heard %d times", task, n)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	stop := errors.New("enough")
	if err := l.peers[0].runner.Logs(gone, id, true, func(Log) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	if err := l.peers[0].runner.Logs(gone, 99, true, nil); holo.KindOf(err) != holo.NotFound {
		t.Errorf("%v", err)
	}
}
