package main

import (
	"fmt"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
)

func jobCommand(a *app) *cobra.Command {
	return group("job", "Jobs: kernels over arrays", jobRun(a), jobList(a), jobShow(a), jobReceipts(a), jobWhy(a), jobTrace(a), jobCancel(a))
}

func jobID(s string) (uint64, error) {
	id, err := strconv.ParseUint(s, 10, 64)
	if err != nil || id == 0 {
		return 0, usage("job %q: want a number", s)
	}
	return id, nil
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
	row(w, "JOB", "STATE", "KIND", "KERNEL", "FUNCTION", "TASKS", "DONE", "RETRIED", "PROCESSED", "MOVED", "GAS")
}

func jobRow(w *tabwriter.Writer, j holocompute.JobInfo) {
	p := j.Progress
	row(w, j.ID, j.State, j.Kind, j.Kernel, j.Function, p.Tasks, p.Committed, p.Retried, size(p.BytesProcessed), size(p.BytesMoved), p.Gas)
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
	cmd := &cobra.Command{
		Use:   "show JOB",
		Short: "Show a job, where its work was done, and its result",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args[0])
			if err != nil {
				return err
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				info, err := c.Job(id).Info(cmd.Context())
				if err != nil {
					return err
				}
				return a.emitJob(info, as)
			})
		},
	}
	cmd.Flags().StringVar(&as, "as", "i64", asUsage)
	return cmd
}

func jobCancel(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel JOB",
		Short: "End a job; what its tasks have written stays",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args[0])
			if err != nil {
				return err
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				if err := c.Job(id).Cancel(cmd.Context()); err != nil {
					return err
				}
				value := map[string]any{"job": id, "state": "cancelled"}
				return a.emit("Job", value, func(w *tabwriter.Writer) { row(w, fmt.Sprintf("job %d cancelled", id)) })
			})
		},
	}
}
