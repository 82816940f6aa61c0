package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/jobs"
	"github.com/holocompute/holocompute/internal/receipt"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/internal/workers"
)

// verdicts are what running again found of each task, as {task, task}, and step.
type verdicts map[sched.Step][]string

// of is what is known of one of them.
func (v *verdicts) of(at sched.Step, node holo.NodeID, more []string) verified {
	l := verified{Task: uint32(at.Into), Differences: append(append([]string{}, more...), (*v)[at]...)}
	if at.From != at.Into {
		l.From = uint32(at.From)
	}
	if node != (holo.NodeID{}) {
		l.Node = node.Hex()
	}
	return l
}

// rerun does a job again: task after task, and each step of a reduce as soon as
// both its sides are there. So it holds one accumulator for each level of the
// tree.
type rerun struct {
	source  *source
	pool    *workers.Pool
	job     receipt.Job
	members []holocompute.MemberInfo
	whole   bool // also the steps
	found   verdicts
	steps   map[sched.Step]*wire.StepReceipt
}

func (r *rerun) all(ctx context.Context, a *app) error {
	for _, s := range r.job.Steps {
		r.steps[sched.Step{Into: s.Into, From: s.From}] = s
	}
	meter := a.meter("verify", int64(len(r.job.Tasks)), countUnit)
	defer meter.end()
	done := int64(0)
	for _, s := range r.job.Stages() {
		tree, held := sched.NewTree(s.Count), map[holo.TaskID][]byte{}
		for _, t := range s.Tasks {
			acc, err := r.task(ctx, t)
			if err != nil {
				return err
			}
			if r.whole && t.Run.Kind == wire.TaskReduce {
				held[t.Run.Task] = acc
				err = r.combine(ctx, s, tree.Add(t.Run.Task-s.First), held)
			}
			if err != nil {
				return err
			}
			done++
			meter.at(done)
		}
	}
	return nil
}

func (r *rerun) task(ctx context.Context, t receipt.Task) ([]byte, error) {
	at := sched.Step{Into: t.Run.Task, From: t.Run.Task}
	r.member(at, t.Said.Node)
	again, acc, err := r.source.again(ctx, r.pool, t)
	if err != nil {
		return nil, unsigned(r.job, t, err)
	}
	r.found[at] = append(r.found[at], t.Differences(&again)...)
	if changed := r.job.Trace(t, &again, r.nodes()); changed != "" {
		r.found[at] = append(r.found[at], changed)
	}
	return acc, nil
}

// unsigned is why a task cannot be run again: first that nobody has signed it, if so.
func unsigned(job receipt.Job, t receipt.Task, err error) error {
	if bad := job.Check(t); bad != nil {
		return holo.Refuse(holo.KindOf(bad), holo.ReasonOf(bad), "%w, and it cannot be run again: %s", bad, err)
	}
	return err
}

// nodes are the members of now.
func (r *rerun) nodes() (ids []holo.NodeID) {
	for _, m := range r.members {
		if id, err := holo.ParseNodeID(m.ID); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

func (r *rerun) member(at sched.Step, node holo.NodeID) {
	if !slices.ContainsFunc(r.members, func(m holocompute.MemberInfo) bool { return m.ID == node.Hex() }) {
		r.found[at] = append(r.found[at], fmt.Sprintf("node: %s is not a member of this cluster", node))
	}
}

// combine does steps again, and holds them against their receipts.
func (r *rerun) combine(ctx context.Context, s receipt.Stage, steps []sched.Step, held map[holo.TaskID][]byte) error {
	run := *s.Tasks[0].Run
	m, err := r.source.module(ctx, run.Module)
	if err != nil {
		return err
	}
	for _, step := range steps {
		at := sched.Step{Into: s.First + step.Into, From: s.First + step.From}
		run.Task = at.Into
		again, err := jobs.ReplayStep(ctx, r.pool, m, &run, at.From, held[at.Into], held[at.From])
		if err != nil {
			return err
		}
		delete(held, at.From)
		if said := r.steps[at]; said != nil {
			r.member(at, said.Node)
			r.found[at] = append(r.found[at], receipt.StepDifferences(said, again)...)
		}
	}
	return nil
}
