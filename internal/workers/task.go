package workers

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/holocompute/holocompute/internal/code"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/internal/wire"
)

// Task is a kernel over an extent: one instance, and calls of Run elements each
// until Count are done. A comb has no elements and is one call.
type Task struct {
	Owner       holo.PrincipalID // whose process it may run in
	Module      *module.Module
	Kind        module.Kind
	Function    string // without its prefix: by_hour
	Gas         holo.Gas
	MemoryPages uint32 // 0: the engine's limit
	First       uint64 // global index of the first element
	Count, Run  uint64
	Halo        uint64 // of a map: elements before and after, that it sees of each input
	Params      []byte
	Acc         []byte // read, and after success written back
	Inputs      []Input
	Outputs     []Output
	Said        *wire.Said // what the kernel logs is added, bounded and clean; nil: dropped
	Handles     []Handle   // of a general task, at most handles.MaxGrants
}

// Input gives the elements of an array.
type Input struct {
	Type holo.ElementType
	// Read fills b from byte `from` on of the extent's elements, with those of
	// the halo before and after them.
	Read func(b []byte, from uint64)
	// Bytes is the size of a comb's input; 0 where elements are counted.
	Bytes uint32
}

// Output takes the elements of an array.
type Output struct {
	Type holo.ElementType
	// Write is given the bytes from byte `from` of the extent's elements.
	Write func(b []byte, from uint64)
}

// batchBytes is how much is handed over at a time, of calls that are small: an
// extent of one array at once. Smaller hand-overs cost more than they gain by
// being in a cache still (BenchmarkWorker). A call of placedBytes or more is worth
// two trips to its worker: one to make room for it in linear memory, and one for
// the call, whose bytes are then copied once each way and not twice.
const (
	batchBytes  = 4 << 20
	placedBytes = 256 << 10
)

// align is where parts of a region begin.
const align = 64

// Run runs a task in a worker. Result holds what it used, also with an error.
// An error of kind KernelTrapped or Invalid is the kernel's own; of Corrupt or
// Indeterminate it is the worker's, and another try may do better.
func (p *Pool) Run(ctx context.Context, t *Task) (sandbox.Result, error) {
	if err := t.check(); err != nil {
		return sandbox.Result{}, err
	}
	reach, err := t.reach(p.opt.Count)
	if err != nil {
		return sandbox.Result{}, err
	}
	w, err := p.ready(ctx, t)
	if err != nil {
		return sandbox.Result{}, err
	}
	r := &run{Task: t, worker: w, began: time.Now(), reach: reach}
	err = p.during(w, func() (bool, error) {
		r.deadline = r.began.Add(p.wall(w.engine, t.Gas))
		return r.do(ctx)
	})
	return r.result, p.counted(err)
}

// during has a worker used and gives it back, also where the caller's own code,
// which reads and writes the elements, panics: a token that is kept has Close
// wait for ever.
func (p *Pool) during(w *process, do func() (usable bool, err error)) error {
	usable := false
	defer func() { p.release(w, usable) }()
	good, err := do()
	usable = good
	return err
}

// rescue, deferred while a worker is made ready, gives it back where a panic passes:
// of the store's logger, say, which is the caller's.
func (p *Pool) rescue(w *process) {
	if said := recover(); said != nil {
		p.release(w, false)
		panic(said)
	}
}

// counted tells the counter what went wrong with a worker.
func (p *Pool) counted(err error) error {
	switch reason := holo.ReasonOf(err); reason {
	case WorkerDied, WorkerFault, ForbiddenCall, WallClock, CompileTime, CompileMemory:
		p.opt.Count(reason)
		p.opt.Logger.Warn("worker ended", "reason", reason, "error", err)
	}
	return err
}

func (t *Task) who() string {
	return "kernel " + t.Module.ID.String() + " function " + module.Function{Kind: t.Kind, Name: t.Function}.String()
}

// check refuses what does not fit into a region; all else is checked where the
// kernel is called.
func (t *Task) check() error {
	size := align*uint64(2+len(t.Inputs)+len(t.Outputs)) + t.callBytes(t.Run) + t.exchangeBytes()
	if t.Count > 0 && t.Run == 0 || t.Run > 1<<32 || size > handoverBytes {
		return holo.Errorf(holo.Invalid, "run %s: calls of %d elements, parameters of %d bytes and an accumulator of %d do not fit", t.who(), t.Run, len(t.Params), len(t.Acc))
	}
	return nil
}

