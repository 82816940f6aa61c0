package workers

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/core/joblog"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/internal/wire"
)

// run is a task in its worker, batch by batch. The accumulator and the parameters
// have their place for the whole task, the views of one batch have theirs: in the
// hand-over, or of large calls, one a batch, in linear memory.
type run struct {
	*Task
	worker          *process
	began, deadline time.Time
	result          sandbox.Result
	acc             place
	params          place
	free            uint32 // of the hand-over: where views begin
	placed          bool   // calls lie in linear memory
	arena           uint32 // from there on, in the region
	reach           *reach // nil: the task has no handles
	exchange        place
}

// do runs all batches. usable says whether the worker can be used again.
func (r *run) do(ctx context.Context) (usable bool, err error) {
	if r.callBytes(min(r.Run, r.Count)) >= placedBytes {
		usable, err = r.makeRoom(ctx)
	} else {
		r.acc, r.params = r.take(uint64(len(r.Acc))), r.take(uint64(len(r.Params)))
	}
	r.exchange = r.take(r.exchangeBytes())
	if err == nil {
		err = r.worker.region.guarded(func() {
			copy(r.acc.in(r.worker.region), r.Acc)
			copy(r.params.in(r.worker.region), r.Params)
		})
	}
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
	if err = r.worker.region.guarded(func() { copy(r.Acc, r.acc.in(r.worker.region)) }); err == nil {
		r.reach.hand(r.Handles)
	}
	return true, err
}

func (r *run) take(size uint64) place {
	p := place{r.free, uint32(size)}
	r.free += uint32(size+align-1) / align * align
	return p
}

// elements is how many a batch has: whole calls, at least one.
func (r *run) elements() uint64 {
	if r.placed {
		return r.Run
	}
	call := r.callBytes(r.Run) - uint64(len(r.Acc)+len(r.Params))
	return r.Run * max(batchBytes/max(call, 1), 1)
}

// makeRoom begins the task: its kernel allocates what the largest call needs.
func (r *run) makeRoom(ctx context.Context) (usable bool, err error) {
	b := r.message(0, min(r.Run, r.Count))
	b.begin, b.end, b.place = true, false, true
	b.acc, b.params = place{0, uint32(len(r.Acc))}, place{0, uint32(len(r.Params))}
	for _, size := range r.sizes(b.count) {
		b.inputs = append(b.inputs, view{place: place{0, size}})
	}
	r.split(b)
	a, usable, err := r.send(ctx, b)
	if err != nil {
		return usable, err
	}
	l := r.layout(b.count)
	if uint64(a.arena)+uint64(l.Size) > uint64(linearBytes) {
		return false, r.fault("it says that %d bytes lie at %d", l.Size, a.arena)
	}
	r.placed, r.arena = true, linearAt+a.arena
	r.acc, r.params = place{r.arena + l.Acc, uint32(len(r.Acc))}, place{r.arena + l.Params, uint32(len(r.Params))}
	return true, nil
}

// sizes are those of the views of n elements: inputs, then outputs.
func (r *run) sizes(n uint64) (list []uint32) {
	for _, in := range r.Inputs {
		list = append(list, uint32(r.bytes(in.Type, n+2*r.Halo))+in.Bytes)
	}
	for _, out := range r.Outputs {
		list = append(list, uint32(r.bytes(out.Type, n)))
	}
	return list
}

// layout is that of a call over n elements.
func (r *run) layout(n uint64) sandbox.Layout {
	c := sandbox.Call{Params: r.Params, Acc: r.Acc, Halo: uint32(r.Halo)}
	for i, size := range r.sizes(n) {
		some := r.worker.region[:size] // any bytes of that length
		if k := i - len(r.Inputs); k >= 0 {
			c.Outputs = append(c.Outputs, sandbox.View{Type: r.Outputs[k].Type, Bytes: some})
		} else {
			c.Inputs = append(c.Inputs, sandbox.View{Type: r.Inputs[i].Type, Bytes: some})
		}
	}
	return sandbox.LayoutOf(&c)
}

// message is a batch of n elements from element at of the task, without views.
func (r *run) message(at, n uint64) *batch {
	return &batch{
		module: r.Module.ID, begin: at == 0 && !r.placed, end: at+n >= r.Count, gas: r.Gas, pages: r.MemoryPages, kind: r.Kind, function: r.Function,
		first: r.First + at, count: n, run: r.Run, halo: r.Halo, params: r.params, acc: r.acc, exchange: r.exchange,
	}
}

// views gives the views of n elements their places.
func (r *run) views(b *batch, n uint64) {
	var at []uint32
	if r.placed {
		at = r.layout(n).Views
	}
	free := r.free
	for i, size := range r.sizes(n) {
		p := r.take(uint64(size))
		if r.placed {
			p.at = r.arena + at[i] - r.before(i)
		}
		b.inputs = append(b.inputs, view{place: p})
	}
	r.free = free
	r.split(b)
}

// before is the size of what lies before the elements of a call in a view.
func (r *run) before(i int) uint32 {
	if i >= len(r.Inputs) {
		return 0
	}
	return uint32(r.bytes(r.Inputs[i].Type, r.Halo))
}

// split tells the views of outputs from those of inputs, and names their types.
func (r *run) split(b *batch) {
	b.inputs, b.outputs = b.inputs[:len(r.Inputs)], b.inputs[len(r.Inputs):]
	for i := range b.inputs {
		b.inputs[i].elem = r.Inputs[i].Type
	}
	for i := range b.outputs {
		b.outputs[i].elem = r.Outputs[i].Type
	}
}

// batch hands n elements from element at of the task over, and takes the
// results back.
func (r *run) batch(ctx context.Context, at, n uint64) (usable bool, err error) {
	b := r.message(at, n)
	r.views(b, n)
	err = r.worker.region.guarded(func() {
		for i, in := range r.Inputs {
			in.Read(b.inputs[i].in(r.worker.region), r.bytes(in.Type, at))
		}
	})
	if err != nil {
		return false, err
	}
	if _, usable, err = r.send(ctx, b); err != nil {
		return usable, err
	}
	err = r.worker.region.guarded(func() {
		for i, out := range r.Outputs {
			out.Write(b.outputs[i].in(r.worker.region), r.bytes(out.Type, at))
		}
	})
	return err == nil, err
}

// send has the worker do what a batch says.
func (r *run) send(ctx context.Context, b *batch) (a answer, usable bool, err error) {
	if a, err = r.worker.ask(ctx, r.deadline, frameRun, b.encode(), maxAnswer, r.replier(ctx)); err != nil {
		return a, false, r.explain(ctx, err)
	}
	if err := r.account(a); err != nil {
		return a, false, err
	}
	return a, true, r.cancelled(ctx, a.err)
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
	r.hear(a.said)
	return nil
}

// hear takes what the kernel logged. A worker may say anything: it is bounded
// and cleaned here, over all batches of the task.
func (r *run) hear(said wire.Said) {
	if r.Said == nil {
		return
	}
	for _, line := range said.Lines {
		joblog.Add(r.Said, []byte(line))
	}
	joblog.Lose(r.Said, said.Lost)
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
