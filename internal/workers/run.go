package workers

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/sandbox"
)

// run is a task in its worker, batch by batch. In the region lie the
// accumulator and the parameters for the whole task, and behind them the views
// of one batch.
type run struct {
	*Task
	worker          *process
	began, deadline time.Time
	result          sandbox.Result
	acc             place
	params          place
	free            uint32 // where views begin
}

// do runs all batches. usable says whether the worker can be used again.
func (r *run) do(ctx context.Context) (usable bool, err error) {
	err = r.worker.region.guarded(func() {
		r.acc, r.params = r.put(r.Acc), r.put(r.Params)
	})
	for at := uint64(0); err == nil && (at == 0 || at < r.Count); {
		n := min(r.elements(), r.Count-at)
		if usable, err = r.batch(ctx, at, n); err != nil || r.Count == 0 {
			break
		}
		at += n
	}
	if err != nil {
		return usable, err
	}
	return true, r.worker.region.guarded(func() { copy(r.Acc, r.acc.in(r.worker.region)) })
}

// put copies b behind what lies in the region already. check saw that it fits.
func (r *run) put(b []byte) place {
	p := r.take(uint64(len(b)))
	copy(p.in(r.worker.region), b)
	return p
}

func (r *run) take(size uint64) place {
	p := place{r.free, uint32(size)}
	r.free += uint32(size+align-1) / align * align
	return p
}

// elements is how many a batch has: whole calls, at least one.
func (r *run) elements() uint64 {
	call := uint64(0)
	for _, in := range r.Inputs {
		call += r.bytes(in.Type, r.Run)
	}
	for _, out := range r.Outputs {
		call += r.bytes(out.Type, r.Run)
	}
	return r.Run * max(batchBytes/max(call, 1), 1)
}

// batch hands n elements from element at of the task over, and takes the
// results back.
func (r *run) batch(ctx context.Context, at, n uint64) (usable bool, err error) {
	b := &batch{
		module: r.Module.ID, begin: at == 0, end: at+n >= r.Count, gas: r.Gas, pages: r.MemoryPages, kind: r.Kind, function: r.Function,
		first: r.First + at, count: n, run: r.Run, params: r.params, acc: r.acc,
	}
	views := r.free
	defer func() { r.free = views }()
	if err := r.worker.region.guarded(func() { r.fill(b, at, n) }); err != nil {
		return false, err
	}
	a, err := r.worker.ask(ctx, r.deadline, frameRun, b.encode(), maxAnswer)
	if err != nil {
		return false, r.explain(ctx, err)
	}
	if err := r.account(a); err != nil {
		return false, err
	}
	if a.err != nil {
		return true, r.cancelled(ctx, a.err)
	}
	err = r.worker.region.guarded(func() { r.drain(b, at) })
	return err == nil, err
}

func (r *run) fill(b *batch, at, n uint64) {
	for _, in := range r.Inputs {
		v := view{in.Type, r.take(r.bytes(in.Type, n) + uint64(in.Bytes))}
		in.Read(v.in(r.worker.region), r.bytes(in.Type, at))
		b.inputs = append(b.inputs, v)
	}
	for _, out := range r.Outputs {
		b.outputs = append(b.outputs, view{out.Type, r.take(r.bytes(out.Type, n))})
	}
}

func (r *run) drain(b *batch, at uint64) {
	for i, out := range r.Outputs {
		out.Write(b.outputs[i].in(r.worker.region), r.bytes(out.Type, at))
	}
}

// overshoot is how much gas beyond its budget a kernel may have used when it is
// stopped: a bulk instruction over all memory is charged before it runs.
const overshoot = holo.Gas(1) << 40

// account takes what the worker says was used, if it can be true.
func (r *run) account(a answer) error {
	if a.gas < r.result.Gas || a.gas > r.Gas+overshoot || a.pages > 1<<16 {
		return r.fault("it says that %d gas were used of %d", a.gas, r.Gas)
	}
	r.result = sandbox.Result{Gas: a.gas, PeakPages: a.pages}
	return nil
}

func (r *run) fault(format string, args ...any) error {
	return holo.Refuse(holo.Corrupt, WorkerFault, "run %s: "+format, append([]any{r.who()}, args...)...)
}

// cancelled puts the cause, which only this side knows, into a worker's
// "cancelled".
func (r *run) cancelled(ctx context.Context, err error) error {
	if holo.KindOf(err) == holo.Cancelled && ctx.Err() != nil {
		return holo.Errorf(holo.Cancelled, "run %s: %w", r.who(), context.Cause(ctx))
	}
	return err
}

func (r *run) explain(ctx context.Context, err error) error {
	switch err {
	case errCancelled:
		return holo.Errorf(holo.Cancelled, "run %s: %w", r.who(), context.Cause(ctx))
	case errLate:
		limit := r.deadline.Sub(r.began).Round(time.Millisecond)
		return holo.Refuse(holo.KernelTrapped, WallClock, "run %s: not done after %s, which %d gas never take, and killed", r.who(), limit, r.Gas)
	}
	return holo.Refuse(holo.KindOf(err), holo.ReasonOf(err), "run %s: %w", r.who(), err)
}
