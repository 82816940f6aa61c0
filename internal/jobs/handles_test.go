package jobs

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/internal/workers"
	"github.com/holocompute/holocompute/kernels"
)

// reversing is a job of general tasks, and what it shall write: the last elements of
// a longer array, which lies elsewhere in other extents, from its end.
func (l *lan) reversing(sealed bool) (Spec, []byte) {
	l.Helper()
	list := ramp(0, 70_000)
	in := l.array(Array{Shape: holo.Shape{Type: holo.I64, Extent: 16384}, Affinity: "y", Sealed: sealed}, bytesOf(list))
	slices.Reverse(list)
	list = list[:50_000]
	out := l.array(Array{Shape: holo.Shape{Type: holo.U64, Extent: 8192}, Affinity: "x"}, make([]byte, 8*len(list)))
	return Spec{Module: l.module("tasks"), Kernel: "tasks", Kind: wire.TaskGeneral, Function: "reverse", Inputs: []holo.ArrayID{in}, Output: out}, bytesOf(list)
}

func TestGeneralTasksWriteWhatPlainGoWrites(t *testing.T) {
	l := newLAN(t, 3, Options{})
	s, want := l.reversing(true)
	j := l.do(s)
	if got := l.content(s.Output); !bytes.Equal(got, want) || j.Progress.Committed != 7 {
		t.Errorf("%d tasks committed, and the output is not the input from its end", j.Progress.Committed)
	}
}

func TestGeneralTaskNeedsASealedInput(t *testing.T) {
	l := newLAN(t, 1, Options{})
	s, _ := l.reversing(false)
	if _, err := l.peers[0].runner.Submit(t.Context(), s); holo.KindOf(err) != holo.Invalid || !strings.Contains(err.Error(), "is not sealed") {
		t.Errorf("an input that may change: %v", err)
	}
}

func TestGeneralTaskDoesNotWriteWhatItReads(t *testing.T) {
	l := newLAN(t, 1, Options{})
	s, _ := l.reversing(true)
	s.Output = s.Inputs[0]
	if _, err := l.peers[0].runner.Submit(t.Context(), s); holo.KindOf(err) != holo.Invalid || !strings.Contains(err.Error(), "which its tasks read") {
		t.Errorf("an output that is read: %v", err)
	}
}

// A node dies at its first commit, with nothing of it applied.
func TestGeneralTasksGoOnThroughAKill(t *testing.T) {
	l := newLAN(t, 3, Options{})
	s, want := l.reversing(true)
	var once sync.Once
	l.onCommit = func(node int, _ *TaskCommit) {
		if node == 1 {
			once.Do(func() { l.kill(1) })
		}
	}
	j := l.do(s)
	if !bytes.Equal(l.content(s.Output), want) || j.Progress.Committed != 7 || j.Progress.Retried == 0 {
		t.Errorf("%d tasks committed, %d tried again, or the output is another", j.Progress.Committed, j.Progress.Retried)
	}
}

// The receipt of a general task has a digest over what it asked for: who runs it
// again comes to the same, and to another where an element that it read is another.
func TestReceiptsOfGeneralTasksNameWhatTheyRead(t *testing.T) {
	l := newLAN(t, 2, Options{})
	s, _ := l.reversing(true)
	j := l.do(s)
	m, err := module.Admit(kernels.Get("tasks"))
	if err != nil {
		t.Fatal(err)
	}
	pool := workers.New(workers.Options{Max: 1})
	defer pool.Close()
	list := l.content(s.Inputs[0])
	input := []Elements{{uint64(len(list) / 8), func(_ context.Context, first uint64, b []byte) error {
		copy(b, list[8*first:])
		return nil
	}}}
	for _, r := range l.receipts(j.ID) {
		again, err := ReplayGeneral(t.Context(), pool, m, r.Task, input)
		if err != nil || !same(&again, r.Said) {
			t.Fatalf("task %d: %+v, run again %+v: %v", r.Task.Task, r.Said, again, err)
		}
		read := len(list) - 8*int(r.Task.First) - 1 // of the first element that it writes
		list[read] ^= 1
		other, err := ReplayGeneral(t.Context(), pool, m, r.Task, input)
		list[read] ^= 1
		if err != nil || other.Inputs[0] == again.Inputs[0] || other.Output == again.Output {
			t.Errorf("task %d with another element: %+v, %v", r.Task.Task, other, err)
		}
	}
	if _, err := ReplayGeneral(t.Context(), pool, m, l.receipts(j.ID)[0].Task, nil); holo.KindOf(err) != holo.Invalid {
		t.Errorf("run again without its input: %v", err)
	}
}
