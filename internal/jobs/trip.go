package jobs

import (
	"context"

	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/internal/workers"
)

// A trip is some light tasks of one stage, at the coordinator's own node: they have
// one turn there, go to a worker together and come back together. All else each has
// for itself: its instance and gas, its commit, its receipt and its failure.

// tripTasks is how many go together at most: each then pays a sixteenth of the trip,
// and more would save little.
const tripTasks = 16

// trips cuts what the schedule hands out into trips. What may not join others is a
// trip of its own.
func (j *job) trips(out []sched.Assign) (list [][]sched.Assign) {
	for len(out) > 0 {
		n := 1
		for n < min(len(out), tripTasks) && j.together(out[0], out[n]) {
			n++
		}
		list, out = append(list, out[:n:n]), out[n:]
	}
	return list
}

func (j *job) together(a, b sched.Assign) bool {
	return j.sched.Joins(a) && j.sched.Joins(b) && j.stageOf(a.Task) == j.stageOf(b.Task)
}

// recalls gives each attempt of a trip its own way to recall it: the last one that is
// recalled ends the trip.
func recalls(n int, end context.CancelFunc) []context.CancelFunc {
	list, left := make([]context.CancelFunc, n), n
	for i := range list {
		recalled := false
		list[i] = func() {
			if recalled {
				return
			}
			if recalled, left = true, left-1; left == 0 {
				end()
			}
		}
	}
	return list
}

// doAll does the work of a trip. What one fails with is no other's.
func doAll(ctx context.Context, list []*work) {
	var ready []*work
	for _, w := range list {
		if w.err = w.read(ctx); w.err == nil {
			ready = append(ready, w)
		}
	}
	computeAll(ctx, ready)
	for _, w := range ready {
		if w.err == nil {
			w.err = w.finish(ctx)
		}
	}
}

// computeAll runs the kernels of a trip. What a trip did not bring home, because a
// task before it or the worker failed, begins anew, alone: so a task that ends its
// worker costs no other task a try.
func computeAll(ctx context.Context, list []*work) {
	if len(list) > 1 {
		kernels := make([]*workers.Task, len(list))
		for i, w := range list {
			kernels[i] = w.kernel()
		}
		done, _, _ := list[0].workers.Together(ctx, kernels)
		for i, used := range done {
			list[i].result.Gas = used.Gas
		}
		list = list[len(done):]
	}
	for _, w := range list {
		w.err = w.compute(ctx)
	}
}

// used is the gas of all of them.
func used(list []*work) (gas holo.Gas) {
	for _, w := range list {
		gas += w.result.Gas
	}
	return gas
}

// fail puts an error into the answer, if there is one.
func (w *work) fail(err error) {
	if err != nil {
		w.result.Partial, w.result.Failed = nil, true
		w.result.Failure = *wire.FailureOf(taskError(w.task, err))
	}
}
