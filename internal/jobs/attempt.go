package jobs

import (
	"context"
	"slices"
	"time"

	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/internal/workers"
)

// attempt runs one attempt on another node, or those of a trip here, as the
// schedule wants it, and turns whatever comes back into events.
func (j *job) attempt(ctx context.Context, trip []sched.Assign) []event {
	if a := trip[0]; a.Node != j.runner.cluster.Self() {
		t := j.message(a)
		r, err := j.runner.cluster.RunTask(ctx, a.Node, t)
		return []event{j.answer(a, t, r, err)}
	}
	tasks, events := make([]*wire.RunTask, len(trip)), make([]event, len(trip))
	for i, a := range trip {
		tasks[i] = j.message(a)
	}
	for i, r := range j.runner.worker.run(ctx, tasks...) {
		events[i] = j.answer(trip[i], tasks[i], r, nil)
	}
	return events
}

// timed is attempt, and when it was.
func (j *job) timed(ctx context.Context, trip []sched.Assign) []event {
	start := j.age()
	events := j.attempt(ctx, trip)
	end := j.age()
	for i := range events {
		events[i].start, events[i].end = start, end
	}
	return events
}

// age is how long the job has been coordinated here.
func (j *job) age() time.Duration { return time.Duration(j.runner.cluster.Now().Sub(j.began)) }

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
	shape := s.geometry().Shape
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
	if s.spec.Kind.Writes() {
		t.Output = j.at(s.output, extent)
	}
	return t
}

func (j *job) at(a Array, extent uint64) wire.TaskArray {
	return wire.TaskArray{Array: a.ID, Type: a.Shape.Type, Shard: j.runner.cluster.Shard(a, extent)}
}

// combine starts the steps that became possible, if there are enough and none are
// being done, round by round. Each runs in an instance of its own: nothing that a
// kernel keeps in memory can make the result depend on the order of arrival.
func (j *job) combine(g *group) {
	if j.combining || !j.urgent && j.weight < tripWeight || len(j.steps) == 0 {
		return
	}
	list := rounds(j.steps, func(s sched.Step) *stage { return j.stageOf(s.Into) })
	e := event{steps: slices.Concat(list...)}
	sides := map[holo.TaskID]*partial{}
	for _, s := range e.steps {
		sides[s.Into], sides[s.From] = j.partials[s.Into], j.partials[s.From]
	}
	j.steps, j.weight, j.urgent, j.combining = nil, 0, false, true
	g.Go(func(ctx context.Context) {
		for _, round := range list {
			if e.err = j.combineRound(ctx, round, sides, &e); e.err != nil {
				break
			}
		}
		j.post(ctx, e)
	})
}

// combineTries is how often one round is tried when the worker is at fault, as
// often as a task; combinePatience how long no worker may be had, as long as a
// task may be refused everywhere. Between two tries are combineWait and more.
const (
	combineTries    = 4
	combinePatience = time.Minute
	combineWait     = 10 * time.Millisecond
)

// combineRound adds accumulators to others, and notes in e what came of it.
func (j *job) combineRound(ctx context.Context, round []sched.Step, sides map[holo.TaskID]*partial, e *event) error {
	tasks, said := make([]*workers.Task, len(round)), make([]wire.Said, len(round))
	asked := make([]*wire.RunTask, len(round))
	for i, s := range round {
		asked[i] = j.message(sched.Assign{Task: s.Into})
		tasks[i] = combineTask(asked[i], j.stageOf(s.Into).module, sides[s.Into].acc, sides[s.From].acc, &said[i])
	}
	done, failed, err := combineTogether(ctx, tasks, j.runner.workers.Together)
	e.gas += failed.Gas
	for i, used := range done {
		into, from := sides[round[i].Into], sides[round[i].From]
		r := combined(asked[i], round[i].From, into.sum, from.sum, into.acc, used.Gas)
		r.Node, r.Time = j.runner.cluster.Self(), j.runner.cluster.Date()
		into.sum = r.Output
		e.gas, e.receipts = e.gas+used.Gas, append(e.receipts, r)
	}
	if err == nil {
		e.said = append(e.said, said...)
		return nil
	}
	e.said = append(e.said, said[:len(done)+1]...)
	s := round[len(done)]
	return holo.Refuse(holo.KindOf(err), holo.ReasonOf(err), "job %d: combine task %d into task %d: %w", j.id, s.From, s.Into, err)
}

// together runs tasks one after the other until one fails.
type together func(context.Context, []*workers.Task) ([]sandbox.Result, sandbox.Result, error)

// combineTogether runs the tasks of a round. A worker that fails has changed nothing of
// those that it has not done: they are tried again, so often, and when there is
// no worker at all for so long.
func combineTogether(ctx context.Context, tasks []*workers.Task, run together) (done []sandbox.Result, failed sandbox.Result, err error) {
	var waited time.Duration
	for tries, wait := 1, combineWait; ; {
		var more []sandbox.Result
		more, failed, err = run(ctx, tasks[len(done):])
		done = append(done, more...)
		switch holo.KindOf(err) {
		case holo.Unavailable:
			if waited += wait; waited > combinePatience || !pause(ctx, wait) {
				return done, failed, err
			}
			wait = min(2*wait, time.Second)
		case holo.Indeterminate, holo.Corrupt, holo.Exhausted:
			if tries++; tries > combineTries {
				return done, failed, err
			}
		default:
			return done, failed, err
		}
		for _, t := range tasks[len(done):] {
			*t.Said = wire.Said{}
		}
	}
}

// pause reports whether the time passed before ctx ended.
func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
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
