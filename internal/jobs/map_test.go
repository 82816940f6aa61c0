package jobs

import (
	"bytes"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// ramp is n numbers from first.
func ramp(first int64, n int) []int64 {
	v := make([]int64, n)
	for i := range v {
		v[i] = first + int64(i)
	}
	return v
}

func (l *lan) longs(affinity string, class holo.Class, v []int64) holo.ArrayID {
	return l.array(Array{Shape: holo.Shape{Type: holo.I64, Extent: 16384}, Affinity: affinity, Class: class}, bytesOf(v))
}

func (l *lan) addJob(a, b, out holo.ArrayID) Spec {
	return Spec{Module: l.module("basic"), Kernel: "basic", Kind: wire.TaskMap, Function: "add", Inputs: []holo.ArrayID{a, b}, Output: out}
}

// Each task adds one to its own pages. Requests are refused, answers lost,
// tasks run again after they committed: each page counts to one, and five jobs
// on it to five.
func TestEachTaskTakesEffectOnce(t *testing.T) {
	const n, rounds = 30*16384 + 99, 5
	l := newLAN(t, 3, troubled)
	l.chaos = 25
	ones := make([]int64, n)
	for i := range ones {
		ones[i] = 1
	}
	counter, one := l.longs("x", 1, ramp(0, n)), l.longs("x", 1, ones)
	retried, again := uint32(0), 0
	for range rounds {
		retried += l.do(l.addJob(counter, one, counter)).Progress.Retried
	}
	for _, commits := range l.commits {
		again += commits - 1
	}
	if got := l.content(counter); !bytes.Equal(got, bytesOf(ramp(rounds, n))) {
		t.Error("a page was not counted up exactly once per job")
	}
	if retried == 0 || again == 0 {
		t.Errorf("%d tasks retried, %d committed again: the test was without trouble", retried, again)
	}
	for id := range holo.JobID(rounds) {
		if l.ended[id+1].State != Done {
			t.Errorf("job %d is recorded as %s", id+1, l.ended[id+1].State)
		}
	}
}

// A node dies between its commit and its answer: the task runs elsewhere and
// commits again, without effect.
func TestNodeKilledAfterItsCommitChangesNothing(t *testing.T) {
	const n = 12 * 16384
	l := newLAN(t, 3, Options{})
	ones := make([]int64, n)
	for i := range ones {
		ones[i] = 1
	}
	counter, one := l.longs("x", 1, ramp(0, n)), l.longs("x", 1, ones)
	killed := make(chan struct{})
	l.onCommit = func(node int, c *TaskCommit) {
		if node != 1 || l.peers[1].isDead() {
			return
		}
		l.mu.Lock() // as CommitTask does, before the node is dead
		l.commits[taskKey{c.Job, c.Task}]++
		l.applied[taskKey{c.Job, c.Task}] = c.Epoch
		for i, page := range c.Pages {
			l.pages[holo.PageID{Array: c.Array, Index: c.First + holo.PageIndex(i)}] = Page{Kind: wire.PageData, Data: page}
		}
		l.mu.Unlock()
		l.kill(1)
		close(killed)
	}
	j := l.do(l.addJob(counter, one, counter))
	<-killed
	if !bytes.Equal(l.content(counter), bytesOf(ramp(1, n))) {
		t.Error("a page was not counted up exactly once")
	}
	if j.Progress.Retried == 0 {
		t.Error("nothing was tried again")
	}
}

// Arrays of another replication class lie elsewhere: the inputs travel to the
// output's home, and are counted as moved.
func TestInputsThatLieElsewhereAreMoved(t *testing.T) {
	const n = 16 * 16384
	l := newLAN(t, 2, Options{})
	for s := range l.homes { // class 1 on the first node, class 2 on the second
		l.homes[s] = int(s.Class()) - 1
	}
	a, b, out := l.longs("x", 1, ramp(5, n)), l.longs("x", 2, ramp(0, n)), l.longs("x", 2, make([]int64, n))
	j := l.do(l.addJob(a, b, out))
	sum := ramp(5, n)
	for i := range sum {
		sum[i] += int64(i)
	}
	if !bytes.Equal(l.content(out), bytesOf(sum)) {
		t.Error("the output differs from the sum computed in Go")
	}
	p := j.Progress
	if p.BytesProcessed != 3*8*n || p.BytesMoved != 8*n || len(p.Nodes) != 1 || p.Nodes[0].BytesLocal != 2*8*n {
		t.Errorf("progress %+v", p)
	}
}

// A coordinator died after some tasks had committed. The next one, under a new
// epoch, runs all of them again: nothing counts twice.
func TestResumedMapTakesEffectOnce(t *testing.T) {
	const n = 8 * 16384
	l := newLAN(t, 2, Options{})
	ones := make([]int64, n)
	for i := range ones {
		ones[i] = 1
	}
	counter, one := l.longs("x", 1, ramp(0, n)), l.longs("x", 1, ones)
	spec := l.addJob(counter, one, counter)
	first := l.do(spec)
	l.mu.Lock()
	for task := range holo.TaskID(4) { // as if these had not committed
		delete(l.applied, taskKey{first.ID, task})
		first, count := holo.PageIndex(task)*2, 2
		for i := range count {
			page := make([]byte, holo.PageSize)
			copy(page, bytesOf(ramp(int64(first+holo.PageIndex(i))*8192, 8192)))
			l.pages[holo.PageID{Array: counter, Index: first + holo.PageIndex(i)}] = Page{Kind: wire.PageData, Data: page}
		}
	}
	l.mu.Unlock()
	if err := l.peers[1].runner.Resume(t.Context(), first.ID, spec, epochTwo); err != nil {
		t.Fatal(err)
	}
	j := l.finish(l.peers[1], first.ID)
	if j.State != Done || j.Epoch != 2 || !bytes.Equal(l.content(counter), bytesOf(ramp(1, n))) {
		t.Errorf("%s in epoch %d (%v), or a page was not counted up exactly once", j.State, j.Epoch, j.Err)
	}
}
