package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/receipt"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/internal/workers"
)

func jobReceipts(a *app) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "receipts JOB",
		Short: "Show what the nodes that ran a job's tasks say of them, signed",
		Long: "Show what the nodes that ran a job's tasks say of them: made from what, what it came to, for how much gas.\n" +
			"Each is signed by its node. With --file they go into a file for `holo verify`, which runs the tasks again.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args[0])
			if err != nil {
				return err
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				r, err := c.Job(id).Receipts(cmd.Context())
				if err != nil {
					return err
				}
				if path == "-" {
					return r.Write(a.out)
				}
				if path != "" {
					if err := replaceFile(path, r.Write); err != nil {
						return err
					}
				}
				if n := r.Dropped(); n > 0 {
					fmt.Fprintf(a.err, "%d receipts are not here: the node that coordinated the job had no room for them, or an attempt that committed was not heard of\n", n)
				}
				list := []any{}
				for _, t := range r.Tasks() {
					list = append(list, t)
				}
				for _, s := range r.Steps() {
					list = append(list, s)
				}
				return a.emit("Receipts", listOf(list), func(w *tabwriter.Writer) { receiptTable(w, r) })
			})
		},
	}
	cmd.Flags().StringVar(&path, "file", "", "write them to a file; - is standard output")
	return cmd
}

func receiptTable(w *tabwriter.Writer, r holocompute.Receipts) {
	row(w, "TASK", "ATTEMPT", "NODE", "ENDED", "GAS", "INPUTS", "OUTPUT")
	for _, t := range r.Tasks() {
		inputs := make([]string, len(t.Inputs))
		for i, in := range t.Inputs {
			inputs[i] = in[:12]
		}
		row(w, t.Task, t.Attempt, t.Node[:12], time.Unix(t.Unix, 0).UTC().Format(time.DateTime), t.Gas, strings.Join(inputs, " "), t.Output[:12])
	}
	for _, s := range r.Steps() {
		row(w, fmt.Sprintf("%d+%d", s.Into, s.From), "", s.Node[:12], time.Unix(s.Unix, 0).UTC().Format(time.DateTime), s.Gas, s.Left[:12]+" "+s.Right[:12], s.Output[:12])
	}
}

func verifyCommand(a *app) *cobra.Command {
	var v verifier
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check the receipts of a job, by running its tasks again",
		Long: "Check the receipts of a job that `holo job receipts --file` wrote: each is signed by the node that it names, which is a member,\n" +
			"and running the task again, here, from the same input comes to the same output for the same gas. What differs is named.\n" +
			"The steps of a reduce are followed from its tasks to its result, whose digest is given.\n" +
			"An input that was written since the job is another one: seal the arrays whose results have to be proven.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			job, err := readReceipts(args[0])
			if err != nil {
				return err
			}
			if v.signatures {
				return v.signed(a, args[0], job)
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error { return v.run(cmd.Context(), a, c, job) })
		},
	}
	cmd.Flags().BoolVar(&v.signatures, "signatures", false, "check the signatures only, which needs no cluster")
	cmd.Flags().UintSliceVar(&v.tasks, "task", nil, "run only these tasks again (default: all)")
	return cmd
}

func readReceipts(path string) (receipt.Job, error) {
	f, err := os.Open(path)
	if err != nil {
		return receipt.Job{}, holo.Errorf(holo.NotFound, "read receipts: %w", err)
	}
	defer f.Close()
	job, err := receipt.Read(f)
	if err != nil {
		return receipt.Job{}, holo.Errorf(holo.KindOf(err), "%s: %w", path, err)
	}
	return job, nil
}

// verifier runs tasks again.
type verifier struct {
	signatures bool
	tasks      []uint
}

// signed looks at the signatures alone: a receipt that is not signed is not traced,
// since that needs what running again comes to.
func (v *verifier) signed(a *app, path string, job receipt.Job) error {
	for _, t := range job.Tasks {
		if err := job.Check(t); err != nil {
			return holo.Refuse(holo.KindOf(err), holo.ReasonOf(err), "%s: %w: holo verify without --signatures runs the task again and names what was changed", path, err)
		}
	}
	return v.tell(a, job, &verdicts{})
}

func (v *verifier) run(ctx context.Context, a *app, c *holocompute.Cluster, job receipt.Job) error {
	if len(v.tasks) > 0 {
		job.Tasks = slices.DeleteFunc(job.Tasks, func(t receipt.Task) bool { return !slices.Contains(v.tasks, uint(t.Run.Task)) })
	}
	members, err := c.Members(ctx)
	if err != nil {
		return err
	}
	pool := workers.New(workers.Options{Max: 1})
	defer pool.Close()
	s := &source{c: c, modules: map[holo.ModuleID]*module.Module{}, arrays: map[holo.ArrayID]*holocompute.Raw{}}
	r := &rerun{source: s, pool: pool, job: job, members: members, whole: len(v.tasks) == 0, found: verdicts{}, steps: map[sched.Step]*wire.StepReceipt{}}
	if err := r.all(ctx, a); err != nil {
		return err
	}
	return v.tell(a, job, &r.found)
}

// verified is what came of one task, or of a step: then From is set.
type verified struct {
	Task        uint32   `json:"task"`
	From        uint32   `json:"from,omitempty"`
	Node        string   `json:"node,omitempty"`
	Differences []string `json:"differences"`
}

func (v verified) name() string {
	if v.From > 0 {
		return fmt.Sprintf("%d+%d", v.Task, v.From)
	}
	return fmt.Sprint(v.Task)
}

func (v *verifier) tell(a *app, job receipt.Job, found *verdicts) error {
	var list []verified
	for _, t := range job.Tasks {
		list = append(list, found.of(sched.Step{Into: t.Run.Task, From: t.Run.Task}, t.Said.Node, nil))
	}
	tree := receipt.Tree{}
	if len(v.tasks) == 0 {
		tree = job.Walk()
	}
	for _, s := range tree.Steps {
		list = append(list, found.of(s.Step, s.Node, s.Differences))
	}
	wrong := len(tree.Wrong)
	for _, l := range list {
		if len(l.Differences) > 0 {
			wrong++
		}
	}
	if err := a.emit("Verified", listOf(list), func(w *tabwriter.Writer) { v.table(w, list) }); err != nil {
		return err
	}
	v.say(a, job, tree)
	if wrong > 0 {
		return holo.Refuse(holo.Corrupt, receipt.ReasonDiffers, "verify job %d: %d of %d tasks and steps are not what their receipts say, %d things are wrong with the whole", job.ID, wrong-len(tree.Wrong), len(list), len(tree.Wrong))
	}
	return nil
}

func (v *verifier) table(w *tabwriter.Writer, list []verified) {
	same := "signed, and the same when run again"
	if v.signatures {
		same = "signed"
	}
	row(w, "TASK", "NODE", "RESULT")
	for _, l := range list {
		result := same
		if len(l.Differences) > 0 {
			result = strings.Join(l.Differences, "; ")
		}
		row(w, l.name(), l.Node[:min(12, len(l.Node))], result)
	}
}

// say tells what is so of the whole job, beside the list.
func (v *verifier) say(a *app, job receipt.Job, tree receipt.Tree) {
	for _, what := range tree.Wrong {
		fmt.Fprintln(a.err, what)
	}
	if job.Dropped > 0 {
		fmt.Fprintf(a.err, "%d receipts of job %d are not here: its coordinator had no room for them, or an attempt that committed was not heard of\n", job.Dropped, job.ID)
	}
	for i, sum := range tree.Results {
		fmt.Fprintf(a.err, "result %d: %s\n", i, sum.Hex())
	}
}
