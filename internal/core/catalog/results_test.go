package catalog

import (
	"testing"

	"github.com/holocompute/holocompute/internal/claim"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// resultJob is a town with two arrays, and a job that writes one of them and
// keeps it for a minute.
func resultJob(t *testing.T) (w *town, out holo.ArrayID, j *wire.JobRecord) {
	w = settled(t, 2)
	in := w.array("in", 1, 1)
	out = w.array("out", 1, 1).ID
	put := &wire.JobPut{Job: wire.JobRecord{
		Coordinator: node(1), Module: holo.ModuleID{1}, Kind: wire.TaskMap, Inputs: []holo.ArrayID{in.ID}, Output: out, Keep: 60,
	}}
	return w, out, w.do(put).(*wire.JobRecord)
}

func (w *town) end(j *wire.JobRecord, p wire.JobPhase) {
	w.do(&wire.JobState{Job: j.ID, Epoch: j.Epoch, End: wire.JobEnd{Phase: p}})
}

// A result lives for its time, counted from when the job was done, by the time
// of the command that says so: not a second less, whoever says it.
func TestResultLivesForItsTime(t *testing.T) {
	w, out, j := resultJob(t)
	w.refused(ReasonState, &wire.ArrayExpire{Array: out}) // the job runs
	w.end(j, wire.JobDone)
	if a, _ := w.ArrayByID(out); a.Result != j.ID || a.Expires != now+60 || len(w.Expired(now+59)) != 0 || len(w.Expired(now+60)) != 1 {
		t.Fatalf("%+v, expired %v", a, w.Expired(now+60))
	}
	back := New(cluster, ownerID(), claim.Reader{})
	if err := back.Restore(w.Snapshot()); err != nil || len(back.Expired(now+60)) != 1 {
		t.Errorf("after a snapshot: %v", err)
	}
	early, err := w.at(now+59, "", &wire.ArrayExpire{Array: out})
	if holo.ReasonOf(err) != ReasonState {
		t.Fatalf("a second too early: %v, %v", early, err)
	}
	if _, err := w.at(now+60, "", &wire.ArrayExpire{Array: out}); err != nil {
		t.Fatal(err)
	}
	if _, ok := w.ArrayByName("out"); ok || len(w.Expired(now+60)) != 0 {
		t.Error("it is still there")
	}
	w.do(&wire.ArrayPurge{Array: out})
}

// Of a job that did not come to its end nothing is left.
func TestResultOfAJobThatIsNotDoneIsDeletedWithIt(t *testing.T) {
	for _, p := range []wire.JobPhase{wire.JobFailed, wire.JobCancelled} {
		w, out, j := resultJob(t)
		w.end(j, p)
		if a, ok := w.ArrayByID(out); !ok || a.State != wire.ArrayDeleted {
			t.Errorf("%s: %+v", p, a)
		}
		if in, ok := w.ArrayByName("in"); !ok || in.State != wire.ArrayOpen {
			t.Errorf("%s: the input is %s", p, in.State)
		}
	}
}

// What was sealed is nobody's half: whoever sealed it was told that it is whole.
func TestSealedResultStaysThoughItsJobFails(t *testing.T) {
	for _, p := range []wire.JobPhase{wire.JobFailed, wire.JobCancelled} {
		w, out, j := resultJob(t)
		w.do(&wire.ArraySealing{Array: out})
		before, _ := w.ArrayByID(out)
		w.end(j, p)
		if a, _ := w.ArrayByID(out); a.State != before.State || a.Expires != 0 {
			t.Errorf("%s: it was %s, and is %s until %d", p, before.State, a.State, a.Expires)
		}
	}
}

// What is not a result stays, whatever becomes of the job; and a job deletes no
// result of another.
func TestOnlyItsOwnResultsAreDeleted(t *testing.T) {
	w, out, j := resultJob(t)
	put := func(keep uint64) *wire.JobPut {
		return &wire.JobPut{Job: wire.JobRecord{Coordinator: node(1), Module: holo.ModuleID{1}, Kind: wire.TaskMap, Output: out, Keep: keep}}
	}
	w.refused(ReasonState, put(5)) // of a job that runs
	other := w.do(put(0)).(*wire.JobRecord)
	w.end(other, wire.JobFailed)
	if _, ok := w.ArrayByName("out"); !ok {
		t.Fatal("a job that keeps all has deleted an array")
	}
	w.end(j, wire.JobDone)
	next := w.do(put(7)).(*wire.JobRecord)
	if a, _ := w.ArrayByID(out); a.Result != next.ID || a.Expires != 0 {
		t.Errorf("of the next job: %+v", a)
	}
	w.end(next, wire.JobDone)
	if len(w.Expired(now+6)) != 0 || len(w.Expired(now+7)) != 1 {
		t.Error("the time of the job before counts")
	}
	none := &wire.JobPut{Job: wire.JobRecord{Coordinator: node(1), Module: holo.ModuleID{1}, Kind: wire.TaskReduce, Keep: 5}}
	w.refused("", none)
	w.refused("", put(wire.MaxKeep+1))
	w.do(&wire.ArraySealing{Array: out})
	w.refused(ReasonState, put(5))
}
