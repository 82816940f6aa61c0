package jobs

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
)

// One node of three answers nothing, and nobody declares it dead. The job ends
// all the same, with the same bytes: what waited for it was stolen, what it had
// was run once more, and was recalled from it, once.
func TestAJobGoesOnWithoutANodeThatHangs(t *testing.T) {
	const n = 90 * 16384
	l := newLAN(t, 3, Options{Schedule: sched.Options{Overhead: holo.Millisecond}})
	in, out := l.longs("x", 1, ramp(0, n)), l.longs("x", 1, make([]int64, n))
	l.hangs = map[int]bool{2: true}
	var commits, before atomic.Int32
	l.onCommit = func(int, *TaskCommit) {
		if commits.Add(1) == 90 { // one of the two at least is committed by now, and recalled without the job's end
			before.Store(int32(l.awaitRecall()))
		}
	}
	j := l.do(l.addJob(in, in, out))
	if before.Load() == 0 {
		t.Error("nothing was recalled while the job ran")
	}
	want := ramp(0, n)
	for i := range want {
		want[i] *= 2
	}
	if !bytes.Equal(l.content(out), bytesOf(want)) {
		t.Error("other bytes")
	}
	if p := j.Progress; p.Committed != 90 || p.Stolen < 20 || p.Speculated < 2 || l.recalled != 2 {
		t.Errorf("%+v, %d recalled", p, l.recalled)
	}
	reasons := map[string]int{}
	list, err := l.peers[0].runner.Why(t.Context(), j.ID)
	for _, b := range list {
		reasons[b.Reason.String()] += b.Count
	}
	if err != nil || reasons["stolen"] < 20 || reasons["speculated"] < 1 {
		t.Errorf("%v, %v", reasons, err)
	}
	recalled := 0
	spans, _, err := l.peers[0].runner.Trace(t.Context(), j.ID)
	for _, s := range spans {
		if s.Outcome == "recalled" {
			recalled++
		}
	}
	if err != nil || recalled < 2 { // on a busy machine the others are helped out, too
		t.Errorf("%d attempts are recalled in the trace, %v", recalled, err)
	}
	for id, commits := range l.commits {
		if commits > 2 {
			t.Errorf("task %d was committed %d times", id.task, commits)
		}
	}
}

// awaitRecall waits until a node that hangs was recalled from something, and
// tells from how much; after ten seconds it gives up.
func (l *lan) awaitRecall() (recalled int) {
	for try := 0; recalled == 0 && try < 1000; try++ {
		time.Sleep(10 * time.Millisecond)
		l.mu.Lock()
		recalled = l.recalled
		l.mu.Unlock()
	}
	return recalled
}

// What the nodes' speeds were is where the next job begins.
func TestSpeedsAreRememberedForTheNextJob(t *testing.T) {
	l := newLAN(t, 2, Options{})
	r := l.peers[0].runner
	a, b := l.peers[0].id(), l.peers[1].id()
	r.learn(map[holo.NodeID]float64{a: 1, b: 0.2})
	first := r.schedule()
	r.learn(map[holo.NodeID]float64{a: 1, b: 0.4})
	r.learn(map[holo.NodeID]float64{b: 1}) // alone it says nothing
	if got := r.schedule().Speeds[b]; first.Speeds[b] != 0.2 || got < 0.299 || got > 0.301 {
		t.Errorf("%v, then %v", first.Speeds[b], got)
	}
	n := 12 * 16384
	in := l.longs("x", 1, ramp(0, n))
	l.do(l.addJob(in, in, l.longs("x", 1, make([]int64, n))))
	if got := r.schedule().Speeds; len(got) != 2 || got[b] == first.Speeds[b] {
		t.Errorf("after a job: %v", got)
	}
}
