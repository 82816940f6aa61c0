package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
)

// jobLog is what `job logs` prints as JSON when it does not follow.
type jobLog struct {
	Job   uint64                `json:"job"`
	Lines []holocompute.LogLine `json:"lines"`
	Lost  uint64                `json:"lost"`
}

func jobLogs(a *app) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs JOB",
		Short: "Show what a job's kernels logged, line by line with the task",
		Long: "Show what a job's kernels logged: the lines of the attempts that count, as they came to count, and of the attempt that ended the job.\n" +
			"A task may log 16 KiB in 256 lines, a job 256 KiB; what is beyond is dropped and counted. Control characters are replaced.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args[0])
			if err != nil {
				return err
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				if follow {
					return a.followLog(cmd, c.Job(id))
				}
				log := jobLog{Job: id, Lines: []holocompute.LogLine{}}
				log.Lost, err = c.Job(id).Log(cmd.Context(), false, func(line holocompute.LogLine) error {
					log.Lines = append(log.Lines, line)
					return nil
				})
				if err != nil {
					return err
				}
				err = a.emit("JobLog", log, func(w *tabwriter.Writer) {
					for _, line := range log.Lines {
						fmt.Fprintln(a.out, lineText(line))
					}
				})
				a.noteLost(log.Lost)
				return err
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes, until the job has ended")
	return cmd
}

// followLog prints each line as it comes; as JSON, an object for each.
func (a *app) followLog(cmd *cobra.Command, j *holocompute.Job) error {
	lost, err := j.Log(cmd.Context(), true, func(line holocompute.LogLine) error {
		if a.output == "json" {
			return a.emitJSON("JobLogLine", line)
		}
		_, err := fmt.Fprintln(a.out, lineText(line))
		return err
	})
	a.noteLost(lost)
	return err
}

func lineText(line holocompute.LogLine) string {
	if line.Attempt == 0 {
		return fmt.Sprintf("task %d, combining: %s", line.Task, line.Text)
	}
	return fmt.Sprintf("task %d: %s", line.Task, line.Text)
}

func (a *app) noteLost(lost uint64) {
	if lost > 0 {
		a.note("%d more lines were logged and not kept: they were beyond the quota of their task or of the job", lost)
	}
}
