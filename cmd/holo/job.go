package main

import (
	"context"
	"fmt"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
)

func jobCommand(a *app) *cobra.Command {
	return group("job", "Jobs: kernels over arrays", jobRun(a), jobGraph(a), jobList(a), jobShow(a), jobReceipts(a), jobLogs(a), jobWhy(a), jobTrace(a), jobCancel(a))
}

func jobID(s string) (uint64, error) {
	id, err := strconv.ParseUint(s, 10, 64)
	if err != nil || id == 0 {
		return 0, usage("job %q: want a number", s)
	}
	return id, nil
}

// onJob is a command about one job, whose number is its argument.
func (a *app) onJob(use, short string, run func(ctx context.Context, j *holocompute.Job) error) *cobra.Command {
	return &cobra.Command{
		Use: use + " JOB", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args[0])
			if err != nil {
				return err
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error { return run(cmd.Context(), c.Job(id)) })
		},
	}
}

func jobList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the jobs that the cluster remembers",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				jobs, err := c.Jobs(cmd.Context())
				if err != nil {
					return err
				}
				return a.emit("JobList", listOf(jobs), func(w *tabwriter.Writer) {
					jobHead(w)
					for _, j := range jobs {
						jobRow(w, j)
					}
				})
			})
		},
	}
}

func jobHead(w *tabwriter.Writer) {
	row(w, "JOB", "STATE", "KIND", "KERNEL", "FUNCTION", "TASKS", "DONE", "RETRIED", "HELPED", "PROCESSED", "MOVED", "GAS")
}

func jobRow(w *tabwriter.Writer, j holocompute.JobInfo) {
	p := j.Progress
	row(w, j.ID, j.State, j.Kind, j.Kernel, j.Function, p.Tasks, p.Committed, p.Retried, p.Stolen+p.Speculated, size(p.BytesProcessed), size(p.BytesMoved), p.Gas)
}

func jobTable(w *tabwriter.Writer, j holocompute.JobInfo) {
	jobHead(w)
	jobRow(w, j)
	if len(j.Progress.Nodes) > 0 {
		row(w)
		row(w, "NODE", "DONE", "RUNNING", "FAILED", "WHERE IT LAY", "MOVED", "GAS")
	}
	for _, n := range j.Progress.Nodes {
		row(w, short(n.Node), n.Committed, n.Running, n.Failed, size(n.BytesLocal), size(n.BytesMoved), n.Gas)
	}
	if j.Error != "" {
		row(w)
		row(w, "error", j.Error)
	}
}

func jobShow(a *app) *cobra.Command {
	var as string
	cmd := a.onJob("show", "Show a job, where its work was done, and its result", func(ctx context.Context, j *holocompute.Job) error {
		info, err := j.Info(ctx)
		if err != nil {
			return err
		}
		return a.emitJob(info, as)
	})
	cmd.Flags().StringVar(&as, "as", "i64", asUsage)
	return cmd
}

func jobCancel(a *app) *cobra.Command {
	const short = "End a job; what its tasks have written stays, unless it was run with --ttl"
	return a.onJob("cancel", short, func(ctx context.Context, j *holocompute.Job) error {
		if err := j.Cancel(ctx); err != nil {
			return err
		}
		value := map[string]any{"job": j.ID(), "state": "cancelled"}
		return a.emit("Job", value, func(w *tabwriter.Writer) { row(w, fmt.Sprintf("job %d cancelled", j.ID())) })
	})
}