// callBytes is the size of what is given to a call and taken from it.
func (t *Task) callBytes(elements uint64) uint64 {
	size := uint64(len(t.Acc) + len(t.Params))
	for _, in := range t.Inputs {
		size += t.bytes(in.Type, elements+2*t.Halo) + uint64(in.Bytes)
	}
	for _, out := range t.Outputs {
		size += t.bytes(out.Type, elements)
	}
	return size
}

func (t *Task) bytes(e holo.ElementType, elements uint64) uint64 { return elements * e.Size() }

// ready gives a worker of the task's owner that has compiled its module. A
// process that ends while it compiles gets a second chance: it may have been
// killed from outside.
func (p *Pool) ready(ctx context.Context, t *Task) (*process, error) {
	for again := true; ; again = false {
		w, l, err := p.loader(ctx, t)
		if err != nil || w.loaded[t.Module.ID] {
			return w, err
		}
		a, err := p.load(ctx, w, l)
		switch {
		case err == nil && a.err == nil:
			return w, nil
		case err == nil:
			p.release(w, true)
			return nil, p.counted(slow(a.err))
		}
		p.release(w, false)
		if err = p.compileError(t.Module, err); holo.ReasonOf(err) != CompileMemory || !again {
			return nil, p.counted(err)
		}
	}
}

// loader gives a worker of the task's owner, and what to load into it unless it
// has the module. Machine code that others will run is taken only from a process
// that has seen no module but this one: a kernel that broke out of the engine
// could hand over code for any other. So what is to be kept is compiled in a new
// one.
func (p *Pool) loader(ctx context.Context, t *Task) (*process, load, error) {
	for {
		w, err := p.acquire(ctx, &t.Owner)
		if err != nil {
			return nil, load{}, err
		}
		if l, fit := p.choose(w, t.Module); fit {
			return w, l, nil
		}
		p.release(w, false)
	}
}

// choose says what to load into a worker that lacks the module, and whether it is
// one to load that into.
func (p *Pool) choose(w *process, m *module.Module) (l load, fit bool) {
	defer p.rescue(w)
	l.module = m
	if w.loaded[m.ID] || p.opt.Code == nil || w.finger == (fingerprint{}) {
		return l, true
	}
	stored, found := p.opt.Code.Get(w.origin(m).ID())
	l.code, l.keep = stored, !found
	return l, found || !w.used
}

// load has a worker compile a module, or take the machine code of it.
func (p *Pool) load(ctx context.Context, w *process, l load) (answer, error) {
	defer p.rescue(w)
	w.used = true
	a, err := w.ask(ctx, time.Now().Add(p.compile), frameLoad, l.encode(), maxLoaded, nil)
	if err == nil && a.err == nil {
		w.loaded[l.module.ID] = true
		if l.keep {
			p.opt.Code.Put(w.origin(l.module).ID(), a.code)
		}
	}
	return a, err
}

// origin is what machine code of a module in this process depends on.
func (w *process) origin(m *module.Module) code.Origin {
	return code.Origin{Module: m.ID, Injector: module.Version, Metered: sha256.Sum256(m.Metered), Engine: w.finger}
}

func (p *Pool) compileError(m *module.Module, err error) error {
	switch {
	case err == errCancelled:
		return holo.Errorf(holo.Cancelled, "compile kernel %s: nobody waits for it", m.ID)
	case err == errLate:
		return slow(holo.Refuse(holo.Invalid, CompileTime, "compile kernel %s: not done after %s, and killed", m.ID, p.compile))
	case holo.ReasonOf(err) == WorkerDied:
		return holo.Refuse(holo.Invalid, CompileMemory, "compile kernel %s within %d MiB: %w", m.ID, MemoryBytes>>20, err)
	}
	return holo.Refuse(holo.KindOf(err), holo.ReasonOf(err), "compile kernel %s: %w", m.ID, err)
}

// slow has a compilation that took too long tried again: the time is that of the
// clock, so a node with less to do may keep it.
func slow(err error) error {
	if holo.ReasonOf(err) != CompileTime {
		return err
	}
	return holo.Refuse(holo.Exhausted, CompileTime, "%w", err)
}
