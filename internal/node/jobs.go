package node

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/claim"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/jobs"
	"github.com/holocompute/holocompute/internal/wire"
)

// callerKey carries who submits a job, and what they may not read of it,
// through the runner to the catalogue.
type callerKey struct{}

func submitter(ctx context.Context) door.Caller {
	c, _ := ctx.Value(callerKey{}).(door.Caller)
	return c
}

// SubmitJob starts a job, which this node coordinates.
func (n *Node) SubmitJob(ctx context.Context, c door.Caller, m *holov1.SubmitRequest) (*holov1.Job, error) {
	if err := n.takesWork(); err != nil {
		return nil, err
	}
	s, err := n.jobAsked(ctx, c, m)
	if err != nil {
		return nil, err
	}
	select {
	case <-n.resumed:
	case <-ctx.Done():
		return nil, holo.Errorf(holo.Cancelled, "submit job: %w", ctx.Err())
	}
	id, err := n.runner.Submit(context.WithValue(ctx, callerKey{}, c), s)
	if err != nil {
		return nil, err
	}
	j, err := n.runner.Job(id)
	if err != nil {
		return nil, err
	}
	return jobOut(&j), nil
}

// jobAsked reads a request as the catalogue will. What a kernel's name means
// is looked up here too: before a graph it may have been decided about several.
func (n *Node) jobAsked(ctx context.Context, c door.Caller, m *holov1.SubmitRequest) (jobs.Spec, error) {
	s, err := n.stageAsked(ctx, c, m)
	if err != nil {
		return s, err
	}
	if allowed := c.Verdict.Module; len(m.GetThen()) == 0 && allowed != (holo.ModuleID{}) && allowed != s.Module {
		return s, holo.Refuse(holo.Stale, reasonRenamed, "submit job: %s became the name of another module meanwhile", s.Kernel)
	}
	for _, then := range m.GetThen() {
		stage, err := n.stageAsked(ctx, c, then)
		if err != nil {
			return s, err
		}
		s.Then = append(s.Then, stage)
	}
	return s, nil
}

func (n *Node) stageAsked(ctx context.Context, c door.Caller, m *holov1.SubmitRequest) (jobs.Spec, error) {
	stage, err := claim.StageOf(m)
	if err != nil {
		return jobs.Spec{}, err
	}
	k, err := n.kernel(ctx, stage.Kernel)
	if err != nil {
		return jobs.Spec{}, err
	}
	stage.Kernel, stage.Module = k.Name, k.Module
	return specOfStage(c.Principal, &stage), nil
}

// GetJob tells of a job: what this node knows as its coordinator, else what the
// catalogue recorded.
func (n *Node) GetJob(ctx context.Context, _ door.Caller, id holo.JobID) (*holov1.Job, error) {
	if j, err := n.runner.Job(id); err == nil {
		return jobOut(&j), nil
	}
	rec, err := n.jobRecord(ctx, id)
	if err != nil {
		return nil, err
	}
	return recordOut(rec), nil
}

func (n *Node) jobRecord(ctx context.Context, id holo.JobID) (*wire.JobRecord, error) {
	return queryOne[*wire.JobRecord](ctx, n, wire.CatalogQuery{What: wire.QueryJobByID, Number: uint64(id)})
}

// ListJobs lists the jobs by ID.
func (n *Node) ListJobs(ctx context.Context, _ door.Caller) ([]*holov1.Job, error) {
	all, err := queryAll[*wire.JobRecord](ctx, n, wire.CatalogQuery{What: wire.QueryJobs})
	if err != nil {
		return nil, err
	}
	out := make([]*holov1.Job, len(all))
	for i, rec := range all {
		if j, err := n.runner.Job(rec.ID); err == nil {
			out[i] = jobOut(&j)
			continue
		}
		out[i] = recordOut(rec)
	}
	return out, nil
}

