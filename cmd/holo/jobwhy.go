package main

import (
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
)

func jobWhy(a *app) *cobra.Command {
	var task int64
	cmd := &cobra.Command{
		Use:   "why JOB",
		Short: "Show why a job's tasks wait, run, were moved or failed, and what proves it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args[0])
			if err != nil {
				return err
			}
			if task < -1 || task > 1<<32-1 {
				return usage("job why: task %d: want a task's number", task)
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				list, err := whyJob(cmd, c.Job(id), task)
				if err != nil {
					return err
				}
				return a.emit("JobWhy", listOf(list), func(w *tabwriter.Writer) { becauseTable(w, list) })
			})
		},
	}
	cmd.Flags().Int64Var(&task, "task", -1, "one task only (default: all, by state and reason)")
	return cmd
}

func whyJob(cmd *cobra.Command, j *holocompute.Job, task int64) ([]holocompute.Because, error) {
	if task < 0 {
		return j.Why(cmd.Context())
	}
	one, err := j.WhyTask(cmd.Context(), uint32(task))
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
	cmd := &cobra.Command{
		Use:   "trace JOB",
		Short: "Write when a job's tasks ran, and where, for chrome://tracing or ui.perfetto.dev",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args[0])
			if err != nil {
				return err
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				t, err := c.Job(id).Trace(cmd.Context())
				if err != nil {
					return err
				}
				if path == "-" {
					return t.WriteChrome(a.out)
				}
				if err := replaceFile(path, t.WriteChrome); err != nil {
					return err
				}
				value := map[string]any{"job": id, "file": path, "spans": len(t.Spans), "dropped": t.Dropped}
				return a.emit("JobTrace", value, func(w *tabwriter.Writer) {
					row(w, "SPANS", "DROPPED", "FILE")
					row(w, len(t.Spans), t.Dropped, path)
				})
			})
		},
	}
	cmd.Flags().StringVar(&path, "file", "-", "the file to write; - is standard output")
	return cmd
}
