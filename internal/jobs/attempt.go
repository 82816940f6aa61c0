package jobs

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// attempt runs one attempt where the schedule wants it, here or on another
// node, and turns whatever comes back into an event.
func (j *job) attempt(ctx context.Context, a sched.Assign) event {
	t := j.message(a)
	if a.Node == j.runner.cluster.Self() {
		return j.answer(a, t, j.runner.worker.run(ctx, t), nil)
	}
	r, err := j.runner.cluster.RunTask(ctx, a.Node, t)
	return j.answer(a, t, r, err)
}

// timed is attempt, and when it was.
func (j *job) timed(ctx context.Context, a sched.Assign) event {
	now := j.runner.cluster.Now
	start := now()
	e := j.attempt(ctx, a)
	e.start, e.end = time.Duration(start.Sub(j.began)), time.Duration(now().Sub(j.began))
	return e
}

// answer checks what a node said. Nodes are admitted, but an answer to another
// question would be counted as this one's.
func (j *job) answer(a sched.Assign, t *wire.RunTask, r *wire.TaskResult, err error) event {
	e := event{Assign: a, result: r, err: err}
	switch {
	case err != nil:
	case r.Job != t.Job || r.Epoch != t.Epoch || r.Task != t.Task || r.Attempt != t.Attempt:
		e.err = holo.Errorf(holo.Corrupt, "task %d of job %d: node %s answered task %d of job %d", t.Task, t.Job, a.Node, r.Task, r.Job)
	case r.Failed:
		e.err = r.Failure.Err()
	case len(r.Partial) != int(t.AccBytes):
		e.err = holo.Errorf(holo.Corrupt, "task %d of job %d: node %s answered with %d bytes, want %d", t.Task, t.Job, a.Node, len(r.Partial), t.AccBytes)
	default:
		e.err = j.checkReceipt(a, t, r)
	}
	return e
}

func (j *job) message(a sched.Assign) *wire.RunTask {
	s := j.stageOf(a.Task)
	shape := s.inputs[0].Shape
	extent := uint64(a.Task - s.first)
	first := extent * shape.Extent
	t := &wire.RunTask{
		Job: j.id, Epoch: j.epoch, Task: a.Task, Attempt: a.Attempt, Owner: j.spec.Owner,
		Module: s.spec.Module, Kernel: s.spec.Kernel, Kind: s.spec.Kind, Function: s.spec.Function,
		Params: s.params, AccBytes: uint32(s.spec.AccBytes), Gas: s.spec.Gas, MemoryPages: memoryPages,
		Halo: s.spec.Halo, Length: shape.Length, Extent: shape.Extent, First: first, Count: min(shape.Extent, shape.Length-first),
	}
	for _, in := range s.inputs {
		t.Inputs = append(t.Inputs, j.at(in, extent))
	}
	if s.spec.Kind == wire.TaskMap {
		t.Output = j.at(s.output, extent)
	}
	return t
}

func (j *job) at(a Array, extent uint64) wire.TaskArray {
	return wire.TaskArray{Array: a.ID, Type: a.Shape.Type, Shard: j.runner.cluster.Shard(a, extent)}
}

// combine starts the steps that became possible, in their order, unless some
// are being done. Each runs in an instance of its own: nothing that a kernel
// keeps in memory can make the result depend on the order of arrival.
func (j *job) combine(g *group) {
	if j.combining || len(j.steps) == 0 {
		return
	}
	steps := j.steps
	j.steps, j.combining = nil, true
	into, from := make([]*partial, len(steps)), make([]*partial, len(steps))
	for i, s := range steps {
		into[i], from[i] = j.partials[s.Into], j.partials[s.From]
	}
	g.Go(func(ctx context.Context) {
		e := event{steps: steps}
		for i, step := range steps {
			var said wire.Said
			r, err := j.combineOne(ctx, step, into[i], from[i], &said)
			e.gas += r.Gas
			e.said = append(e.said, said)
			if err != nil {
				e.err = holo.Refuse(holo.KindOf(err), holo.ReasonOf(err), "job %d: combine task %d into task %d: %w", j.id, step.From, step.Into, err)
				break
			}
			e.receipts = append(e.receipts, r)
		}
		j.post(ctx, e)
	})
}

// combineTries is how often one step is tried when the worker is at fault, as
// often as a task.
const combineTries = 4

// combineOne adds one accumulator to another. A worker that fails has changed
// neither of them.
func (j *job) combineOne(ctx context.Context, s sched.Step, into, from *partial, said *wire.Said) (*wire.StepReceipt, error) {
	t := j.message(sched.Assign{Task: s.Into})
	for try := 1; ; try++ {
		*said = wire.Said{}
		used, err := j.runner.workers.Run(ctx, combineTask(t, j.stageOf(s.Into).module, into.acc, from.acc, said))
		if kind := holo.KindOf(err); kind != holo.Indeterminate && kind != holo.Corrupt || try == combineTries {
			r := combined(t, s.From, into.sum, from.sum, into.acc, used.Gas)
			r.Node, r.Time = j.runner.cluster.Self(), j.runner.cluster.Date()
			into.sum = r.Output
			return r, err
		}
	}
}

// takeCombined ends a round of combining. Two steps of a round may build upon
// each other, so what was combined is dropped only now.
func (j *job) takeCombined(e event) {
	j.combining = false
	j.combined += e.gas
	j.failure = e.err
	for i := range e.said {
		j.hear(sched.Assign{Task: e.steps[i].Into, Node: j.runner.cluster.Self()}, &e.said[i])
	}
	for _, r := range e.receipts {
		j.keep(kept{step: r})
	}
	for _, s := range e.steps {
		j.held -= uint64(len(j.partials[s.From].acc))
		delete(j.partials, s.From)
		if e.err == nil {
			j.stageOf(s.Into).joined(j)
		}
	}
}
