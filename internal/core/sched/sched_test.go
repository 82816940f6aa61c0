package sched

import (
	"maps"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

var errTrap = holo.Refuse(holo.KernelTrapped, "out_of_gas", "out of gas")

func homes(nodes ...int) func(holo.ShardID) (holo.NodeID, bool) {
	return func(s holo.ShardID) (holo.NodeID, bool) {
		if int(s) >= len(nodes) {
			return holo.NodeID{}, false
		}
		return nodeID(nodes[s]), true
	}
}

// start makes a job with one task per shard and hands out what it can.
func start(shards []holo.ShardID, home func(holo.ShardID) (holo.NodeID, bool)) (*Job, []Assign) {
	j := New(shards, Options{})
	return j, j.Next(0, home)
}

func TestCausesOfFailure(t *testing.T) {
	for kind, want := range map[holo.Kind]cause{
		holo.Unavailable: causeRefused, holo.Stale: causeRefused,
		holo.KernelTrapped: causeTrap,
		holo.Invalid:       causeFinal, holo.NotFound: causeFinal, holo.Denied: causeFinal, holo.DataLost: causeFinal,
		holo.Exists: causeFinal, holo.Conflict: causeFinal,
		holo.Indeterminate: causeCharged, holo.Cancelled: causeCharged, holo.Corrupt: causeCharged,
		holo.Exhausted: causeCharged, holo.Internal: causeCharged,
	} {
		if got := causeOf(holo.Errorf(kind, "x")); got != want {
			t.Errorf("%s: cause %d, want %d", kind, got, want)
		}
	}
}

// A home is asked for once, and again after homes changed or an attempt failed.
func TestHomesAreAskedForAgainWhenTheyChange(t *testing.T) {
	asked := 0
	now := func(node int) func(holo.ShardID) (holo.NodeID, bool) {
		return func(holo.ShardID) (holo.NodeID, bool) { asked++; return nodeID(node), true }
	}
	j, first := start(make([]holo.ShardID, 10), now(0))
	j.Done(0, first[0], Result{})
	if more := j.Next(1, now(1)); asked != 1 || len(more) != 1 || more[0].Node != nodeID(0) {
		t.Fatalf("asked %d times, then %v", asked, more)
	}
	j.HomesChanged()
	if more := j.Next(2, now(1)); asked != 2 || len(more) != 2 || more[0].Node != nodeID(1) {
		t.Fatalf("after the change, asked %d times: %v", asked, more)
	}
	j.Failed(3, first[1], holo.Refuse(holo.Stale, "moved", "not the home"))
	if more := j.Next(3, now(2)); asked != 3 || len(more) != 2 || more[0].Node != nodeID(2) {
		t.Fatalf("after a failure, asked %d times: %v", asked, more)
	}
}

func TestWindowHoldsAllElseBack(t *testing.T) {
	j, first := start(make([]holo.ShardID, 10), homes(0))
	if len(first) != 2 || first[0].Task != 0 || first[1].Task != 1 {
		t.Fatalf("handed out %v, want tasks 0 and 1", first)
	}
	j.Done(0, first[1], Result{})
	more := j.Next(1, homes(0))
	if len(more) != 1 || more[0].Task != 2 {
		t.Fatalf("after one answer: %v, want task 2", more)
	}
}

func TestRefusalsAreNotChargedAndBackOffDoubles(t *testing.T) {
	j, out := start(make([]holo.ShardID, 1), homes(0))
	now, wait := holo.Time(0), holo.Duration(0)
	for i := range 20 {
		j.Failed(now, out[0], holo.Refuse(holo.Unavailable, "under_replicated", "not now"))
		at, ok := j.Wake(now)
		want := min(25*holo.Millisecond<<i, holo.Second)
		if wait = at.Sub(now); !ok || wait != want {
			t.Fatalf("after %d refusals wait %s, want %s", i+1, wait, want)
		}
		if early := j.Next(at-1, homes(0)); len(early) != 0 {
			t.Fatalf("handed out %v before the back-off ended", early)
		}
		now = at
		if out = j.Next(now, homes(0)); len(out) != 1 {
			t.Fatalf("after the back-off: %v", out)
		}
	}
	if s, _ := j.State(); s != Running {
		t.Fatal("twenty refusals were charged to the budget")
	}
}

func TestRefusalsEndWithPatience(t *testing.T) {
	j, out := start(make([]holo.ShardID, 1), homes(0))
	refused := holo.Refuse(holo.Unavailable, "under_replicated", "one copy, writes need two")
	now := holo.Time(0)
	for s := Running; s == Running; s, _ = j.State() {
		for _, a := range out {
			j.Failed(now, a, refused)
		}
		now = now.Add(500 * holo.Millisecond)
		out = j.Next(now, homes(0))
	}
	_, err := j.State()
	if holo.ReasonOf(err) != "under_replicated" || now < holo.Time(60*holo.Second) || now > holo.Time(62*holo.Second) {
		t.Fatalf("ended at %d with %v", now, err)
	}
}

func TestPatienceWaitsForARunningTask(t *testing.T) {
	j, out := start([]holo.ShardID{0, 1}, homes(0, 1))
	j.Failed(0, out[1], holo.Refuse(holo.Unavailable, "reconfiguring", "not now"))
	j.Next(holo.Time(300*holo.Second), homes(0, 1))
	if s, err := j.State(); s != Running {
		t.Fatalf("ended while task 0 runs: %v", err)
	}
}

// What was refused before an attempt that ran says nothing about the job now: the
// attempt's failure costs one try and no more. One that ran and was refused in
// the end, at its commit, is no reason to start over.
func TestPatienceStartsAnewAfterAnAttemptThatRan(t *testing.T) {
	refused := holo.Refuse(holo.Unavailable, "queue_full", "not now")
	for name, c := range map[string]struct {
		end  func(j *Job, now holo.Time, a Assign)
		want State
	}{
		"failed":    {func(j *Job, now holo.Time, a Assign) { j.Failed(now, a, holo.Errorf(holo.Cancelled, "worker died")) }, Running},
		"node lost": {func(j *Job, now holo.Time, a Assign) { j.NodeLost(now, a.Node) }, Running},
		"refused":   {func(j *Job, now holo.Time, a Assign) { j.Failed(now, a, refused) }, Failed},
	} {
		j, out := start(make([]holo.ShardID, 1), homes(0))
		j.Failed(0, out[0], refused)
		at, _ := j.Wake(0)
		out = j.Next(at, homes(0))
		now := holo.Time(90 * holo.Second)
		c.end(j, now, out[0])
		j.Next(now, homes(0))
		if s, err := j.State(); s != c.want {
			t.Errorf("%s after 90 s: state %v, want %v: %v", name, s, c.want, err)
		}
	}
}

func TestShardWithoutAHomeIsWaitedFor(t *testing.T) {
	j, out := start([]holo.ShardID{0}, homes())
	at, ok := j.Wake(0)
	if len(out) != 0 || !ok || at != holo.Time(holo.Second) {
		t.Fatalf("handed out %v, wake at %d %v", out, at, ok)
	}
	if out = j.Next(at, homes(0)); len(out) != 1 {
		t.Fatal("not handed out when the shard got a home")
	}
}

func TestChargedFailuresEndTheJob(t *testing.T) {
	j, out := start(make([]holo.ShardID, 1), homes(0))
	now := holo.Time(0)
	for range 5 {
		if s, err := j.State(); s != Running {
			t.Fatalf("ended early: %v", err)
		}
		j.Failed(now, out[0], holo.Errorf(holo.Indeterminate, "the connection ended"))
		now = now.Add(2 * holo.Second)
		out = j.Next(now, homes(0))
	}
	if s, err := j.State(); s != Failed || holo.KindOf(err) != holo.Indeterminate {
		t.Fatalf("state %d, %v", s, err)
	}
}

func TestTrapIsTriedOnceOnAnotherNode(t *testing.T) {
	j, out := start([]holo.ShardID{0, 1}, homes(0, 1))
	j.Failed(0, out[0], errTrap)
	again := j.Next(0, homes(0, 1))
	if len(again) != 1 || again[0] != (Assign{0, 2, nodeID(1)}) {
		t.Fatalf("after the trap: %v, want task 0 on the other node", again)
	}
	j.Failed(0, again[0], errTrap)
	if s, err := j.State(); s != Failed || holo.ReasonOf(err) != "out_of_gas" {
		t.Fatalf("after the second trap: state %d, %v", s, err)
	}
}

func TestTrapWithoutAnotherNodeEndsTheJob(t *testing.T) {
	j, out := start([]holo.ShardID{0}, homes(0))
	j.Failed(0, out[0], errTrap)
	if s, err := j.State(); s != Failed || holo.KindOf(err) != holo.KernelTrapped {
		t.Fatalf("state %d, %v", s, err)
	}
}

func TestTrapStandsWhenTheOtherNodeDies(t *testing.T) {
	j, out := start([]holo.ShardID{0, 1}, homes(0, 1))
	j.Failed(0, out[0], errTrap)
	j.NodeLost(0, nodeID(1))
	onlyFirst := homes(0, 0)
	for now := holo.Time(0); now < holo.Time(holo.Second); now += holo.Time(100 * holo.Millisecond) {
		j.Next(now, onlyFirst)
	}
	if s, err := j.State(); s != Failed || holo.KindOf(err) != holo.KernelTrapped {
		t.Fatalf("state %d, %v", s, err)
	}
}

func TestPermanentErrorsEndTheJobAtOnce(t *testing.T) {
	j, out := start(make([]holo.ShardID, 3), homes(0))
	j.Failed(0, out[0], holo.Errorf(holo.DataLost, "shard 0 is lost"))
	if s, err := j.State(); s != Failed || holo.KindOf(err) != holo.DataLost {
		t.Fatalf("state %d, %v", s, err)
	}
	if more := j.Next(0, homes(0)); len(more) != 0 || j.Done(0, out[1], Result{}) {
		t.Fatal("a failed job hands out or counts tasks")
	}
}

func TestCancelEndsTheJob(t *testing.T) {
	j, out := start(make([]holo.ShardID, 3), homes(0))
	j.Cancel()
	if s, err := j.State(); s != Cancelled || holo.KindOf(err) != holo.Cancelled {
		t.Fatalf("state %d, %v", s, err)
	}
	if j.Done(0, out[0], Result{}) || len(j.Next(0, homes(0))) != 0 || len(j.Nodes()) != 1 {
		t.Fatal("a cancelled job counts or hands out tasks, or forgets whom to tell")
	}
}

func TestJobWithoutTasksIsComplete(t *testing.T) {
	if s, _ := New(nil, Options{}).State(); s != Complete {
		t.Fatal("a job over empty arrays does not end")
	}
	if !NewTree(0).Whole() {
		t.Fatal("the tree over no tasks is not whole")
	}
}

// Each task that has to be tried again is told once, with the reason why its last
// attempt did not count; one that ends the job is not.
func TestRetriesAreToldOnceWithTheirReason(t *testing.T) {
	home := homes(0, 1, 1, 2, 2)
	j, out := start([]holo.ShardID{0, 1, 2, 3, 4}, home)
	if len(out) != 5 {
		t.Fatalf("handed out %v", out)
	}
	at := func(id holo.TaskID) Assign {
		return out[slices.IndexFunc(out, func(a Assign) bool { return a.Task == id })]
	}
	j.NodeLost(0, nodeID(1))
	j.Failed(0, at(3), holo.Errorf(holo.Unavailable, "busy"))
	j.Failed(0, at(4), errTrap)
	want := map[Reason]uint64{NodeLost: 2, Refused: 1, Trapped: 1}
	if got := j.Retries(); !maps.Equal(got, want) {
		t.Errorf("tried again are %v, want %v", got, want)
	}
	if again := j.Retries(); len(again) > 0 {
		t.Errorf("told again: %v", again)
	}
	j.Failed(0, at(0), holo.Errorf(holo.Denied, "no"))
	if s, _ := j.State(); s != Failed || len(j.Retries()) > 0 {
		t.Errorf("the job is in state %d", s)
	}
}
