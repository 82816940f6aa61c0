package jobs

import (
	"bytes"
	"context"
	"encoding/binary"

	"github.com/holocompute/holocompute/internal/core/handles"
	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/workers"
)

// readBudget is how often a task may read each of its inputs as a whole.
const readBudget = 4

// Elements is an input of a general task: how many elements it has, and how b is
// filled with those from first on, all of which there are.
type Elements struct {
	Length uint64
	Read   func(ctx context.Context, first uint64, b []byte) error
}

// open makes the handles of a general task over arrays of the cluster.
func (w *work) open(ctx context.Context) error {
	inputs := make([]Elements, len(w.task.Inputs))
	for i, in := range w.task.Inputs {
		a, err := w.cluster.Array(ctx, in.Array)
		if err != nil {
			return err
		}
		if !a.Sealed || a.Shape.Type != in.Type {
			return holo.Errorf(holo.Invalid, "%s is not sealed or not of %s, and a task that is tried again must read the same", a.Name, in.Type)
		}
		inputs[i] = Elements{a.Shape.Length, func(ctx context.Context, first uint64, b []byte) error { return w.elements(ctx, a, first, b) }}
	}
	w.grant(inputs)
	return nil
}

// grant makes the handles: one for each input, to read all of it, and the last to
// write the task's extent of the output. No two tasks have elements in common that
// they write.
func (w *work) grant(inputs []Elements) {
	t := w.task
	w.reads = make([]holo.Digest, len(inputs))
	for i, in := range inputs {
		elem := t.Inputs[i].Type
		w.handles = append(w.handles, workers.Handle{
			Grant: handles.Grant{Array: t.Inputs[i].Array, Type: elem, Count: in.Length, Right: handles.Read, Budget: readBudget * in.Length * elem.Size()},
			Read:  w.noted(&w.reads[i], in),
		})
	}
	w.handles = append(w.handles, workers.Handle{
		Grant: handles.Grant{Array: t.Output.Array, Type: t.Output.Type, First: t.First, Count: t.Count, Right: handles.Write, Budget: t.Count * t.Output.Type.Size()},
		Write: func(b []byte) { w.write(b, 0) },
	})
}

// noted reads elements of an input, and notes what was asked for and what came: the
// receipt has a digest over all of it, in its order.
func (w *work) noted(sum *holo.Digest, in Elements) func(context.Context, uint64, []byte) error {
	return func(ctx context.Context, first uint64, b []byte) error {
		if err := in.Read(ctx, first, b); err != nil {
			return err
		}
		came := digest.Of(b)
		*sum = digest.Of(append(binary.LittleEndian.AppendUint64(bytes.Clone(sum[:]), first), came[:]...))
		return nil
	}
}
