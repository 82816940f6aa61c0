package sched

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
)

// Reason is the one reason why a task is where it is.
type Reason uint8

// The reasons. Each task of each job has one of them at any time.
const (
	AtHome     Reason = iota + 1 // runs or ran on the home of its shard, at the first attempt
	AfterStage                   // waits for a stage before it
	WindowFull                   // the home of its shard has as much as it may have at once
	NoHome                       // its shard has no home now
	BackOff                      // was refused or failed, as it or all others, and waits before the next attempt
	Refused                      // a node refused it before: the cluster re-arranged itself
	NodeLost                     // a node that had it was lost
	Trapped                      // its kernel trapped: once more, on another node
	Faulted                      // an attempt ended without an answer, or with a wrong one
	TheCause                     // its failure ended the job
	JobFailed                    // not run to its end: the job failed
	JobEnded                     // not run to its end: the job was cancelled
	Stolen                       // taken by a node that had nothing to do: its home would have come to it late
	Speculated                   // run once more, by a node that had nothing to do: where it was it was late
	reasons
)

// String is the reason's code.
func (r Reason) String() string {
	codes := [...]string{
		"unknown", "at_home", "after_stage", "window_full", "no_home", "back_off", "refused", "node_lost", "trapped", "faulted",
		"the_cause", "job_failed", "job_cancelled", "stolen", "speculated",
	}
	return codes[min(int(r), len(codes)-1)]
}

// TaskState is where a task stands.
type TaskState uint8

// The states of a task.
const (
	TaskWaiting TaskState = iota // for other tasks
	TaskQueued
	TaskRunning
	TaskDone
	TaskFailed
	TaskUnrun // and the job is over
)

// String is the state's name.
func (s TaskState) String() string {
	return [...]string{"waiting", "queued", "running", "done", "failed", "not_run"}[min(s, TaskUnrun)]
}

// Why tells where a task stands, the reason, and what proves it.
type Why struct {
	Task    holo.TaskID
	State   TaskState
	Reason  Reason
	Attempt holo.Attempt // the last one; 0: none
	Node    holo.NodeID  // of the last attempt
	Stage   int          // that it waits for, with AfterStage
	Proof   error        // the last failure of the task, or of the job; nil where none is remembered
}

// maxProofs bounds the failures that are remembered in words, the last of each
// task: of older ones the reason is.
const maxProofs = 1024

// Why gives the reason of one task. home is that of Next.
func (j *Job) Why(id holo.TaskID, home func(holo.ShardID) (holo.NodeID, bool)) Why {
	t := j.task(id)
	w := Why{Task: id, Attempt: t.attempts, Proof: j.proofs[id], Reason: t.reason}
	if t.attempts > 0 {
		w.Node = j.nodes[t.node].id
	}
	switch {
	case t.done:
		w.State = TaskDone
	case j.state != Running:
		w.State, w.Reason, w.Proof = j.unrun(id)
	case j.isOut(id):
		w.State = TaskRunning
	case t.needs > 0:
		w.State, w.Reason, w.Stage = TaskWaiting, AfterStage, j.waitsFor(id)
	default:
		w.State, w.Reason = TaskQueued, j.whyQueued(id, home)
		if w.Reason == BackOff && j.inLull() {
			w.Proof = j.whyLull()
		}
	}
	return w
}

func (j *Job) unrun(id holo.TaskID) (TaskState, Reason, error) {
	switch {
	case j.state == Cancelled:
		return TaskUnrun, JobEnded, j.err
	case j.isCause && id == j.cause:
		return TaskFailed, TheCause, j.err
	}
	return TaskUnrun, JobFailed, j.err
}

// isOut reports whether an attempt is out.
func (j *Job) isOut(id holo.TaskID) bool {
	return j.task(id).out > 0
}

// waitsFor is the first stage that holds a task back.
func (j *Job) waitsFor(id holo.TaskID) int {
	number, i := j.stageOf(id)
	for k := range j.stages[:number] {
		s := &j.stages[k]
		if slices.Contains(s.feeds, number) && !j.tasks[s.first+i].done || slices.Contains(s.opens, number) && !s.finished {
			return k
		}
	}
	return number
}

func (j *Job) whyQueued(id holo.TaskID, home func(holo.ShardID) (holo.NodeID, bool)) Reason {
	if j.tasks[id].delayed {
		return BackOff
	}
	if slices.Contains(j.strays, id) {
		return Trapped
	}
	if _, ok := home(j.shards[id]); !ok {
		return NoHome
	}
	if j.inLull() {
		return BackOff
	}
	return WindowFull
}

// note remembers why a task's last attempt did not count.
func (j *Job) note(id holo.TaskID, r Reason, err error) {
	j.task(id).reason = r
	if _, known := j.proofs[id]; !known {
		j.noted = append(j.noted, id)
	}
	j.proofs[id] = err
	if len(j.noted) > maxProofs {
		delete(j.proofs, j.noted[0])
		j.noted = j.noted[1:]
	}
}

// reasonOf is the reason why a task whose attempt failed so is tried again.
func reasonOf(c cause) Reason {
	switch c {
	case causeRefused:
		return Refused
	case causeTrap:
		return Trapped
	default:
		return Faulted
	}
}
