package sched

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/invariant"
)

// Step combines two partial results: Into becomes Into (+) From, and From is
// gone. Into always is the lower task, so the order of the elements is kept.
type Step struct{ Into, From holo.TaskID }

// Tree is the fixed order in which the partial results of a reduce are
// combined: task i with i+1 for even i, then those pairs with their neighbours
// and so on; what has no neighbour to its right goes up unchanged. The result
// ends up at task 0. The shape depends on the number of tasks alone, so sums
// of floats come out bit for bit the same on any number of nodes and in any
// order of arrival.
//
// For five tasks:
//
//	((0 1) (2 3)) 4
//
// A Tree gives out each step as soon as both its sides are there, so partial
// results are held only until their neighbours come.
type Tree struct {
	tasks  uint64
	ready  map[place]bool // subtrees that wait for their neighbour
	joined uint64         // steps given out
}

// place names a subtree: at a level, counted from the left. It covers the
// tasks from at<<level up to (at+1)<<level.
type place struct {
	level uint8
	at    uint64
}

// NewTree makes the tree over n tasks.
func NewTree(n int) *Tree { return &Tree{tasks: uint64(n), ready: map[place]bool{}} }

// Add says that a task's partial result is there, once per task, and returns
// the steps that became possible. They must be done in this order, and before
// or after those of other calls in the order of the calls.
func (t *Tree) Add(id holo.TaskID) []Step {
	invariant.Check(uint64(id) < t.tasks, "task %d in a tree of %d", id, t.tasks)
	var steps []Step
	for p := (place{0, uint64(id)}); t.width(p.level) > 1; p = (place{p.level + 1, p.at / 2}) {
		next := place{p.level, p.at ^ 1}
		if next.at >= t.width(p.level) {
			continue // no neighbour: it goes up unchanged
		}
		if !t.ready[next] {
			invariant.Check(!t.ready[p], "task %d twice", id)
			t.ready[p] = true
			break
		}
		delete(t.ready, next)
		left, right := min(p.at, next.at), max(p.at, next.at)
		steps = append(steps, Step{holo.TaskID(left << p.level), holo.TaskID(right << p.level)})
	}
	t.joined += uint64(len(steps))
	return steps
}

// Whole reports whether all steps were given out.
func (t *Tree) Whole() bool { return t.joined+1 >= t.tasks }

// width is the number of subtrees at a level.
func (t *Tree) width(level uint8) uint64 { return (t.tasks + 1<<level - 1) >> level }
