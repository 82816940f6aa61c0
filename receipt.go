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

// Receipts asks for the receipts of the job's tasks that have counted so far.
// They are kept of jobs of at most 4,096 tasks, by the node that coordinates
// the job: ask while it remembers the job.
func (j *Job) Receipts(ctx context.Context) (Receipts, error) {
	what := fmt.Sprintf("receipts of job %d", j.id)
	m, err := read(ctx, j.c.client, what, j.c.receipts.Get, &holov1.GetReceiptsRequest{Job: j.id})
	if err != nil {
		return Receipts{}, err
	}
	if len(m.GetCluster()) != len(holo.ClusterID{}) {
		return Receipts{}, holo.Errorf(Corrupt, "%s: the node names no cluster", what)
	}
	job, err := receipt.Decode(holo.ClusterID(m.GetCluster()), holo.JobID(j.id), m.GetParams(), len(m.GetReceipts()), func(i int) ([]byte, []byte) {
		r := m.GetReceipts()[i]
		return r.GetTask(), r.GetReceipt()
	})
	return Receipts{job}, err
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

// Check verifies every signature. It needs no cluster, and cannot tell whether
// a node is a member of one.
func (r Receipts) Check() error {
	for _, t := range r.job.Tasks {
		if err := r.job.Check(t); err != nil {
			return err
		}
	}
	return nil
}

// Write writes the receipts as a file for `holo verify`.
func (r Receipts) Write(w io.Writer) error { return r.job.Write(w) }

// KernelBytes fetches a kernel's module by its name or hash. It needs the right
// to run it.
func (c *Cluster) KernelBytes(ctx context.Context, name string) ([]byte, error) {
	m, err := read(ctx, c.client, "fetch kernel "+name, c.receipts.Module, &holov1.GetModuleRequest{Name: name})
	return m.GetWasm(), err
}
