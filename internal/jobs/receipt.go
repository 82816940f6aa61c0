package jobs

import (
	"cmp"
	"context"
	"slices"

	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/internal/workers"
)

// ReasonBadReceipt is why an answer is not taken whose receipt says something
// else, or is not signed by the node that answered.
const ReasonBadReceipt = "bad_receipt"

// Receipt is a task and the word of the node on it whose result counts, or with
// Step what the coordinator says of a step that combined two results.
type Receipt struct {
	Task *wire.RunTask
	Said *wire.Receipt
	Step *wire.StepReceipt
}

// statement is a receipt without who says it and when.
func (w *work) statement() wire.Receipt {
	r := wire.Receipt{Prices: module.Version, Gas: w.result.Gas, Inputs: w.reads}
	for _, in := range w.inputs {
		r.Inputs = append(r.Inputs, in.root())
		if w.task.Halo.Width > 0 {
			r.Halos = append(r.Halos, in.around.sum())
		}
	}
	if w.task.Kind == wire.TaskReduce {
		r.Output = digest.Of(w.acc)
	} else {
		r.Output = digest.Root(w.sums())
	}
	return r
}

// writesWhatItReads reports whether a task finds other inputs once it has
// committed. The receipt of an attempt that commits again then has no output:
// what it computed counts nowhere.
func writesWhatItReads(t *wire.RunTask) bool {
	return t.Kind != wire.TaskReduce && slices.ContainsFunc(t.Inputs, func(in wire.TaskArray) bool { return in.Array == t.Output.Array })
}

// sums are the digests of the output's pages. Nothing changes them any more.
func (w *work) sums() []holo.Digest {
	for len(w.summed) < len(w.output) {
		w.summed = append(w.summed, digest.Of(w.output[len(w.summed)]))
	}
	return w.summed
}

// Replay runs a task again, here, from pages that somebody read: a copy of the
// module, and of each input the pages of the task's extent, and with a halo what
// lies around it. It commits nothing. The receipt that it gives is signed by
// nobody; beside it is the accumulator of a reduce.
func Replay(ctx context.Context, pool *workers.Pool, m *module.Module, t *wire.RunTask, inputs [][]Page, around []Around) (wire.Receipt, []byte, error) {
	w := &work{workers: pool, module: m, task: t, result: new(wire.TaskResult)}
	for i, in := range t.Inputs {
		if _, count := w.pages(in); len(inputs) != len(t.Inputs) || len(inputs[i]) != int(count) {
			return wire.Receipt{}, nil, holo.Errorf(holo.Invalid, "run task %d again: want %d pages of each of %d inputs", t.Task, count, len(t.Inputs))
		}
		s := newSource(in.Type, t.Count*in.Type.Size(), inputs[i])
		if width := int(uint64(t.Halo.Width) * in.Type.Size()); width > 0 {
			if len(around) != len(t.Inputs) || len(around[i].Before) != width || len(around[i].After) != width {
				return wire.Receipt{}, nil, holo.Errorf(holo.Invalid, "run task %d again: want %d bytes on either side of input %d", t.Task, width, i)
			}
			s.around = around[i]
		}
		w.inputs = append(w.inputs, s)
	}
	if err := w.compute(ctx); err != nil {
		return wire.Receipt{}, nil, taskError(t, err)
	}
	return w.statement(), w.acc, nil
}

// ReplayGeneral runs a general task again, from elements that it asks for.
func ReplayGeneral(ctx context.Context, pool *workers.Pool, m *module.Module, t *wire.RunTask, inputs []Elements) (wire.Receipt, error) {
	w := &work{workers: pool, module: m, task: t, result: new(wire.TaskResult)}
	if len(inputs) != len(t.Inputs) || t.Kind != wire.TaskGeneral {
		return wire.Receipt{}, holo.Errorf(holo.Invalid, "run task %d again: a %s with %d inputs from %d", t.Task, t.Kind, len(t.Inputs), len(inputs))
	}
	w.grant(inputs)
	if err := w.compute(ctx); err != nil {
		return wire.Receipt{}, taskError(t, err)
	}
	return w.statement(), nil
}

// checkReceipt holds a receipt against the answer that it came with. That of
// another node is signed. What this node states itself it signs when somebody
// asks: a signature and its check cost more than all else of a light task.
func (j *job) checkReceipt(a sched.Assign, t *wire.RunTask, r *wire.TaskResult) error {
	said := &r.Receipt
	wrong := ""
	switch {
	case said.Node != a.Node:
		wrong = "names another node"
	case said.Gas != r.Gas:
		wrong = "names other gas"
	case said.Prices != module.Version:
		wrong = "names another table of prices"
	case len(said.Inputs) != len(t.Inputs):
		wrong = "names other inputs"
	case t.Halo.Width > 0 && len(said.Halos) != len(t.Inputs) || t.Halo.Width == 0 && len(said.Halos) > 0:
		wrong = "names other elements around them"
	case t.Kind == wire.TaskReduce && !digest.Check(r.Partial, said.Output):
		wrong = "names another result"
	case said.Output == (holo.Digest{}) && !writesWhatItReads(t):
		wrong = "names no output"
	}
	if wrong == "" && (a.Node == j.runner.cluster.Self() || j.runner.cluster.CheckReceipt(t, said)) {
		return nil
	}
	j.runner.opt.Count(ReasonBadReceipt)
	return holo.Refuse(holo.Corrupt, ReasonBadReceipt, "task %d of job %d: the receipt of node %s %s", t.Task, t.Job, a.Node, cmp.Or(wrong, "is not signed by it"))
}
