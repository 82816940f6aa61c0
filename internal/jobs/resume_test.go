package jobs

import (
	"context"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// epochTwo takes a job that nobody else wants.
func epochTwo(context.Context) (holo.JobEpoch, error) { return 2, nil }

// A node that has no place for a job, or cannot run it now, does not take it:
// the job would be in nobody's hands. When there is a place, it does.
func TestAJobIsNotTakenByANodeThatCannotRunIt(t *testing.T) {
	l := newLAN(t, 2, Options{MaxRunning: 1})
	r := l.peers[0].runner
	busy := l.startEndless()
	l.onRun = nil
	taken := 0
	take := func(context.Context) (holo.JobEpoch, error) { taken++; return 2, nil }
	in := l.longs("y", 1, ramp(0, 10))
	spec := l.addJob(in, in, in)
	if err := r.Resume(t.Context(), 77, spec, take); holo.ReasonOf(err) != ReasonTooManyJobs || taken != 0 {
		t.Fatalf("taken %d times: %v", taken, err)
	}
	if _, err := r.Cancel(t.Context(), busy); err != nil {
		t.Fatal(err)
	}
	l.finish(l.peers[0], busy)
	refused := func(context.Context) (holo.JobEpoch, error) {
		return 0, holo.Refuse(holo.Stale, "stale_job_epoch", "another node took it")
	}
	if err := r.Resume(t.Context(), 77, spec, refused); holo.KindOf(err) != holo.Stale {
		t.Fatalf("of another: %v", err)
	}
	if err := r.Resume(t.Context(), 77, spec, take); err != nil || taken != 1 {
		t.Fatalf("with a place: taken %d times, %v", taken, err)
	}
	if j := l.finish(l.peers[0], 77); j.State != Done || j.Epoch != 2 {
		t.Errorf("%+v", j)
	}
}

// A job whose array is gone can run nowhere: it is taken, and ended.
func TestAJobThatCanRunNowhereIsEnded(t *testing.T) {
	l := newLAN(t, 1, Options{})
	in := l.longs("y", 1, ramp(0, 10))
	spec := l.addJob(in, in, 99)
	if err := l.peers[0].runner.Resume(t.Context(), 77, spec, epochTwo); holo.KindOf(err) != holo.NotFound {
		t.Error(err)
	}
	if j := l.ended[77]; j.State != Failed || j.Epoch != 2 || holo.KindOf(j.Err) != holo.NotFound {
		t.Errorf("it ended as %+v", j)
	}
}

// While a job is being submitted or taken up it may be any that is recorded, so
// none counts as left; and one that runs here is not.
func TestAJobIsLeftOnlyWhenNobodyIsAboutToRunIt(t *testing.T) {
	l := newLAN(t, 1, Options{})
	r := l.peers[0].runner
	in := l.longs("y", 1, ramp(0, 10))
	if !r.Left(77) {
		t.Fatal("nobody runs it")
	}
	take := func(context.Context) (holo.JobEpoch, error) {
		if r.Left(77) || r.Left(78) {
			t.Error("it counts as left while it is taken")
		}
		return 2, nil
	}
	if err := r.Resume(t.Context(), 77, l.addJob(in, in, in), take); err != nil {
		t.Fatal(err)
	}
	if r.Left(77) || !r.Left(78) {
		t.Error("the one that runs counts as left, or another one does not")
	}
	l.finish(l.peers[0], 77)
}
