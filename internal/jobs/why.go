package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
)

// Because are tasks that are in one state for one reason, and what proves it of
// the first of them.
type Because struct {
	sched.Why
	Stage int // of the first
	Count int
	Proof string
}

// Why tells why the tasks of a job that this node coordinates or remembers are
// where they are: those in one state for one reason together, in order of the
// first of each.
func (r *Runner) Why(ctx context.Context, id holo.JobID) ([]Because, error) {
	j, err := r.find(id)
	if err != nil {
		return nil, err
	}
	var list []Because
	err = j.ask(ctx, func() { list = j.whyAll() })
	return list, err
}

// WhyTask is Why of one task.
func (r *Runner) WhyTask(ctx context.Context, id holo.JobID, task holo.TaskID) (Because, error) {
	j, err := r.find(id)
	if err != nil {
		return Because{}, err
	}
	if n := j.count(); uint64(task) >= n {
		return Because{}, holo.Errorf(holo.NotFound, "why task %d of job %d: it has tasks 0 to %d", task, id, int64(n)-1)
	}
	var b Because
	err = j.ask(ctx, func() { b = j.because(task) })
	return b, err
}

func (j *job) whyAll() (list []Because) {
	type key struct {
		state  sched.TaskState
		reason sched.Reason
	}
	at := map[key]int{}
	for id := range holo.TaskID(j.count()) {
		w := j.sched.Why(id, j.runner.cluster.Home)
		i, known := at[key{w.State, w.Reason}]
		if !known {
			i = len(list)
			at[key{w.State, w.Reason}] = i
			list = append(list, j.because(id))
			continue
		}
		list[i].Count++
	}
	return list
}

func (j *job) because(id holo.TaskID) Because {
	w := j.sched.Why(id, j.runner.cluster.Home)
	return Because{Why: w, Stage: j.stageOf(id).number, Count: 1, Proof: j.prove(w)}
}

// prove says what shows that a task is where it is: what it waits for by name,
// the home that the configuration of its shard names, or the failure.
func (j *job) prove(w sched.Why) string {
	s := j.stageOf(w.Task)
	shard := j.message(sched.Assign{Task: w.Task}).Inputs[0].Shard
	if s.output.ID != 0 {
		shard = j.runner.cluster.Shard(s.output, uint64(w.Task-s.first))
	}
	home, ok := j.runner.cluster.Home(shard)
	switch {
	case w.Reason == sched.AfterStage:
		return fmt.Sprintf("stage %d is not done as far as it needs it", w.Stage)
	case w.Reason == sched.NoHome && w.Proof == nil:
		return fmt.Sprintf("shard %d has no home in the configurations that this node knows", shard)
	case w.Reason == sched.WindowFull:
		return fmt.Sprintf("node %s is the home of shard %d and has as many tasks as it may", home, shard)
	case w.Proof != nil:
		return w.Proof.Error()
	case w.Reason == sched.Stolen:
		return fmt.Sprintf("node %s had nothing to do, and node %s, the home of shard %d, would have come to it late", w.Node, home, shard)
	case w.Reason == sched.Speculated:
		return fmt.Sprintf("node %s had nothing to do, and the attempt before number %d was late", w.Node, w.Attempt)
	case w.Reason == sched.AtHome && ok && home == w.Node:
		return fmt.Sprintf("node %s is the home of shard %d", home, shard)
	case w.Reason == sched.AtHome:
		return fmt.Sprintf("node %s was the home of shard %d when the task was handed out", w.Node, shard)
	}
	return fmt.Sprintf("attempt %d; what ended the one before it is not remembered", w.Attempt)
}

// asking is put to the goroutine that owns a job.
type asking struct {
	answer func()
	done   chan struct{}
}

// ask has the job's goroutine do something between two events. When that has
// ended, nothing of the job changes any more, and it is done here.
func (j *job) ask(ctx context.Context, answer func()) error {
	q := asking{answer, make(chan struct{})}
	select {
	case j.questions <- q:
	case <-j.ended:
		j.after.Lock()
		defer j.after.Unlock()
		answer()
		return nil
	case <-ctx.Done():
		return holo.Errorf(holo.Cancelled, "ask about job %d: %w", j.id, context.Cause(ctx))
	}
	<-q.done
	return nil
}

// isEnded reports whether nothing of the job is scheduled any more.
func (j *job) isEnded() bool {
	select {
	case <-j.ended:
		return true
	default:
		return false
	}
}

// maxSpans bounds what is remembered of a job's attempts, of some 64 bytes
// each: half a MiB.
const maxSpans = 8192

// Span is when an attempt ran and what became of it.
type Span struct {
	sched.Assign
	Stage      int
	Start, End time.Duration // since the coordinator began
	Outcome    string        // done, late, recalled, or the reason or kind of its failure
}

// Trace is what is remembered of the attempts of a job that this node
// coordinates or remembers, in the order in which they ended.
func (r *Runner) Trace(ctx context.Context, id holo.JobID) (spans []Span, dropped uint64, err error) {
	j, err := r.find(id)
	if err != nil {
		return nil, 0, err
	}
	err = j.ask(ctx, func() { spans, dropped = append(spans, j.spans...), j.dropped })
	return spans, dropped, err
}

// span remembers an attempt that ended.
func (j *job) span(e event, counts bool) {
	s := Span{Assign: e.Assign, Stage: j.stageOf(e.Task).number, Start: e.start, End: e.end, Outcome: "done"}
	switch {
	case e.err != nil && j.sched.IsDone(e.Task):
		s.Outcome = "recalled"
	case e.err != nil && holo.ReasonOf(e.err) != "":
		s.Outcome = holo.ReasonOf(e.err)
	case e.err != nil:
		s.Outcome = holo.KindOf(e.err).String()
	case !counts:
		s.Outcome = "late"
	}
	j.addSpan(s)
}

// spanOut remembers the attempts that are out when the job ends: it recalls them.
func (j *job) spanOut() {
	for a, o := range j.out {
		j.addSpan(Span{Assign: a, Stage: j.stageOf(a.Task).number, Start: o.since, End: j.age(), Outcome: "recalled"})
	}
}

func (j *job) addSpan(s Span) {
	if len(j.spans) == maxSpans {
		j.dropped++
		return
	}
	j.spans = append(j.spans, s)
}
