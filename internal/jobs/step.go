package jobs

import (
	"context"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/internal/workers"
)

// partial is the accumulator of a task, or of several that were combined.
type partial struct {
	acc []byte
	sum holo.Digest // of acc, as the receipt of who made it says
}

// combineTask is a step as a worker is given it: it adds from to into. What both
// have in common is that of the task that made into.
func combineTask(t *wire.RunTask, m *module.Module, into, from []byte, said *wire.Said) *workers.Task {
	return &workers.Task{
		Owner: t.Owner, Module: m, Kind: module.Combine, Function: t.Function, Gas: t.Gas, MemoryPages: t.MemoryPages,
		Params: t.Params, Acc: into, Said: said,
		Inputs: []workers.Input{{Type: holo.U8, Bytes: uint32(len(from)), Read: func(b []byte, _ uint64) { copy(b, from) }}},
	}
}

// combined is the receipt of a step without who says it and when.
func combined(t *wire.RunTask, from holo.TaskID, left, right holo.Digest, acc []byte, used holo.Gas) *wire.StepReceipt {
	return &wire.StepReceipt{
		Job: t.Job, Epoch: t.Epoch, Into: t.Task, From: from, Module: t.Module, Function: t.Function, Params: digest.Of(t.Params),
		Prices: module.Version, Gas: used, Left: left, Right: right, Output: digest.Of(acc),
	}
}

// ReplayStep combines two accumulators again, here, as they were when t, whose
// task is the step's lower one, and those after it had run: into becomes the
// result. The receipt that it gives is signed by nobody.
func ReplayStep(ctx context.Context, pool *workers.Pool, m *module.Module, t *wire.RunTask, from holo.TaskID, into, with []byte) (*wire.StepReceipt, error) {
	left, right := digest.Of(into), digest.Of(with)
	used, err := pool.Run(ctx, combineTask(t, m, into, with, new(wire.Said)))
	if err != nil {
		return nil, holo.Refuse(holo.KindOf(err), holo.ReasonOf(err), "combine task %d into task %d of job %d again: %w", from, t.Task, t.Job, err)
	}
	return combined(t, from, left, right, into, used.Gas), nil
}
