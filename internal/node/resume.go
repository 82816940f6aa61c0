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

// resumeOwn takes up again the jobs that this node coordinates by the catalogue
// and does not run: after the start those of an earlier process, later those
// whose record it wrote or took without being told so. No job is submitted here
// before the first look. Those that cannot run yet are tried again.
func (n *Node) resumeOwn(ctx context.Context) {
	var own []holo.JobID
	for look, known := true, false; ; {
		changed := n.led.Wait()
		if look {
			if ids, err := n.ownJobs(ctx); err == nil {
				own, look = ids, false
				if !known {
					known = true
					close(n.resumed)
				}
			}
		}
		own = slices.DeleteFunc(own, func(id holo.JobID) bool { return !n.resumeLeft(ctx, id) })
		var soon <-chan time.Time
		if look || len(own) > 0 {
			soon = time.After(followEvery)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-soon:
		case <-n.jobLeft:
			look = true
		}
	}
}

// ownJobs are those that this node coordinates by the catalogue.
func (n *Node) ownJobs(ctx context.Context) (own []holo.JobID, err error) {
	all, err := queryAll[*wire.JobRecord](ctx, n, wire.CatalogQuery{What: wire.QueryJobs})
	for _, rec := range all {
		if rec.Coordinator == n.self && !rec.End.Phase.Ended() {
			own = append(own, rec.ID)
		}
	}
	return own, err
}

// resumeLeft resumes a job of this node's that nobody runs, by its record as it
// now is: a try before may have taken it. It reports whether to try again.
func (n *Node) resumeLeft(ctx context.Context, id holo.JobID) (again bool) {
	if _, err := n.runner.Job(id); err == nil {
		return false
	}
	if !n.runner.Left(id) {
		return true
	}
	rec, err := n.jobRecord(ctx, id)
	if err != nil {
		return holo.KindOf(err) != holo.NotFound
	}
	return rec.Coordinator == n.self && n.resume(ctx, rec)
}

// lookForLeft has resumeOwn look for jobs that nobody runs.
func (n *Node) lookForLeft() {
	select {
	case n.jobLeft <- struct{}{}:
	default: // it will look
	}
}

// resumeOrphans is the leader's: it takes up the jobs whose coordinator is dead,
// and those that it has taken and does not run.
func (n *Node) resumeOrphans(ctx context.Context) {
	var orphans []wire.JobRecord
	n.catalog.read(func(c *catalog.Catalog) {
		for _, rec := range c.Jobs() {
			if node, ok := c.Node(rec.Coordinator); !rec.End.Phase.Ended() && (rec.Coordinator == n.self || !ok || !node.Alive) {
				orphans = append(orphans, rec)
			}
		}
	})
	for i := range orphans {
		switch rec := &orphans[i]; {
		case rec.Coordinator != n.self:
			n.resume(ctx, rec)
		case n.runner.Left(rec.ID):
			n.lookForLeft()
		}
	}
}

// resume makes this node the coordinator of a running job, and runs it. It
// reports whether to try again: there was no place for it, or not all that it
// takes, or who coordinates it is not known.
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
	case holo.Exhausted, holo.Unavailable, holo.Indeterminate, holo.Stale:
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
