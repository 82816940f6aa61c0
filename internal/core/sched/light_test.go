package sched

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// near is a job of 200 tasks, of which every second lies at the coordinator's node.
func near(s Stage) *Job {
	s.Shards = make([]holo.ShardID, 200)
	for i := range s.Shards {
		s.Shards[i] = holo.ShardID(i % 2)
	}
	return NewGraph([]Stage{s}, Options{Self: nodeID(0), Together: 16})
}

// each counts what a node is given, and what of that may go together.
func each(j *Job, list []Assign, n int) (given, joins int) {
	for _, a := range list {
		if a.Node == nodeID(n) {
			given++
			if j.Joins(a) {
				joins++
			}
		}
	}
	return given, joins
}

// The first tasks of a stage go alone. When they are known to be light the own node gets
// two trips of them; another node never does, and none does of tasks that are not light.
func TestLightTasksOfTheOwnNodeComeTogether(t *testing.T) {
	for name, c := range map[string]struct {
		stage Stage
		gas   holo.Gas
		want  int
	}{
		"light": {Stage{Joins: true, Moves: lightMoves}, lightGas, 31},
		"dear":  {Stage{Joins: true, Moves: lightMoves}, lightGas + 1, 1},
		"large": {Stage{Joins: true, Moves: lightMoves + 1}, 1, 1},
		"alone": {Stage{Moves: 1}, 1, 1},
	} {
		j := near(c.stage)
		first := j.Next(0, homes(0, 1))
		for n := range 2 {
			if given, joins := each(j, first, n); given != 2 || joins != 0 {
				t.Errorf("%s: node %d begins with %d tasks, %d together", name, n, given, joins)
			}
		}
		j.Done(1, first[0], Result{Gas: c.gas})
		more := j.Next(1, homes(0, 1))
		own, joins := each(j, more, 0)
		other, _ := each(j, more, 1)
		if own != c.want || joins > 0 != (c.want > 1) || other != 0 {
			t.Errorf("%s: %d more, %d of them together; the other node %d", name, own, joins, other)
		}
	}
}

// A task that failed may be what ended its worker: it takes nobody along.
func TestTaskThatFailedGoesAlone(t *testing.T) {
	j := near(Stage{Joins: true})
	first := j.Next(0, homes(0, 1))
	j.Done(1, first[0], Result{})
	if !j.Joins(first[1]) {
		t.Fatalf("%+v goes alone", first[1])
	}
	j.Failed(2, first[1], holo.Errorf(holo.Indeterminate, "its worker ended"))
	for _, a := range j.Next(holo.Time(holo.Second), homes(0, 1)) {
		if a.Task == first[1].Task {
			if j.Joins(a) {
				t.Errorf("attempt %d goes together with others", a.Attempt)
			}
			return
		}
	}
	t.Error("it is not tried again")
}

// 16 results that come at once are one answer: a node that has them so is as fast as one
// that has each at its time.
func TestResultsOfOneMomentAreOneAnswer(t *testing.T) {
	var single, trips pace
	for i := range 16 * 8 {
		single.answered(holo.Time(i+1)*holo.Time(holo.Millisecond), 1000, 0.75)
		trips.answered(holo.Time(i/16+1)*holo.Time(16*holo.Millisecond), 1000, 0.75)
	}
	if a, b := single.rate(), trips.rate(); b < a/2 || b > 2*a {
		t.Errorf("%.0f gas a second one by one, %.0f together", a, b)
	}
}
