package sched

import (
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

var errNoMajority = holo.Refuse(holo.Unavailable, "no_leader", "no majority of the nodes is in reach")

// outage has each attempt refused a millisecond after it was handed out, until
// the time is over, and counts them. homes that do not change are those of every
// task's shard.
func outage(j *Job, now, until holo.Time, home func(holo.ShardID) (holo.NodeID, bool)) (tries int, last holo.Time) {
	for now < until {
		for _, a := range j.Next(now, home) {
			tries++
			j.Failed(now.Add(holo.Millisecond), a, errNoMajority)
		}
		now = now.Add(holo.Millisecond)
		if at, ok := j.Wake(now); ok {
			now = max(now, at)
		}
	}
	return tries, now
}

// While a cluster refuses everything, a job of a thousand tasks asks about once a
// second, says so, and loses no time once it is answered.
func TestAJobHoldsBackWhileEverythingIsRefused(t *testing.T) {
	shards := make([]holo.ShardID, 1000)
	for i := range shards {
		shards[i] = holo.ShardID(i % 3)
	}
	j, home := New(shards, Options{}), homes(0, 1, 2)
	tries, now := outage(j, 0, holo.Time(50*holo.Second), home)
	if free := trials * 2 * 3; tries < free || tries > free+6+51 {
		t.Errorf("%d tries in 50 s, want the first %d, 6 while the pause doubles and one a second", tries, trials*2*3)
	}
	for _, id := range []holo.TaskID{0, 999} {
		w := wantWhyAt(t, j, id, home, TaskQueued, BackOff)
		if holo.ReasonOf(w.Proof) != "no_leader" || !strings.Contains(w.Proof.Error(), "attempts of the job were refused") {
			t.Errorf("task %d: the proof is %v", id, w.Proof)
		}
	}
	one := j.Next(now, home)
	if len(one) != 1 {
		t.Fatalf("handed out %v, want one task to try", one)
	}
	j.Done(now, one[0], Result{})
	if all := j.Next(now, home); len(all) != 6 {
		t.Errorf("after an answer %d tasks went out, want what the windows hold", len(all))
	}
}

// A home that changed is news: what was held back goes there at once.
func TestALullEndsWithAHomeThatChanges(t *testing.T) {
	j := New(make([]holo.ShardID, 100), Options{})
	_, now := outage(j, 0, holo.Time(20*holo.Second), homes(0))
	j.HomesChanged()
	if out := j.Next(now, homes(1)); len(out) != 2 || out[0].Node != nodeID(1) {
		t.Errorf("handed out %v, want two tasks to the new home", out)
	}
}

// A shard that works is found though many tasks before it are refused.
func TestALullFindsTheShardThatWorks(t *testing.T) {
	shards := make([]holo.ShardID, 300)
	shards[299] = 1
	j, home := New(shards, Options{}), homes(0, 0)
	now := holo.Time(0)
	for now < holo.Time(10*holo.Second) {
		for _, a := range j.Next(now, home) {
			if a.Task == 299 {
				return
			}
			j.Failed(now, a, errNoMajority)
		}
		at, _ := j.Wake(now)
		now = max(now.Add(holo.Millisecond), at)
	}
	t.Error("the last task, whose shard was never refused, was not tried in 10 s")
}
