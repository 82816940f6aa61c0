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

// CheckReceipt reports whether a receipt is signed by the node that it names.
func (t taskSide) CheckReceipt(task *wire.RunTask, r *wire.Receipt) bool {
	return key.Verify(r.Node, r.Proof(t.n.cluster, task), r.Signature[:])
}

// GetReceipts gives the receipts of a job that this node coordinated and has
// not forgotten. The tasks go without the parameters, which all have alike.
func (n *Node) GetReceipts(ctx context.Context, _ door.Caller, id holo.JobID) (*holov1.Receipts, error) {
	list, err := n.runner.Receipts(id)
	if err != nil {
		return nil, n.coordinatedElsewhere(ctx, "receipts", id, err)
	}
	j, err := n.runner.Job(id)
	if err != nil {
		return nil, err
	}
	graph := len(j.Spec.Then) > 0
	if err := tooLong(id, list, graph); err != nil {
		return nil, err
	}
	out := &holov1.Receipts{Cluster: n.cluster[:], Job: uint64(id)}
	for _, r := range list {
		if !graph { // the stages' differ
			out.Params, r.Task.Params = r.Task.Params, nil
		}
		out.Receipts = append(out.Receipts, &holov1.Receipt{Task: wire.Encode(r.Task), Receipt: wire.Encode(r.Said)})
	}
	return out, nil
}

// maxReceiptParams bounds the parameters in one answer: those of a graph's tasks
// are not all alike, and go with each.
const maxReceiptParams = 16 << 20

func tooLong(id holo.JobID, list []jobs.Receipt, graph bool) error {
	size := 0
	for _, r := range list {
		size += len(r.Task.Params)
	}
	if graph && size > maxReceiptParams {
		return holo.Errorf(holo.Exhausted, "receipts of job %d: its stages' parameters take %d bytes, at most %d are sent", uint64(id), size, maxReceiptParams)
	}
	return nil
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
