package node

import (
	"context"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/jobs"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// Date is the time of day.
func (t taskSide) Date() int64 { return unixNow() }

// SignReceipt makes a receipt this node's word.
func (t taskSide) SignReceipt(task *wire.RunTask, r *wire.Receipt) {
	copy(r.Signature[:], t.n.sign(r.Proof(t.n.cluster, task)))
}

// SignStep makes the receipt of a step this node's word.
func (t taskSide) SignStep(r *wire.StepReceipt) {
	copy(r.Signature[:], t.n.sign(r.Proof(t.n.cluster)))
}

// CheckReceipt reports whether a receipt is signed by the node that it names.
func (t taskSide) CheckReceipt(task *wire.RunTask, r *wire.Receipt) bool {
	return key.Verify(r.Node, r.Proof(t.n.cluster, task), r.Signature[:])
}

// maxReceiptsPage bounds an answer, in bytes: at least one receipt is in it.
const maxReceiptsPage = 1 << 20

// GetReceipts gives a page of the receipts of a job that this node coordinated
// and has not forgotten. The tasks go without the parameters where all have them
// alike.
func (n *Node) GetReceipts(ctx context.Context, _ door.Caller, id holo.JobID, from uint64) (*holov1.Receipts, error) {
	page, err := n.runner.Receipts(id, from)
	if err != nil {
		return nil, n.coordinatedElsewhere(ctx, "receipts", id, err)
	}
	j, err := n.runner.Job(id)
	if err != nil {
		return nil, err
	}
	out := &holov1.Receipts{Cluster: n.cluster[:], Job: uint64(id), Next: page.Next, Dropped: page.Dropped}
	for _, sum := range page.Results {
		out.Results = append(out.Results, sum[:])
	}
	addReceipts(out, page.List, from, len(j.Spec.Then) == 0)
	return out, nil
}

// addReceipts adds as many receipts of a page as an answer may have. The stages
// of a graph have parameters of their own.
func addReceipts(out *holov1.Receipts, list []jobs.Receipt, from uint64, alike bool) {
	size := 0
	for i, r := range list {
		if alike && r.Task != nil {
			out.Params, r.Task.Params = r.Task.Params, nil
		}
		m := receiptMessage(r)
		if size += len(m.Task) + len(m.Receipt) + len(m.Step); i > 0 && size > maxReceiptsPage {
			out.Next = from + uint64(i)
			return
		}
		out.Receipts = append(out.Receipts, m)
	}
}

func receiptMessage(r jobs.Receipt) *holov1.Receipt {
	if r.Step != nil {
		return &holov1.Receipt{Step: wire.Encode(r.Step)}
	}
	return &holov1.Receipt{Task: wire.Encode(r.Task), Receipt: wire.Encode(r.Said)}
}

// coordinatedElsewhere says where to ask, where that is known.
func (n *Node) coordinatedElsewhere(ctx context.Context, what string, id holo.JobID, err error) error {
	rec, unknown := n.jobRecord(ctx, id)
	if unknown != nil {
		return unknown
	}
	if rec.Coordinator != n.self {
		return holo.Refuse(holo.Unavailable, reasonElsewhere, "%s of job %d: node %s coordinated it: ask there", what, uint64(id), rec.Coordinator)
	}
	return err
}

// GetModule gives a module's bytes, whose hash is its name.
func (n *Node) GetModule(ctx context.Context, _ door.Caller, name string) (*holov1.ModuleBytes, error) {
	k, err := n.kernel(ctx, name)
	if err != nil {
		return nil, err
	}
	b, err := n.moduleBytes(ctx, k.Module)
	if err != nil {
		return nil, err
	}
	return &holov1.ModuleBytes{Module: k.Module.Hex(), Wasm: b}, nil
}
