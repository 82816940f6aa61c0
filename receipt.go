package holocompute

import (
	"context"
	"fmt"
	"io"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/receipt"
)

// Receipts are what the nodes that ran a job's tasks say of them: made from
// what, what it came to, for how much gas, and when, each signed by its node.
// `holo verify` runs the tasks again and compares.
type Receipts struct {
	job receipt.Job
}

// TaskReceipt is one of them.
type TaskReceipt struct {
	Task    uint32   `json:"task"`
	Attempt uint32   `json:"attempt"`
	Node    string   `json:"node"`
	Unix    int64    `json:"unix"` // by the node's clock, when the task ended
	Prices  string   `json:"prices"`
	Gas     uint64   `json:"gas"`
	Inputs  []string `json:"inputs"` // root of the digests of the pages that it read, of each input
	Output  string   `json:"output"` // of the pages that a map wrote, or digest of a reduce's accumulator
}

// StepReceipt is that of a step of a reduce, which combined the results of two
// tasks, or of what had been combined into them.
type StepReceipt struct {
	Into   uint32 `json:"into"`
	From   uint32 `json:"from"`
	Node   string `json:"node"`
	Unix   int64  `json:"unix"` // by the node's clock, when the step ended
	Prices string `json:"prices"`
	Gas    uint64 `json:"gas"`
	Left   string `json:"left"`   // digest of the accumulator of Into, before
	Right  string `json:"right"`  // digest of the accumulator of From
	Output string `json:"output"` // digest of the accumulator of Into, after
}

// Receipts asks for the receipts of the job's tasks, and of the steps that
// combined their results, that have counted so far, page by page. They are kept
// by the node that coordinates the job while it remembers it and has room: see
// Dropped.
func (j *Job) Receipts(ctx context.Context) (Receipts, error) {
	what := fmt.Sprintf("receipts of job %d", j.id)
	r := Receipts{receipt.Job{ID: holo.JobID(j.id)}}
	for from := uint64(0); ; {
		m, err := read(ctx, j.c.client, what, j.c.receipts.Get, &holov1.GetReceiptsRequest{Job: j.id, From: from})
		if err != nil {
			return Receipts{}, err
		}
		if err := r.take(what, m); err != nil {
			return Receipts{}, err
		}
		if m.GetNext() == 0 {
			return r, nil
		}
		if m.GetNext() <= from {
			return Receipts{}, holo.Errorf(Corrupt, "%s: after receipt %d the node goes on at %d", what, from, m.GetNext())
		}
		from = m.GetNext()
	}
}

// take takes a page in. The job may go on between two of them.
func (r *Receipts) take(what string, m *holov1.Receipts) error {
	if len(m.GetCluster()) != len(holo.ClusterID{}) {
		return holo.Errorf(Corrupt, "%s: the node names no cluster", what)
	}
	r.job.Cluster, r.job.Dropped, r.job.Results = holo.ClusterID(m.GetCluster()), m.GetDropped(), nil
	for _, sum := range m.GetResults() {
		if len(sum) != len(holo.Digest{}) {
			return holo.Errorf(Corrupt, "%s: a result's digest has %d bytes", what, len(sum))
		}
		r.job.Results = append(r.job.Results, holo.Digest(sum))
	}
	for _, e := range m.GetReceipts() {
		err := error(nil)
		if len(e.GetStep()) > 0 {
			err = r.job.AddStep(e.GetStep())
		} else {
			err = r.job.Add(m.GetParams(), e.GetTask(), e.GetReceipt())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Dropped is the number of the job's receipts for which its coordinator had no
// room, and which are not here.
func (r Receipts) Dropped() uint64 { return r.job.Dropped }

// Steps lists the receipts of the steps in the order in which they were done.
func (r Receipts) Steps() []StepReceipt {
	list := make([]StepReceipt, len(r.job.Steps))
	for i, s := range r.job.Steps {
		list[i] = StepReceipt{
			Into: uint32(s.Into), From: uint32(s.From), Node: s.Node.Hex(), Unix: s.Time, Prices: s.Prices, Gas: uint64(s.Gas),
			Left: s.Left.Hex(), Right: s.Right.Hex(), Output: s.Output.Hex(),
		}
	}
	return list
}

// Tasks lists the receipts in the order in which the tasks counted.
func (r Receipts) Tasks() []TaskReceipt {
	list := make([]TaskReceipt, len(r.job.Tasks))
	for i, t := range r.job.Tasks {
		list[i] = TaskReceipt{
			Task: uint32(t.Run.Task), Attempt: uint32(t.Run.Attempt), Node: t.Said.Node.Hex(), Unix: t.Said.Time,
			Prices: t.Said.Prices, Gas: uint64(t.Said.Gas), Output: t.Said.Output.Hex(),
		}
		for _, in := range t.Said.Inputs {
			list[i].Inputs = append(list[i].Inputs, in.Hex())
		}
	}
	return list
}

// Check verifies every signature, and that each step of a reduce combined what
// the receipts below it made, up to the job's result. It needs no cluster, and
// cannot tell whether a node is a member of one.
func (r Receipts) Check() error {
	for _, t := range r.job.Tasks {
		if err := r.job.Check(t); err != nil {
			return err
		}
	}
	return r.job.CheckTree()
}

// Write writes the receipts as a file for `holo verify`.
func (r Receipts) Write(w io.Writer) error { return r.job.Write(w) }

// KernelBytes fetches a kernel's module by its name or hash. It needs the right
// to run it.
func (c *Cluster) KernelBytes(ctx context.Context, name string) ([]byte, error) {
	m, err := read(ctx, c.client, "fetch kernel "+name, c.receipts.Module, &holov1.GetModuleRequest{Name: name})
	return m.GetWasm(), err
}