// CancelJob ends a job that this node coordinates. One that has ended stays as
// it is.
func (n *Node) CancelJob(ctx context.Context, _ door.Caller, id holo.JobID) (*holov1.Job, error) {
	if _, err := n.runner.Job(id); err != nil {
		rec, err := n.jobRecord(ctx, id)
		if err == nil && !rec.End.Phase.Ended() {
			err = holo.Refuse(holo.Unavailable, reasonElsewhere, "cancel job %d: node %s coordinates it: ask there", uint64(id), rec.Coordinator)
		}
		if err != nil {
			return nil, err
		}
		return recordOut(rec), nil
	}
	j, err := n.runner.Cancel(ctx, id)
	if err != nil {
		return nil, err
	}
	return jobOut(&j), nil
}

// WatchJob follows a job that this node coordinates change by change. Of
// another it knows what the catalogue does: that it runs, and how it ended.
func (n *Node) WatchJob(ctx context.Context, _ door.Caller, id holo.JobID, send func(*holov1.JobProgress) error) error {
	if _, err := n.runner.Job(id); err == nil {
		return n.runner.Watch(ctx, id, func(p jobs.Progress) error { return send(progressOut(&p)) })
	}
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		rec, err := n.jobRecord(ctx, id)
		if err != nil {
			return err
		}
		if err := send(recordOut(rec).GetProgress()); err != nil || rec.End.Phase.Ended() {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return holo.Errorf(holo.Cancelled, "watch job %d: %w", uint64(id), ctx.Err())
		}
	}
}

func jobOut(j *jobs.Job) *holov1.Job {
	out := &holov1.Job{
		Id: uint64(j.ID), State: j.State.String(), Kernel: j.Spec.Kernel, Function: j.Spec.Function, Kind: j.Spec.Kind.String(),
		Result: j.Result, Progress: progressOut(&j.Progress),
	}
	if j.Err != nil {
		failed(out, wire.FailureOf(j.Err))
	}
	return out
}

func failed(out *holov1.Job, f *wire.Failure) {
	out.Error, out.ErrorKind, out.ErrorReason = f.Text, f.Kind.String(), f.Reason
}

// recordOut is a job as the catalogue recorded it.
func recordOut(rec *wire.JobRecord) *holov1.Job {
	out := &holov1.Job{
		Id: uint64(rec.ID), State: rec.End.Phase.String(), Kernel: rec.Kernel, Function: rec.Function, Kind: rec.Kind.String(),
		Result: rec.End.Result, Progress: &holov1.JobProgress{Job: uint64(rec.ID), State: rec.End.Phase.String()},
	}
	if rec.End.Phase == wire.JobFailed || rec.End.Phase == wire.JobCancelled {
		failed(out, &rec.End.Failure)
	}
	if len(rec.End.Report) == 0 {
		return out
	}
	if m, err := wire.Decode(rec.End.Report); err == nil {
		if report, ok := m.(*wire.JobReport); ok {
			p := jobs.ProgressOf(rec.ID, stateOf(rec.End.Phase), report)
			out.Progress = progressOut(&p)
		}
	}
	return out
}

func stateOf(p wire.JobPhase) jobs.State {
	switch p {
	case wire.JobDone:
		return jobs.Done
	case wire.JobFailed:
		return jobs.Failed
	case wire.JobCancelled:
		return jobs.Cancelled
	}
	return jobs.Running
}

func progressOut(p *jobs.Progress) *holov1.JobProgress {
	out := &holov1.JobProgress{
		Job: uint64(p.Job), State: p.State.String(), Tasks: p.Tasks, Committed: p.Committed, Running: p.Running, Retried: p.Retried,
		Gas: uint64(p.Gas), BytesProcessed: p.BytesProcessed, BytesMoved: p.BytesMoved,
		Stolen: p.Stolen, Speculated: p.Speculated,
	}
	for _, w := range p.Nodes {
		out.Nodes = append(out.Nodes, &holov1.NodeWork{
			Node: hex.EncodeToString(w.Node[:]), Committed: w.Committed, Running: w.Running, Failed: w.Failed,
			Gas: uint64(w.Gas), BytesLocal: w.BytesLocal, BytesMoved: w.BytesMoved,
		})
	}
	return out
}
