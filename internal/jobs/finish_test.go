package jobs

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

// Whoever is told that a job is done may seal what it wrote, or delete what it
// read. A coordinator that then died without a record of the end would have the
// job run again, fail, and be recorded as failed.
func TestAJobIsDoneOnlyWhenThatIsRecorded(t *testing.T) {
	l := newLAN(t, 1, Options{})
	r, tries := l.peers[0].runner, 0
	l.onEnd = func(_ int, j Job) error {
		if now, err := r.Job(j.ID); err != nil || now.State != Running {
			t.Errorf("before its end is recorded it is %s: %v", now.State, err)
		}
		if tries++; tries < 3 {
			return holo.Refuse(holo.Unavailable, "not_leader", "no leader")
		}
		return nil
	}
	in := l.longs("y", 1, ramp(0, 10))
	l.do(l.addJob(in, in, in))
	if tries != 3 {
		t.Errorf("recorded in %d tries", tries)
	}
}

// Nobody is told "done" by a coordinator whose job another one has taken; and a
// try whose answer was lost is no failure.
func TestADoneJobIsWhatItsRecordSays(t *testing.T) {
	for _, c := range []struct {
		kind holo.Kind
		want State
	}{{holo.Stale, Failed}, {holo.Conflict, Done}} {
		l := newLAN(t, 1, Options{})
		r := l.peers[0].runner
		l.onEnd = func(int, Job) error { return holo.Refuse(c.kind, "test", "refused") }
		in := l.longs("y", 1, ramp(0, 10))
		id, err := r.Submit(t.Context(), l.addJob(in, in, in))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Watch(t.Context(), id, func(Progress) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if j, _ := r.Job(id); j.State != c.want || j.State == Failed && holo.KindOf(j.Err) != holo.Indeterminate {
			t.Errorf("%s: %s, %v", c.kind, j.State, j.Err)
		}
	}
}

// A catalogue that has no leader for an hour does not keep a job running for
// ever: its end is recorded when there is one again.
func TestAnEndIsRecordedHoweverLongThatTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 1, Options{})
		again := time.Now().Add(time.Hour)
		l.onEnd = func(int, Job) error {
			if time.Now().Before(again) {
				return holo.Refuse(holo.Unavailable, "not_leader", "no leader")
			}
			return nil
		}
		j := &job{runner: l.peers[0].runner, id: 7}
		if err := j.record(t.Context(), Job{ID: 7, End: End{State: Failed}}); err != nil {
			t.Fatal(err)
		}
		if l.ended[7].State != Failed {
			t.Errorf("recorded as %+v", l.ended[7])
		}
	})
}

// A node that stops does not wait for such a catalogue.
func TestAClosingRunnerWaitsForNoCatalogue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 1, Options{})
		l.onEnd = func(int, Job) error { return holo.Refuse(holo.Unavailable, "not_leader", "no leader") }
		r := l.peers[0].runner
		j := &job{runner: r, id: 7}
		time.AfterFunc(time.Hour, r.group.cancel)
		if err := j.record(t.Context(), Job{ID: 7, End: End{State: Failed}}); holo.KindOf(err) != holo.Unavailable {
			t.Errorf("%v", err)
		}
	})
}
