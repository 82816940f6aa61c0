package jobs

import (
	"maps"
	"sync"
	"testing"

	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/internal/workers"
	"github.com/holocompute/holocompute/kernels"
)

// loseAnswers has the first answer to each task of another node be none, after the
// task has committed. It gives the tasks.
func (l *lan) loseAnswers() map[holo.TaskID]bool {
	var mu sync.Mutex
	lost := map[holo.TaskID]bool{}
	l.onAnswer = func(_ int, r *wire.TaskResult) {
		mu.Lock()
		defer mu.Unlock()
		if !lost[r.Task] {
			lost[r.Task] = true
			r.Task++ // an answer to another question
		}
	}
	return lost
}

// wantTrue runs the tasks of receipts again, from the pages as they were before.
func (l *lan) wantTrue(before map[holo.PageID]Page, list []Receipt) {
	l.Helper()
	m, err := module.Admit(kernels.Get("basic"))
	if err != nil {
		l.Fatal(err)
	}
	pool := workers.New(workers.Options{Max: 1})
	defer pool.Close()
	l.mu.Lock()
	l.pages = before
	l.mu.Unlock()
	for _, r := range list {
		if again, _, err := Replay(l.Context(), pool, m, r.Task, l.inputs(r.Task), nil); err != nil || !same(&again, r.Said) {
			l.Errorf("task %d, attempt %d: %+v, from what it read first %+v: %v", r.Task.Task, r.Task.Attempt, r.Said, again, err)
		}
	}
}

// A task commits, and its answer is lost. The next attempt commits again, without
// effect. Where the task writes what it reads, this one computed something else from
// it, and its receipt would tell of that: there is none, and it is counted. Where
// inputs and output differ, both attempts are the same, and so is the receipt.
func TestCommitAgainHasNoFalseReceipt(t *testing.T) {
	const n, tasks = 8 * 16384, 8
	for name, inPlace := range map[string]bool{"in place": true, "elsewhere": false} {
		t.Run(name, func(t *testing.T) {
			l := newLAN(t, 2, Options{})
			lost := l.loseAnswers()
			a, b, out := l.longs("x", 1, ramp(3, n)), l.longs("x", 1, ramp(7, n)), l.longs("x", 1, ramp(0, n))
			if inPlace {
				out = a
			}
			before := maps.Clone(l.pages)
			job := l.do(l.addJob(a, b, out))
			list, _, page := l.allReceipts(job.ID)
			want := tasks
			if inPlace {
				want -= len(lost)
			}
			if len(lost) == 0 || len(list) != want || page.Dropped != uint64(tasks-want) {
				t.Errorf("%d answers lost of %d tasks: %d receipts, %d dropped", len(lost), tasks, len(list), page.Dropped)
			}
			for _, r := range list {
				if inPlace && lost[r.Task.Task] {
					t.Errorf("task %d, attempt %d has a receipt", r.Task.Task, r.Task.Attempt)
				}
			}
			l.wantTrue(before, list)
		})
	}
}

// A receipt without an output is taken only of a task that writes what it reads:
// nobody else has a reason to say nothing.
func TestReceiptWithoutOutputNeedsAReason(t *testing.T) {
	l := newLAN(t, 1, Options{})
	a, b, out := l.longs("x", 1, ramp(0, 16384)), l.longs("x", 1, ramp(7, 16384)), l.longs("x", 1, ramp(0, 16384))
	for output, refused := range map[holo.ArrayID]bool{out: true, a: false} {
		r := l.receipts(l.do(l.addJob(a, b, output)).ID)[0]
		j := &job{runner: l.peers[0].runner}
		said := wire.TaskResult{Gas: r.Said.Gas, Receipt: *r.Said}
		said.Receipt.Output = holo.Digest{}
		err := j.checkReceipt(sched.Assign{Node: r.Said.Node, Task: r.Task.Task, Attempt: r.Task.Attempt}, r.Task, &said)
		if (holo.ReasonOf(err) == ReasonBadReceipt) != refused {
			t.Errorf("into array a%d: %v", uint64(output), err)
		}
	}
}
