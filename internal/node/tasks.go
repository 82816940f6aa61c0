package node

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/core/liveness"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/jobs"
	"github.com/holocompute/holocompute/internal/memory"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// taskSide is the node as its runner of jobs sees it.
type taskSide struct{ n *Node }

var _ jobs.Cluster = taskSide{}

// Self is this node.
func (t taskSide) Self() holo.NodeID { return t.n.self }

// Now is this node's clock.
func (t taskSide) Now() holo.Time { return t.n.clock.now() }

// Array finds an array.
func (t taskSide) Array(ctx context.Context, id holo.ArrayID) (jobs.Array, error) {
	a, err := t.n.memory.Array(ctx, id)
	if err != nil {
		return jobs.Array{}, err
	}
	return jobs.Array{
		ID: a.ID, Name: a.Name, Shape: a.Shape, Class: a.Class, Affinity: a.Affinity, Sealed: a.State == wire.ArrayFrozen,
	}, nil
}

// Shard is the shard of an extent.
func (t taskSide) Shard(a jobs.Array, extent uint64) holo.ShardID {
	return placement.ShardOf(a.Class, a.Affinity, extent)
}

// Home is the shard's primary.
func (t taskSide) Home(s holo.ShardID) (holo.NodeID, bool) {
	id, err := t.n.memory.Configs.Home(s)
	return id, err == nil
}

// Module gives a module's bytes.
func (t taskSide) Module(ctx context.Context, id holo.ModuleID) ([]byte, error) {
	return t.n.moduleBytes(ctx, id)
}

// RecordJob writes the job into the catalogue, as its client signed it. The
// catalogue reads in it what this node read, but for what has changed since: what
// the kernel's name means, and whether the output is bound.
func (t taskSide) RecordJob(ctx context.Context, s *jobs.Spec) (holo.JobID, holo.JobEpoch, error) {
	c := submitter(ctx)
	rec, err := proposeFor[*wire.JobRecord](ctx, t.n, t.n.asked(c))
	if holo.KindOf(err) == holo.Indeterminate {
		t.n.lookForLeft()
	}
	if err != nil {
		return 0, 0, err
	}
	if !sameModules(rec, s) {
		return 0, 0, t.renamed(ctx, rec)
	}
	t.awaitBound(t.bound(ctx, c, s.Output))
	return rec.ID, holo.JobEpoch(rec.Epoch), nil
}

// sameModules reports whether the catalogue recorded the modules that were checked.
func sameModules(rec *wire.JobRecord, s *jobs.Spec) bool {
	same := rec.Module == s.Module && len(rec.Then) == len(s.Then)
	for i := range rec.Then {
		same = same && rec.Then[i].Module == s.Then[i].Module
	}
	return same
}

// renamed ends a job of which a module is not the one that was checked.
func (t taskSide) renamed(ctx context.Context, rec *wire.JobRecord) error {
	err := holo.Refuse(holo.Stale, reasonRenamed, "submit job: %s, or a kernel of a later stage, became the name of another module meanwhile", rec.Kernel)
	end := wire.JobEnd{Phase: wire.JobFailed, Failure: *wire.FailureOf(err)}
	if _, ended := t.n.propose(ctx, &wire.JobState{Job: rec.ID, Epoch: rec.Epoch, End: end}); ended != nil {
		t.n.log.Warn("job not ended", "job", uint64(rec.ID), "error", ended)
	}
	return err
}

// bound reports whether the output of a job may have come to be bound by it;
// also where that cannot be found out.
func (t taskSide) bound(ctx context.Context, c door.Caller, output holo.ArrayID) bool {
	if output == 0 || len(c.Verdict.Bound) > 0 {
		return len(c.Verdict.Bound) > 0
	}
	t.n.memory.Forget(output)
	a, err := t.n.memory.Array(ctx, output)
	return err != nil || len(a.Sources) > 0
}

// awaitBound waits until every node knows that the output of a job is bound,
// before the first of it is written: what is open to it is open for a lease at
// most. The job is recorded, so nobody's impatience cuts it short; a node that
// closes starts nothing.
func (t taskSide) awaitBound(bound bool) {
	if !bound {
		return
	}
	timer := time.NewTimer(time.Duration(liveness.DefaultTiming().Patience()))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.n.group.Done():
	}
}

