package jobs

import (
	"strings"
	"sync"
	"testing"

	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
)

// soak asks why of every task of a graph whenever a task is about to commit.
type soak struct {
	*lan
	mu     sync.Mutex
	asked  int
	states map[sched.TaskState]int
	moved  map[sched.Reason]int // of tasks that are not where they would be without trouble
}

func (s *soak) ask(job holo.JobID, tasks int) {
	for task := range holo.TaskID(tasks) {
		b, err := s.peers[0].runner.WhyTask(s.Context(), job, task)
		if err != nil {
			s.Errorf("task %d: %v", task, err)
			return
		}
		s.mu.Lock()
		s.asked++
		s.states[b.State]++
		if b.Reason != sched.AtHome && b.Reason != sched.AfterStage && b.Reason != sched.WindowFull {
			s.moved[b.Reason]++
		}
		s.mu.Unlock()
		if b.Reason.String() == "unknown" || b.Proof == "" || strings.Contains(b.Proof, "not remembered") {
			s.Errorf("task %d: %+v", task, b)
		}
	}
}

// Graphs run in trouble, and a node dies in each: whenever anybody asks, each task
// has a reason and what proves it.
func TestNoTaskIsUnknownThroughTroubleAndDeaths(t *testing.T) {
	const extents, depth = 8, 3
	s := &soak{states: map[sched.TaskState]int{}, moved: map[sched.Reason]int{}}
	for run := range 6 {
		s.lan = newLAN(t, 3, troubled)
		s.chaos = 10
		spec, _ := s.sums(extents*16384, depth)
		var once sync.Once
		s.onCommit = func(_ int, c *TaskCommit) {
			s.ask(c.Job, extents*(depth+1))
			if c.Task >= holo.TaskID(extents+run) {
				once.Do(func() { s.kill(1 + run%2) })
			}
		}
		j := s.do(spec)
		s.ask(j.ID, extents*(depth+1))
	}
	if s.asked < 3000 || s.states[sched.TaskQueued] == 0 || s.states[sched.TaskRunning] == 0 || s.states[sched.TaskDone] == 0 || len(s.moved) < 2 || s.moved[sched.NodeLost] == 0 {
		t.Errorf("asked %d times, of tasks in states %v, moved for %v: too little to show anything", s.asked, s.states, s.moved)
	}
	t.Logf("asked %d times, of tasks in states %v, moved for %v", s.asked, s.states, s.moved)
}
