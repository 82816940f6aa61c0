package jobs

import (
	"bytes"
	"context"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/internal/workers"
)

// work is one attempt at a task while it runs. One instance of the kernel sees
// the whole extent, run by run in order.
type work struct {
	cluster Cluster
	workers *workers.Pool
	module  *module.Module
	task    *wire.RunTask
	result  *wire.TaskResult

	inputs []*source
	acc    []byte
	output [][]byte      // pages of the extent, for a map
	summed []holo.Digest // of output

	reads   []holo.Digest    // of each input of a general task, what it asked for and got
	handles []workers.Handle // of a general task: its inputs, then its output

	err error // what it failed with
}

// finish makes what was computed count, and states it.
func (w *work) finish(ctx context.Context) error {
	var again bool
	var err error
	if w.task.Kind == wire.TaskReduce {
		w.result.Partial = w.acc
	} else if again, err = w.commit(ctx); err != nil {
		return err
	}
	r := w.statement()
	if again && writesWhatItReads(w.task) {
		r.Output = holo.Digest{} // it read what the first commit had written
	}
	r.Node, r.Time = w.cluster.Self(), w.cluster.Date()
	w.result.Receipt = r
	return nil
}

// shape is an array's, as far as a task knows it. The message's decoder has
// checked it.
func (w *work) shape(a wire.TaskArray) holo.Shape {
	return holo.Shape{Type: a.Type, Length: w.task.Length, Extent: w.task.Extent}
}

// pages is where the task's extent of an array lies.
func (w *work) pages(a wire.TaskArray) (first holo.PageIndex, count uint32) {
	s := w.shape(a)
	used := (w.task.Count*a.Type.Size() + holo.PageSize - 1) / holo.PageSize
	return holo.PageIndex(w.task.First / s.Extent * s.ExtentPages()), uint32(used)
}

// read takes hold of the extent's pages of every input, and of what lies around
// it where the task has a halo.
func (w *work) read(ctx context.Context) error {
	if w.task.Kind == wire.TaskGeneral {
		return w.open(ctx)
	}
	for _, in := range w.task.Inputs {
		first, count := w.pages(in)
		got, err := w.cluster.ReadPages(ctx, in.Array, in.Shard, first, count)
		if err != nil {
			return err
		}
		if len(got.Pages) != int(count) {
			return holo.Errorf(holo.Internal, "read %d pages of array a%d: %d came", count, uint64(in.Array), len(got.Pages))
		}
		w.count(in, got.Moved)
		s := newSource(in.Type, w.task.Count*in.Type.Size(), got.Pages)
		if w.task.Halo.Width > 0 {
			if s.around, err = w.around(ctx, in); err != nil {
				return err
			}
		}
		w.inputs = append(w.inputs, s)
	}
	return nil
}

// count adds the extent's elements of an array to what was processed.
func (w *work) count(a wire.TaskArray, moved bool) {
	w.countBytes(w.task.Count*a.Type.Size(), moved)
}

func (w *work) countBytes(n uint64, moved bool) {
	if moved {
		w.result.BytesMoved += n
		return
	}
	w.result.BytesLocal += n
}

// compute runs the kernel over the extent.
func (w *work) compute(ctx context.Context) error {
	used, err := w.workers.Run(ctx, w.kernel())
	w.result.Gas = used.Gas
	return err
}

// kernel is the task as a worker is given it, from its beginning.
func (w *work) kernel() *workers.Task {
	t, kind := w.task, module.Map
	w.result.Said = wire.Said{}
	if t.Kind == wire.TaskReduce {
		kind = module.Reduce
		w.acc = make([]byte, t.AccBytes)
	}
	if t.Kind == wire.TaskGeneral {
		kind = module.Task
	}
	k := &workers.Task{
		Owner: t.Owner, Module: w.module, Kind: kind, Function: t.Function, Gas: t.Gas, MemoryPages: t.MemoryPages,
		First: t.First, Count: t.Count, Run: w.runElements(), Halo: uint64(t.Halo.Width), Params: t.Params, Acc: w.acc, Said: &w.result.Said,
	}
	for _, in := range w.inputs {
		k.Inputs = append(k.Inputs, workers.Input{Type: in.elem, Read: in.read})
	}
	if t.Kind == wire.TaskGeneral {
		k.Run, k.Handles = t.Count, w.handles
	}
	if t.Kind == wire.TaskMap {
		k.Outputs = []workers.Output{{Type: t.Output.Type, Write: w.write}}
	}
	return k
}

// write takes output, whole pages of it but for the extent's last, from byte `from`
// of the extent on, in order. A page is made of what comes, not cleared first.
func (w *work) write(b []byte, from uint64) {
	w.output = w.output[:from/holo.PageSize]
	for ; len(b) >= holo.PageSize; b = b[holo.PageSize:] {
		w.output = append(w.output, bytes.Clone(b[:holo.PageSize]))
	}
	if len(b) > 0 {
		w.output = append(w.output, slices.Concat(b, zeroPage[len(b):]))
	}
}

// runElements is the number of elements in one call: 16 pages of the widest array,
// the most that a view may have, less the halos, and whole pages of the output. It
// depends only on the types and the halo, so a kernel sees the same calls on every
// node.
func (w *work) runElements() uint64 {
	t := w.task
	widest, whole := uint64(1), uint64(1)
	for _, in := range t.Inputs {
		widest = max(widest, in.Type.Size())
	}
	if t.Kind == wire.TaskMap {
		widest, whole = max(widest, t.Output.Type.Size()), holo.PageSize/t.Output.Type.Size()
	}
	n := sandbox.MaxViewPages*holo.PageSize/widest - 2*uint64(t.Halo.Width)
	return n - n%whole
}

// commit makes the output visible, all of it or nothing. It reports whether the
// task had committed before.
func (w *work) commit(ctx context.Context) (again bool, err error) {
	t := w.task
	home, ok := w.cluster.Home(t.Output.Shard)
	w.count(t.Output, !ok || home != w.cluster.Self())
	first, _ := w.pages(t.Output)
	return w.cluster.CommitTask(ctx, &TaskCommit{
		Job: t.Job, Epoch: t.Epoch, Task: t.Task, Array: t.Output.Array, Shard: t.Output.Shard, First: first, Pages: w.output, Sums: w.sums(),
	})
}