// RecordEnd writes how the job ended. A result too long for the catalogue stays
// with this coordinator.
func (t taskSide) RecordEnd(ctx context.Context, j jobs.Job) error {
	end := wire.JobEnd{Phase: phaseOf(j.State), Report: wire.Encode(j.Progress.Report())}
	if len(j.Result) <= wire.MaxJobResult {
		end.Result = j.Result
	}
	if j.Err != nil {
		end.Failure = *wire.FailureOf(j.Err)
	}
	written := t.n.written(ctx, &j)
	rec, err := proposeFor[*wire.JobRecord](ctx, t.n, &wire.JobState{Job: j.ID, Epoch: uint64(j.Epoch), End: end})
	if err == nil {
		t.n.tidyResults(ctx, rec, written)
	}
	return err
}

func phaseOf(s jobs.State) wire.JobPhase {
	switch s {
	case jobs.Done:
		return wire.JobDone
	case jobs.Failed:
		return wire.JobFailed
	case jobs.Cancelled:
		return wire.JobCancelled
	}
	return wire.JobRunning
}

// RunTask sends a task to another node.
func (t taskSide) RunTask(ctx context.Context, node holo.NodeID, task *wire.RunTask) (*wire.TaskResult, error) {
	m, err := t.n.ask(ctx, node, transport.Data, task)
	if err != nil {
		return nil, err
	}
	r, ok := m.(*wire.TaskResult)
	if !ok {
		return nil, t.n.unexpected(node, m)
	}
	return r, nil
}

// CancelTasks tells another node to abandon tasks.
func (t taskSide) CancelTasks(ctx context.Context, node holo.NodeID, c *wire.CancelTasks) error {
	ctx, cancel := within(ctx, attemptDeadline)
	defer cancel()
	_, err := t.n.ask(ctx, node, transport.Data, c)
	return err
}

// ReadPages reads pages of one extent.
func (t taskSide) ReadPages(ctx context.Context, array holo.ArrayID, s holo.ShardID, first holo.PageIndex, count uint32) (jobs.Pages, error) {
	a, err := t.n.memory.Array(ctx, array)
	if err != nil {
		return jobs.Pages{}, err
	}
	pages, moved, err := t.n.memory.ReadRun(ctx, a, wire.PageRun{Shard: s, First: first, Count: count})
	if err != nil {
		return jobs.Pages{}, err
	}
	out := jobs.Pages{Pages: make([]jobs.Page, len(pages)), Moved: moved}
	for i, p := range pages {
		out.Pages[i] = jobs.Page{Kind: p.Kind, Data: p.Data, Digest: p.Digest, Hashed: p.Hashed}
	}
	return out, nil
}

// CommitTask makes the output of a task visible, at most once.
func (t taskSide) CommitTask(ctx context.Context, c *jobs.TaskCommit) (again bool, err error) {
	mu := &wire.Mutation{
		Op: t.n.memory.NextOp(), Kind: wire.MutateTask, Array: c.Array, Job: c.Job, Task: c.Task, Changes: make([]wire.Change, len(c.Pages)),
	}
	for i, p := range c.Pages {
		mu.Changes[i] = memory.Slim(wire.Change{Page: c.First + holo.PageIndex(i), Kind: wire.PageData, Data: p, Digest: c.Sums[i]})
	}
	done, err := t.n.memory.Mutate(ctx, c.Shard, mu)
	return err == nil && !done.Applied, err
}

// serveTask runs a task for another node's coordinator, until it is done or
// the stream that it came on ends.
func (n *Node) serveTask(ctx context.Context, r *request) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan struct{})
	n.group.Run(func(context.Context) {
		defer close(ended)
		defer cancel()
		r.stream.ReadMessage() // nothing comes: this ends with the stream
	})
	if err := r.answer(n.runner.RunTask(ctx, r.msg.(*wire.RunTask))); err != nil {
		return err
	}
	<-ended // one reader at a time; the asker closes the stream now
	return nil
}

// serveCancelTasks abandons tasks for another node's coordinator.
func (n *Node) serveCancelTasks(_ context.Context, r *request) error {
	return r.answer(n.runner.CancelTasks(r.msg.(*wire.CancelTasks)))
}
