package node

import (
	"context"
	"slices"
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
// known, so that none of this process's is taken for one of them. Those that
// cannot run yet are tried again.
func (n *Node) resumeOwn(ctx context.Context) {
	var own []*wire.JobRecord
	for known := false; ; {
		changed := n.led.Wait()
		if !known {
			all, err := queryAll[*wire.JobRecord](ctx, n, wire.CatalogQuery{What: wire.QueryJobs})
			if known = err == nil; known {
				own = slices.DeleteFunc(all, func(rec *wire.JobRecord) bool { return rec.Coordinator != n.self })
				close(n.resumed)
			}
		}
		own = slices.DeleteFunc(own, func(rec *wire.JobRecord) bool { return !n.resume(ctx, rec) })
		if known && len(own) == 0 {
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

// resume makes this node the coordinator of a running job, and runs it. It
// reports whether to try again: there was no place for it, or not all that it
// takes.
func (n *Node) resume(ctx context.Context, rec *wire.JobRecord) (again bool) {
	if _, err := n.runner.Job(rec.ID); err == nil || rec.End.Phase.Ended() {
		return false
	}
	err := n.runner.Resume(ctx, rec.ID, specOf(rec), func(ctx context.Context) (holo.JobEpoch, error) {
		taken, err := proposeFor[*wire.JobRecord](ctx, n, &wire.JobTake{Job: rec.ID, Epoch: rec.Epoch, Coordinator: n.self})
		if err != nil {
			return 0, err
		}
		return holo.JobEpoch(taken.Epoch), nil
	})
	if err == nil {
		n.log.Info("job resumed", "job", uint64(rec.ID))
		return false
	}
	n.log.Warn("job not resumed", "job", uint64(rec.ID), "error", err)
	switch holo.KindOf(err) {
	case holo.Exhausted, holo.Unavailable:
		return true
	}
	return false
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
		Params: s.Params, AccBytes: s.AccBytes, Gas: s.Gas, Halo: s.Halo,
	}
	for _, i := range s.Results {
		spec.Results = append(spec.Results, int(i))
	}
	return spec
}
