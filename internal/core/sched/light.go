package sched

import "github.com/holocompute/holocompute/internal/holo"

// A light task is less work than to hand it over, so the coordinator's own node
// gets as many as go to a worker in one trip, and as many again. It has them for
// some milliseconds, and no message is spent on them.

// A task is light that moves as much as one small call does, and of whose stage
// those that are done used, in the mean, what takes about a millisecond: the
// first of a stage go alone.
const (
	lightMoves = 256 << 10
	lightGas   = 1 << 20
)

func (j *Job) light(id holo.TaskID) bool {
	number, _ := j.stageOf(id)
	s := &j.stages[number]
	return s.joins && s.moves <= lightMoves && s.done > 0 && uint64(s.gas) <= lightGas*uint64(s.done)
}

// Joins reports whether an attempt may go to a worker together with others of its
// stage. A task that was tried before goes alone: it may be what ended its worker.
func (j *Job) Joins(a Assign) bool {
	return j.opt.Together > 1 && a.Node == j.opt.Self && a.Attempt == 1 && j.light(a.Task)
}

// windowFor is how many tasks a node may have of which this one is the last.
func (j *Job) windowFor(n *node, id holo.TaskID) int {
	w := j.windowOf(n)
	if n.id == j.opt.Self && j.task(id).attempts == 0 && j.light(id) {
		return w * j.opt.Together
	}
	return w
}
