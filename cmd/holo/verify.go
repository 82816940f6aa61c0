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
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/jobs"
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
				return a.emit("Receipts", listOf(r.Tasks()), func(w *tabwriter.Writer) { receiptTable(w, r.Tasks()) })
			})
		},
	}
	cmd.Flags().StringVar(&path, "file", "", "write them to a file; - is standard output")
	return cmd
}

func receiptTable(w *tabwriter.Writer, list []holocompute.TaskReceipt) {
	row(w, "TASK", "ATTEMPT", "NODE", "ENDED", "GAS", "INPUTS", "OUTPUT")
	for _, t := range list {
		inputs := make([]string, len(t.Inputs))
		for i, in := range t.Inputs {
			inputs[i] = in[:12]
		}
		row(w, t.Task, t.Attempt, t.Node[:12], time.Unix(t.Unix, 0).UTC().Format(time.DateTime), t.Gas, strings.Join(inputs, " "), t.Output[:12])
	}
}

func verifyCommand(a *app) *cobra.Command {
	var v verifier
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check the receipts of a job, by running its tasks again",
		Long: "Check the receipts of a job that `holo job receipts --file` wrote: each is signed by the node that it names, which is a member,\n" +
			"and running the task again, here, from the same input comes to the same output for the same gas. What differs is named.\n" +
			"An input that was written since the job is another one: seal the arrays whose results have to be proven.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			job, err := readReceipts(args[0])
			if err != nil {
				return err
			}
			if v.signatures {
				return v.tell(a, job, make([][]string, len(job.Tasks)))
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
	for _, t := range job.Tasks {
		if err := job.Check(t); err != nil {
			return receipt.Job{}, holo.Refuse(holo.KindOf(err), holo.ReasonOf(err), "%s: %w", path, err)
		}
	}
	return job, nil
}

// verifier runs tasks again.
type verifier struct {
	signatures bool
	tasks      []uint
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
	found, err := v.compare(ctx, a, s, pool, members, job)
	if err != nil {
		return err
	}
	return v.tell(a, job, found)
}

// compare runs each task again and names, for each, what differs.
func (v *verifier) compare(ctx context.Context, a *app, s *source, pool *workers.Pool, members []holocompute.MemberInfo, job receipt.Job) ([][]string, error) {
	meter := a.meter("verify", int64(len(job.Tasks)), countUnit)
	defer meter.end()
	found := make([][]string, len(job.Tasks))
	for i, t := range job.Tasks {
		if !slices.ContainsFunc(members, func(m holocompute.MemberInfo) bool { return m.ID == t.Said.Node.Hex() }) {
			found[i] = append(found[i], fmt.Sprintf("node: %s is not a member of this cluster", t.Said.Node))
		}
		again, err := s.again(ctx, pool, t)
		if err != nil {
			return nil, err
		}
		found[i] = append(found[i], t.Differences(&again)...)
		meter.at(int64(i + 1))
	}
	return found, nil
}

// verified is what came of one task.
type verified struct {
	Task        uint32   `json:"task"`
	Node        string   `json:"node"`
	Differences []string `json:"differences"`
}

func (v *verifier) tell(a *app, job receipt.Job, found [][]string) error {
	list, wrong := make([]verified, len(found)), 0
	for i, t := range job.Tasks {
		list[i] = verified{uint32(t.Run.Task), t.Said.Node.Hex(), append([]string{}, found[i]...)}
		if len(found[i]) > 0 {
			wrong++
		}
	}
	same := "signed, and the same when run again"
	if v.signatures {
		same = "signed"
	}
	err := a.emit("Verified", listOf(list), func(w *tabwriter.Writer) {
		row(w, "TASK", "NODE", "RESULT")
		for _, t := range list {
			result := same
			if len(t.Differences) > 0 {
				result = strings.Join(t.Differences, "; ")
			}
			row(w, t.Task, t.Node[:12], result)
		}
	})
	if err == nil && wrong > 0 {
		err = holo.Refuse(holo.Corrupt, "receipt_differs", "verify job %d: %d of %d tasks are not what their receipts say", job.ID, wrong, len(list))
	}
	return err
}

// source is where the modules and pages for another run come from. What it
// gives is checked: a module by its hash, pages by the root in the receipt.
type source struct {
	c       *holocompute.Cluster
	modules map[holo.ModuleID]*module.Module
	arrays  map[holo.ArrayID]*holocompute.Raw
}

func (s *source) again(ctx context.Context, pool *workers.Pool, t receipt.Task) (wire.Receipt, error) {
	m, err := s.module(ctx, t.Run.Module)
	if err != nil {
		return wire.Receipt{}, err
	}
	inputs, around := make([][]jobs.Page, len(t.Run.Inputs)), make([]jobs.Around, len(t.Run.Inputs))
	for i, in := range t.Run.Inputs {
		if inputs[i], err = s.pages(ctx, t.Run, in); err != nil {
			return wire.Receipt{}, err
		}
		around[i], err = jobs.ReadAround(t.Run, in.Type, func(first uint64, b []byte) error { return s.arrays[in.Array].ReadBytes(ctx, first, b) })
		if err != nil {
			return wire.Receipt{}, err
		}
	}
	return jobs.Replay(ctx, pool, m, t.Run, inputs, around)
}

func (s *source) module(ctx context.Context, id holo.ModuleID) (*module.Module, error) {
	if m, ok := s.modules[id]; ok {
		return m, nil
	}
	wasm, err := s.c.KernelBytes(ctx, id.Hex())
	if err != nil {
		return nil, err
	}
	if got := module.ID(wasm); got != id {
		return nil, holo.Refuse(holo.Corrupt, "bad_module_hash", "verify: kernel %s came as bytes that hash to %s", id, got)
	}
	m, err := module.Admit(wasm)
	if err == nil {
		s.modules[id] = m
	}
	return m, err
}

func (s *source) pages(ctx context.Context, t *wire.RunTask, in wire.TaskArray) ([]jobs.Page, error) {
	raw, ok := s.arrays[in.Array]
	if !ok {
		var err error
		if raw, err = s.c.OpenRaw(ctx, fmt.Sprintf("#%d", in.Array)); err != nil {
			return nil, err
		}
		s.arrays[in.Array] = raw
	}
	if raw.Type() != in.Type || raw.Len() != t.Length {
		return nil, holo.Errorf(holo.Corrupt, "verify: array #%d has %d elements of %s, its receipt says %d of %s", in.Array, raw.Len(), raw.Type(), t.Length, in.Type)
	}
	used := t.Count * in.Type.Size()
	b := make([]byte, (used+holo.PageSize-1)/holo.PageSize*holo.PageSize)
	if err := raw.ReadBytes(ctx, t.First, b[:used]); err != nil {
		return nil, err
	}
	var pages []jobs.Page
	for p := range slices.Chunk(b, holo.PageSize) {
		pages = append(pages, jobs.Page{Kind: wire.PageData, Data: p})
	}
	return pages, nil
}
