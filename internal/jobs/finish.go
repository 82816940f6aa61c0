package jobs

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// cancelTime bounds how long the end of a job waits for nodes to be told, and
// recordTime one try to write the end into the catalogue: several elections of
// its leader. A runner that is closing waits stopTime for either.
const (
	cancelTime = 5 * time.Second
	recordTime = 30 * time.Second
	stopTime   = time.Second
)

// end tells how the job ended.
func (j *job) end() End {
	state, err := j.sched.State()
	switch {
	case j.failure != nil:
		return End{State: Failed, Err: j.failure}
	case state == sched.Failed:
		return End{State: Failed, Err: j.unrun(err)}
	case state == sched.Cancelled:
		return End{State: Cancelled, Err: err}
	}
	return End{State: Done, Result: j.result()}
}

// finish stops what still runs on the nodes, and records the end. Of a job that
// is not done whoever waits is told first, so that it waits for no catalogue; of
// one that is done, only when that is recorded: what it wrote may then be sealed
// or deleted, and after a crash here it would run again over that, and fail. The
// nodes are told although their streams are reset too: a reset can be late or
// lost with its connection, and a kernel must not run on for nobody.
func (j *job) finish(ctx context.Context, attempts *group) {
	j.spanOut()
	close(j.ended)
	nodes := j.sched.Nodes()
	j.hearEnd()
	limit := cancelTime
	if ctx.Err() != nil {
		limit = stopTime
	}
	ctx = context.WithoutCancel(ctx)
	end := j.end()
	done := end.State == Done
	if done {
		end = j.recordDone(ctx, end)
	}
	j.publish(end)
	j.runner.ended(j.id)
	j.runner.learn(j.sched.Speeds())
	if !done {
		j.cancelTasks(ctx, limit, nodes)
	}
	attempts.Close()
	for _, o := range j.out {
		o.recall()
	}
	j.partials, j.out = nil, nil
	if !done {
		_ = j.record(ctx, j.as(end)) // it was told already
	}
}

// recordDone records that the job is done. If that cannot be, it is for the
// next coordinator to say how the job ends: here it did not.
func (j *job) recordDone(ctx context.Context, end End) End {
	err := j.record(ctx, j.as(end))
	if err == nil {
		return end
	}
	return End{State: Failed, Err: holo.Refuse(holo.Indeterminate, holo.ReasonOf(err), "job %d: all its tasks are done, and its end is not recorded, so it may run again: %w", j.id, err)}
}

func (j *job) cancelTasks(ctx context.Context, limit time.Duration, nodes []holo.NodeID) {
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	tell := newGroup(ctx)
	for _, node := range nodes {
		tell.Go(func(ctx context.Context) {
			c := &wire.CancelTasks{Job: j.id, Epoch: j.epoch}
			if node == j.runner.cluster.Self() {
				j.runner.worker.cancelTasks(c)
				return
			}
			_ = j.runner.cluster.CancelTasks(ctx, node, c) // a node that cannot be told has its stream reset, or is dead
		})
	}
	tell.wait.Wait()
	tell.Close()
}

// record writes the end into the catalogue, again and again until that is done
// or refused for good: a job without an end keeps its place among those that run,
// and its results for ever. A runner that begins to close does not wait for a
// catalogue that cannot answer: the try under way gets stopTime. Only a job's
// coordinator ends it, so one that has ended was ended by a try before.
func (j *job) record(ctx context.Context, last Job) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(j.runner.group.ctx, func() { time.AfterFunc(stopTime, stop) })()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := j.tryRecord(ctx, last)
		switch holo.KindOf(err) {
		case holo.Unavailable, holo.Indeterminate, holo.Exhausted, holo.Cancelled:
		case holo.Conflict:
			return nil
		default:
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-j.runner.group.ctx.Done():
			timer.Stop()
			return err
		}
	}
}

func (j *job) tryRecord(ctx context.Context, last Job) error {
	ctx, stop := context.WithTimeout(ctx, recordTime)
	defer stop()
	return j.runner.cluster.RecordEnd(ctx, last)
}

// publish makes the present state the one that is looked at.
func (j *job) publish(end End) {
	now := j.as(end)
	j.view.Lock()
	defer j.view.Unlock()
	j.view.now = now
	close(j.view.changed)
	j.view.changed = make(chan struct{})
}

// as is the job as it is now, with its end if it has one.
func (j *job) as(end End) Job {
	p := j.sched.Progress()
	now := Progress{
		Job: j.id, State: end.State, Tasks: p.Tasks, Committed: p.Committed, Running: p.Running, Retried: p.Retried,
		Stolen: p.Stolen, Speculated: p.Speculated, Gas: p.Gas + j.combined, BytesProcessed: p.BytesProcessed, BytesMoved: p.BytesMoved,
	}
	if p.Waiting != nil {
		now.Waiting = p.Waiting.Error()
	}
	for _, w := range p.Nodes {
		if end.State.Final() {
			w.Running = 0
		}
		now.Nodes = append(now.Nodes, NodeWork(w))
	}
	if end.State.Final() {
		now.Running, now.Waiting = 0, ""
	}
	return Job{ID: j.id, Epoch: j.epoch, Spec: j.spec, End: end, Progress: now}
}

// look gives the job as it is, and a channel that is closed when it is no
// longer so.
func (j *job) look() (Job, <-chan struct{}) {
	j.view.Lock()
	defer j.view.Unlock()
	return j.view.now, j.view.changed
}

// taskError is the error of a task, with what names it in front.
func taskError(t *wire.RunTask, err error) error {
	return holo.Refuse(holo.KindOf(err), holo.ReasonOf(err), "task %d of job %d: %s of extent %d of array a%d (elements %d to %d): %w",
		t.Task, t.Job, kernelName(t), t.First/t.Extent, uint64(t.Inputs[0].Array), t.First, t.First+t.Count-1, err)
}

// kernelName is "map flights/scale".
func kernelName(t *wire.RunTask) string {
	name := t.Kernel
	if name == "" {
		name = t.Module.String()
	}
	return t.Kind.String() + " " + name + "/" + t.Function
}
