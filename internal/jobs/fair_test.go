package jobs

import (
	"sync"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// commitsBetween counts the commits of the jobs of one user until another's job
// has committed all of its own.
type commitsBetween struct {
	sync.Mutex
	job    holo.JobID // the other's
	left   int
	others int
	many   chan struct{} // closed when the first user is well under way
	seen   int
}

func (c *commitsBetween) see(_ int, t *TaskCommit) {
	c.Lock()
	defer c.Unlock()
	if c.seen++; c.seen == 10 {
		close(c.many)
	}
	switch {
	case t.Job == c.job:
		c.left--
	case c.job != 0 && c.left > 0:
		c.others++
	}
}

// One user has as many jobs as the node takes of one user, each with many tasks
// waiting. Another one's job of four tasks is taken, and while it runs no more
// of the first one's tasks come in than its own and those that were running.
func TestAnotherUsersJobIsNotHeldUpByAFlood(t *testing.T) {
	const n = 40 * 16384
	l := newLAN(t, 1, Options{})
	r := l.peers[0].runner
	ones := l.longs("x", 1, make([]int64, n))
	c := &commitsBetween{many: make(chan struct{}), left: 4}
	l.onCommit = c.see
	spec := func(owner byte, n int) Spec {
		s := l.addJob(ones, ones, l.longs("x", 1, make([]int64, n)))
		s.Owner = holo.PrincipalID{owner}
		if n != 40*16384 {
			in := l.longs("x", 1, make([]int64, n))
			s.Inputs = []holo.ArrayID{in, in}
		}
		return s
	}
	flood, later := spec(1, n), spec(2, 4*16384)
	taken, refused := 0, 0
	for range 1000 {
		if _, err := r.Submit(t.Context(), flood); err == nil {
			taken++
		} else if holo.ReasonOf(err) == ReasonTooManyJobs && holo.KindOf(err) == holo.Exhausted {
			refused++
		} else {
			t.Fatal(err)
		}
		if taken == 6 {
			break
		}
	}
	if _, err := r.Submit(t.Context(), flood); holo.ReasonOf(err) != ReasonTooManyJobs {
		t.Fatalf("a seventh job: %v", err)
	}
	<-c.many
	c.Lock()
	id, err := r.Submit(t.Context(), later)
	c.job = id
	c.Unlock()
	if err != nil {
		t.Fatalf("another user's job: %v", err)
	}
	if j := l.finish(l.peers[0], id); j.State != Done {
		t.Fatal(j.Err)
	}
	c.Lock()
	defer c.Unlock()
	if c.others > 8 {
		t.Errorf("%d tasks of the flood were done while four of another user were", c.others)
	}
}

// 100,000 submissions of one user leave nothing behind but the jobs that run.
func TestSubmissionsThatAreRefusedLeaveNothing(t *testing.T) {
	l := newLAN(t, 1, Options{})
	r := l.peers[0].runner
	s := l.endless()
	for range 6 {
		if _, err := r.Submit(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	for range 100_000 {
		if _, err := r.Submit(t.Context(), s); holo.ReasonOf(err) != ReasonTooManyJobs {
			t.Fatal(err)
		}
	}
	r.mu.Lock()
	if len(r.mu.jobs) != 6 || len(r.mu.starting) != 0 {
		t.Errorf("%d jobs and %d reservations are kept", len(r.mu.jobs), len(r.mu.starting))
	}
	r.mu.Unlock()
	s.Owner = holo.PrincipalID{2}
	if _, err := r.Submit(t.Context(), s); err != nil {
		t.Errorf("another user's job: %v", err)
	}
}
