package node

import (
	"context"
	"fmt"
	"time"

	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/jobs"
	"github.com/holocompute/holocompute/internal/policy"
	"github.com/holocompute/holocompute/internal/wire"
)

// watchRights ends the jobs that this node coordinates when whoever submitted
// them may run them no longer: a job is as open as a download is. It looks once
// a second, and costs the comparison of two numbers for each job as long as
// nothing changed.
func (n *Node) watchRights(ctx context.Context) {
	held := map[holo.JobID]authz.Handle{}
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		running := map[holo.JobID]authz.Handle{}
		for _, j := range n.runner.Jobs() {
			if j.State == jobs.Running {
				running[j.ID] = n.keepRight(ctx, j.ID, held[j.ID])
			}
		}
		held = running
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// keepRight gives the handle of a job's right, decided anew where the last one
// holds no longer, and ends the job when the right is gone. A node that cannot
// decide just now leaves the job alone and asks again.
func (n *Node) keepRight(ctx context.Context, id holo.JobID, h authz.Handle) authz.Handle {
	s, fresh := n.access.fresh(n.clock.now())
	if !fresh || n.Holds(h) {
		return h
	}
	rec, err := n.jobRecord(ctx, id)
	if err != nil || rec.Owner == (holo.PrincipalID{}) { // by nobody: no client has this key
		return h
	}
	j := &judge{node: n, set: s, who: rec.Owner, facts: policy.Facts{Node: rec.Coordinator, Unix: unixNow()}}
	j.verdict.Decision = authz.Decision{Epoch: s.Epoch(), Until: authz.Forever}
	switch err := j.running(ctx, rec); {
	case err == nil:
		return j.verdict.Decision.Handle()
	case holo.KindOf(err) == holo.Denied:
		n.refusals.add(authz.ReasonRevoked)
		n.log.Warn("job ended: the right to it ended", "job", uint64(id), "principal", rec.Owner.Hex(), "error", err)
		if _, err := n.runner.Cancel(ctx, id); err != nil {
			n.log.Warn("job not ended", "job", uint64(id), "error", err)
		}
	}
	return h
}

// running decides whether a job that was submitted may go on: by the module
// and arrays that it names, whatever their kernel's name now means.
func (j *judge) running(ctx context.Context, rec *wire.JobRecord) error {
	if err := j.runs(rec); err != nil {
		return err
	}
	for _, s := range rec.Stages() {
		if err := j.stage(ctx, &s, len(rec.Then) > 0); err != nil {
			return err
		}
	}
	return nil
}

// stage decides about the arrays of one stage. A graph needs READ.
func (j *judge) stage(ctx context.Context, s *wire.JobStage, graph bool) error {
	j.verdict.Module = s.Module
	in := door.Access{Action: holo.ActionRead, Or: holo.ActionCompute}
	if graph {
		in.Or = 0
	}
	for _, id := range s.Inputs {
		in.On = byID(id)
		if err := j.array(ctx, in); err != nil {
			return err
		}
	}
	if s.Output == 0 {
		return nil
	}
	return j.array(ctx, door.Access{Action: holo.ActionWrite, On: byID(s.Output)})
}

func byID(id holo.ArrayID) door.Target { return door.Target{Array: fmt.Sprintf("#%d", uint64(id))} }
