package sched

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// wantWhy checks what a task is said to be.
func wantWhy(t *testing.T, j *Job, id holo.TaskID, state TaskState, r Reason) Why {
	t.Helper()
	return wantWhyAt(t, j, id, homes(0, 1), state, r)
}

func wantWhyAt(t *testing.T, j *Job, id holo.TaskID, home func(holo.ShardID) (holo.NodeID, bool), state TaskState, r Reason) Why {
	t.Helper()
	w := j.Why(id, home)
	if w.State != state || w.Reason != r {
		t.Errorf("task %d is %s for %s, want %s for %s", id, w.State, w.Reason, state, r)
	}
	return w
}

func TestEachReasonIsTheOneThatHoldsATask(t *testing.T) {
	stages := []Stage{{Shards: []holo.ShardID{0, 0, 0, 1, 9}}, {Shards: make([]holo.ShardID, 5), Each: []int{0}}, {Shards: make([]holo.ShardID, 1), All: []int{1}}}
	j := NewGraph(stages, Options{Budget: 1})
	out := j.Next(0, homes(0, 1))
	wantWhy(t, j, 0, TaskRunning, AtHome)
	wantWhy(t, j, 2, TaskQueued, WindowFull)
	wantWhy(t, j, 4, TaskQueued, NoHome)
	wantWhy(t, j, 5, TaskWaiting, AfterStage)
	if w := wantWhy(t, j, 10, TaskWaiting, AfterStage); w.Stage != 1 {
		t.Errorf("it waits for stage %d, want 1", w.Stage)
	}
	j.Done(0, out[0], Result{})
	if w := wantWhy(t, j, 0, TaskDone, AtHome); w.Node != nodeID(0) || w.Attempt != 1 {
		t.Errorf("task 0 was done by %+v", w)
	}
	j.Failed(0, out[1], holo.Refuse(holo.Unavailable, "reconfiguring", "not now"))
	if w := wantWhy(t, j, 1, TaskQueued, BackOff); holo.ReasonOf(w.Proof) != "reconfiguring" {
		t.Errorf("the proof is %v", w.Proof)
	}
	j.NodeLost(0, nodeID(1))
	again := j.Next(holo.Time(holo.Second), homes(0, 0))
	for _, a := range again {
		if a.Task == 1 {
			wantWhy(t, j, 1, TaskRunning, Refused)
		}
		if a.Task == 2 {
			j.Failed(holo.Time(holo.Second), a, errTrap) // there is another node, and it is lost: the trap stands
		}
	}
	if w := wantWhy(t, j, 2, TaskFailed, TheCause); holo.KindOf(w.Proof) != holo.KernelTrapped {
		t.Errorf("the proof is %v", w.Proof)
	}
	for _, id := range []holo.TaskID{3, 4, 5, 10} {
		if w := wantWhy(t, j, id, TaskUnrun, JobFailed); holo.KindOf(w.Proof) != holo.KernelTrapped {
			t.Errorf("task %d: the proof is %v", id, w.Proof)
		}
	}
	cancelled, _ := start(make([]holo.ShardID, 3), homes(0))
	cancelled.Cancel()
	wantWhy(t, cancelled, 2, TaskUnrun, JobEnded)
}

// Whatever happens, each task has a reason at each moment, what is out is
// running and what is not is not, and what did not count at its first attempt
// says why it came to have another.
func TestNoTaskIsWithoutAReason(t *testing.T) {
	for seed := range uint64(60) {
		w := newWorld(t, seed)
		for range 300 {
			w.now = w.now.Add(holo.Duration(w.rng.Int64N(int64(10 * holo.Millisecond))))
			switch n := w.rng.IntN(100); {
			case n < 1:
				w.trouble()
			case n < 45:
				w.assign()
			default:
				w.answer()
			}
			w.checkReasons(seed)
		}
	}
}

func (w *world) checkReasons(seed uint64) {
	for id := range w.job.tasks {
		why := w.job.Why(holo.TaskID(id), w.home)
		if why.Reason == 0 || why.Reason >= reasons {
			w.t.Fatalf("seed %d: task %d is %s for reason %d", seed, id, why.State, why.Reason)
		}
		if why.State == TaskDone && w.counted[holo.TaskID(id)] != 1 {
			w.t.Fatalf("seed %d: task %d is said to be done, and was counted %d times", seed, id, w.counted[holo.TaskID(id)])
		}
		if again := why.Attempt > 1 && (why.State == TaskRunning || why.State == TaskQueued); again && why.Reason == AtHome {
			w.t.Fatalf("seed %d: task %d has attempt %d for no reason", seed, id, why.Attempt)
		}
	}
}

func TestProofsAreBounded(t *testing.T) {
	const n = 3 * maxProofs
	j := New(make([]holo.ShardID, n), Options{Slots: n})
	for _, a := range j.Next(0, homes(0)) {
		j.Failed(0, a, holo.Refuse(holo.Unavailable, "reconfiguring", "not now"))
	}
	if len(j.proofs) > maxProofs || len(j.noted) > maxProofs {
		t.Errorf("%d failures are remembered, at most %d", len(j.proofs), maxProofs)
	}
	if w := j.Why(0, homes(0)); w.Reason != BackOff || w.Proof != nil {
		t.Errorf("task 0: %+v", w)
	}
}
