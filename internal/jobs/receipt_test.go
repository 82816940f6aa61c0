package jobs

import (
	"slices"
	"sync"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/internal/workers"
	"github.com/holocompute/holocompute/kernels"
)

// inputs are the pages that a task read, as they are now.
func (l *lan) inputs(t *wire.RunTask) [][]Page {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([][]Page, len(t.Inputs))
	for i, in := range t.Inputs {
		first, count := (&work{task: t}).pages(in)
		for k := range holo.PageIndex(count) {
			list[i] = append(list[i], l.pages[holo.PageID{Array: in.Array, Index: first + k}])
		}
	}
	return list
}

func (l *lan) receipts(id holo.JobID) []Receipt {
	l.Helper()
	page, err := l.peers[0].runner.Receipts(id, 0)
	if err != nil {
		l.Fatal(err)
	}
	return page.List
}

// same compares what a receipt states, not who states it.
func same(a, b *wire.Receipt) bool {
	return a.Prices == b.Prices && a.Gas == b.Gas && slices.Equal(a.Inputs, b.Inputs) && a.Output == b.Output
}

// Every task leaves the word of the node that ran it, and whoever runs it again
// comes to the same: gas, inputs and output.
func TestReceiptsSayWhatRunningAgainGives(t *testing.T) {
	const n = 9*16384 + 99
	l := newLAN(t, 3, Options{})
	a, b, out := l.longs("x", 1, ramp(0, n)), l.longs("x", 1, ramp(7, n)), l.longs("x", 1, ramp(0, n))
	m, err := module.Admit(kernels.Get("basic"))
	if err != nil {
		t.Fatal(err)
	}
	pool := workers.New(workers.Options{Max: 1})
	defer pool.Close()
	job := l.do(l.addJob(a, b, out))
	list := l.receipts(job.ID)
	if len(list) != 10 {
		t.Fatalf("%d receipts of 10 tasks", len(list))
	}
	nodes := map[holo.NodeID]bool{}
	for _, r := range list {
		nodes[r.Said.Node] = true
		if !l.peers[0].CheckReceipt(r.Task, r.Said) {
			t.Errorf("task %d: the receipt is not signed", r.Task.Task)
		}
		in := l.inputs(r.Task)
		again, _, err := Replay(t.Context(), pool, m, r.Task, in, nil)
		if err != nil || !same(&again, r.Said) {
			t.Errorf("task %d: %+v, run again %+v: %v", r.Task.Task, r.Said, again, err)
		}
		in[1] = slices.Clone(in[1])
		in[1][0].Data = slices.Clone(in[1][0].Data)
		in[1][0].Data[5] ^= 1
		other, _, err := Replay(t.Context(), pool, m, r.Task, in, nil)
		if err != nil || other.Inputs[0] != again.Inputs[0] || other.Inputs[1] == again.Inputs[1] || other.Output == again.Output {
			t.Errorf("task %d with another byte: %+v, %v", r.Task.Task, other, err)
		}
	}
	if len(nodes) != 3 {
		t.Errorf("receipts of %d nodes, want 3", len(nodes))
	}
}

// What the coordinator's own node states is signed once somebody asks, by as
// many as ask at once, and every time the same.
func TestOwnReceiptsAreSignedWhenAskedFor(t *testing.T) {
	l := newLAN(t, 1, Options{})
	a, b, out := l.longs("x", 1, ramp(0, 4*16384)), l.longs("x", 1, ramp(7, 4*16384)), l.longs("x", 1, ramp(0, 4*16384))
	job := l.do(l.addJob(a, b, out))
	var wait sync.WaitGroup
	lists := make([][]Receipt, 3)
	for i := range lists {
		wait.Go(func() { lists[i] = l.receipts(job.ID) })
	}
	wait.Wait()
	for _, list := range lists {
		for i, r := range list {
			if r.Said.Node != l.peers[0].id() || !l.peers[0].CheckReceipt(r.Task, r.Said) || r.Said != lists[0][i].Said {
				t.Errorf("task %d: the receipt is not signed", r.Task.Task)
			}
		}
	}
	if len(lists[2]) != 4 {
		t.Errorf("%d receipts of 4 tasks", len(lists[2]))
	}
}

// A receipt that says another thing than the answer, or that its node has not
// signed, is no answer: the task is tried again.
func TestReceiptThatLiesIsNotTaken(t *testing.T) {
	lies := map[string]func(*wire.TaskResult){
		"node":      func(r *wire.TaskResult) { r.Receipt.Node = holo.NodeID{31: 1} },
		"gas":       func(r *wire.TaskResult) { r.Receipt.Gas++ },
		"both gas":  func(r *wire.TaskResult) { r.Receipt.Gas++; r.Gas++ },
		"prices":    func(r *wire.TaskResult) { r.Receipt.Prices = "gas/0" },
		"inputs":    func(r *wire.TaskResult) { r.Receipt.Inputs[0][0] ^= 1 },
		"no input":  func(r *wire.TaskResult) { r.Receipt.Inputs = nil },
		"output":    func(r *wire.TaskResult) { r.Receipt.Output[9] ^= 1 },
		"signature": func(r *wire.TaskResult) { r.Receipt.Signature[63] ^= 1 },
	}
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			counted := 0
			l := newLAN(t, 2, Options{Count: func(reason string) {
				mu.Lock()
				defer mu.Unlock()
				if reason == ReasonBadReceipt {
					counted++
				}
			}})
			lied := map[holo.TaskID]bool{}
			l.onAnswer = func(_ int, r *wire.TaskResult) {
				mu.Lock()
				defer mu.Unlock()
				if !lied[r.Task] {
					lied[r.Task] = true
					lie(r)
				}
			}
			const n = 4 * 16384
			a, b, out := l.longs("x", 1, ramp(0, n)), l.longs("x", 1, ramp(7, n)), l.longs("x", 1, ramp(0, n))
			j := l.do(l.addJob(a, b, out))
			if len(lied) == 0 || int(j.Progress.Retried) != len(lied) || counted != len(lied) {
				t.Errorf("%d lies, %d tasks tried again, %d counted", len(lied), j.Progress.Retried, counted)
			}
			for _, r := range l.receipts(j.ID) {
				if !l.peers[0].CheckReceipt(r.Task, r.Said) || r.Said.Node != l.peers[0].id() && r.Task.Attempt == 1 {
					t.Errorf("task %d, attempt %d of node %s counts", r.Task.Task, r.Task.Attempt, r.Said.Node)
				}
			}
		})
	}
}
