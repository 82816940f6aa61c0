package node

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/jobs"
	"github.com/holocompute/holocompute/internal/wire"
)

// A job whose coordinator died goes on elsewhere, under a new epoch: all its
// tasks run again, and those of a map that had committed change nothing.

// resumeOwn takes up again, once after the start, the jobs that an earlier
// process of this node coordinated. No job is submitted here before they are
// known, so that none of this process's is taken for one of them.
func (n *Node) resumeOwn(ctx context.Context) {
	for {
		changed := n.led.Wait()
		all, err := queryAll[*wire.JobRecord](ctx, n, wire.CatalogQuery{What: wire.QueryJobs})
		if err == nil {
			close(n.resumed)
			for _, rec := range all {
				if _, here := n.runner.Job(rec.ID); rec.Coordinator == n.self && here != nil {
					n.resume(ctx, rec)
				}
			}
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-time.After(followEvery):
		}
	}
}

// resumeOrphans is the leader's: it takes up the jobs whose coordinator is dead.
func (n *Node) resumeOrphans(ctx context.Context) {
	var orphans []wire.JobRecord
	n.catalog.read(func(c *catalog.Catalog) {
		for _, rec := range c.Jobs() {
			if node, ok := c.Node(rec.Coordinator); rec.Coordinator != n.self && (!ok || !node.Alive) {
				orphans = append(orphans, rec)
			}
		}
	})
	for i := range orphans {
		n.resume(ctx, &orphans[i])
	}
}

// resume makes this node the coordinator of a running job, and runs it.
func (n *Node) resume(ctx context.Context, rec *wire.JobRecord) {
	if rec.End.Phase.Ended() {
		return
	}
	taken, err := proposeFor[*wire.JobRecord](ctx, n, &wire.JobTake{Job: rec.ID, Epoch: rec.Epoch, Coordinator: n.self})
	if err == nil {
		err = n.runner.Resume(ctx, taken.ID, holo.JobEpoch(taken.Epoch), specOf(taken))
	}
	if err != nil {
		n.log.Warn("job not resumed", "job", uint64(rec.ID), "error", err)
		return
	}
	n.log.Info("job resumed", "job", uint64(rec.ID), "epoch", taken.Epoch)
}

func specOf(rec *wire.JobRecord) jobs.Spec {
	stages := rec.Stages()
	s := specOfStage(rec.Owner, &stages[0])
	for i := range rec.Then {
		s.Then = append(s.Then, specOfStage(rec.Owner, &rec.Then[i]))
	}
	return s
}

func specOfStage(owner holo.PrincipalID, s *wire.JobStage) jobs.Spec {
	spec := jobs.Spec{
		Owner: owner, Module: s.Module, Kernel: s.Kernel, Kind: s.Kind, Function: s.Function, Inputs: s.Inputs, Output: s.Output,
		Params: s.Params, AccBytes: s.AccBytes, Gas: s.Gas,
	}
	for _, i := range s.Results {
		spec.Results = append(spec.Results, int(i))
	}
	return spec
}
