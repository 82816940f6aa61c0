package main

import (
	"context"
	"math"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
)

func jobWhy(a *app) *cobra.Command {
	var task int64
	const short = "Show why a job's tasks wait, run, were moved or failed, and what proves it"
	cmd := a.onJob("why", short, func(ctx context.Context, j *holocompute.Job) error {
		list, err := whyJob(ctx, j, task)
		if err != nil {
			return err
		}
		return a.emit("JobWhy", listOf(list), func(w *tabwriter.Writer) { becauseTable(w, list) })
	})
	cmd.Flags().Int64Var(&task, "task", -1, "one task only (default: all, by state and reason)")
	return cmd
}

func whyJob(ctx context.Context, j *holocompute.Job, task int64) ([]holocompute.Because, error) {
	switch {
	case task < -1 || task > math.MaxUint32:
		return nil, usage("job why: task %d: want a task's number", task)
	case task < 0:
		return j.Why(ctx)
	}
	one, err := j.WhyTask(ctx, uint32(task))
	return []holocompute.Because{one}, err
}

func becauseTable(w *tabwriter.Writer, list []holocompute.Because) {
	row(w, "STATE", "REASON", "TASKS", "FIRST", "STAGE", "ATTEMPT", "NODE", "PROOF, OF THE FIRST")
	for _, b := range list {
		row(w, b.State, b.Reason, b.Count, b.Task, b.Stage, b.Attempt, short(b.Node), b.Proof)
	}
}

func jobTrace(a *app) *cobra.Command {
	var path string
	const short = "Write when a job's tasks ran, and where, for chrome://tracing or ui.perfetto.dev"
	cmd := a.onJob("trace", short, func(ctx context.Context, j *holocompute.Job) error {
		t, err := j.Trace(ctx)
		if err != nil {
			return err
		}
		if path == "-" {
			return t.WriteChrome(a.out)
		}
		if err := replaceFile(path, t.WriteChrome); err != nil {
			return err
		}
		value := map[string]any{"job": j.ID(), "file": path, "spans": len(t.Spans), "dropped": t.Dropped}
		return a.emit("JobTrace", value, func(w *tabwriter.Writer) {
			row(w, "SPANS", "DROPPED", "FILE")
			row(w, len(t.Spans), t.Dropped, path)
		})
	})
	cmd.Flags().StringVar(&path, "file", "-", "the file to write; - is standard output")
	return cmd
}
