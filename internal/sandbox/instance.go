package sandbox

import (
	"context"
	"strings"
	"unsafe"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/wire"
)

// Instance is a program with memory of its own, for the calls of one task. It
// belongs to one goroutine. After an error of kind KernelTrapped it runs
// nothing more: its memory may be half changed.
type Instance struct {
	program *Program
	mod     api.Module
	depth   api.MutableGlobal
	meter   meter
	budget  holo.Gas
	arena   uint32 // address and size of the memory that calls are laid out in
	room    uint32
	dead    bool
}

// NewInstance makes an instance that may use the gas over all its calls, its
// set-up included, and at most that many pages of memory (0: the engine's
// limit). The module's own initialisation, if it exports _initialize, runs here.
func (p *Program) NewInstance(ctx context.Context, gas holo.Gas, memoryPages uint32) (*Instance, error) {
	if memoryPages == 0 || memoryPages > p.engine.maxPages {
		memoryPages = p.engine.maxPages
	}
	who := "kernel " + p.module.ID.String()
	if gas > MaxGas {
		return nil, holo.Errorf(holo.Invalid, "run %s: a budget of %d gas, at most %d", who, gas, MaxGas)
	}
	if p.module.MinPages > memoryPages {
		return nil, trapped(OutOfMemory, who, "it starts with %d pages of memory, its limit is %d", p.module.MinPages, memoryPages)
	}
	i := &Instance{program: p, budget: gas, meter: meter{left: int64(gas), maxPages: memoryPages}}
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	mod, err := p.engine.runtime.InstantiateModule(p.engine.place(i.context(ctx)), p.compiled, config)
	if err != nil {
		return nil, trapped(Trap, who, "set up: %s", firstLine(err))
	}
	i.mod = mod
	i.meter.gas = mod.ExportedGlobal(module.GasGlobal).(api.MutableGlobal)
	i.depth = mod.ExportedGlobal(module.DepthGlobal).(api.MutableGlobal)
	if err := i.setUp(ctx, who); err != nil {
		i.Close()
		return nil, err
	}
	return i, nil
}

// setUp runs the module's initialisation and asks for its ABI.
func (i *Instance) setUp(ctx context.Context, who string) error {
	if f := i.mod.ExportedFunction("_initialize"); f != nil {
		if _, err := i.enter(ctx, who+" function _initialize", f, nil); err != nil {
			return err
		}
	}
	abi, err := i.enter(ctx, who+" function holo_abi", i.mod.ExportedFunction("holo_abi"), nil)
	if err == nil && uint32(abi) != abiVersion {
		return holo.Refuse(holo.Invalid, module.BadABI, "run %s: it is for ABI holo/%d, this is holo/%d", who, uint32(abi), abiVersion)
	}
	return err
}

// Close frees the instance's memory.
func (i *Instance) Close() { _ = i.mod.Close(context.Background()) } // without host resources it cannot fail

// Used is the gas used since the instance was made.
func (i *Instance) Used() holo.Gas { return holo.Gas(int64(i.budget) - i.meter.left) }

// Said takes what was logged since it was last taken, bounded as an attempt's
// log is: an instance that is asked once says no more than that.
func (i *Instance) Said() wire.Said {
	said := i.meter.said
	i.meter.said = wire.Said{}
	return said
}

// Run executes one call. It returns what the call used even with an error. A
// call that is refused before it runs (kind Invalid or NotFound) changes nothing.
func (i *Instance) Run(ctx context.Context, kind module.Kind, c Call) (Result, error) {
	before := i.Used()
	err := i.run(ctx, kind, &c)
	if holo.KindOf(err) == holo.KernelTrapped || holo.KindOf(err) == holo.Cancelled {
		i.dead = true
	}
	return Result{Gas: i.Used() - before, PeakPages: i.mod.Memory().Size() / PageBytes}, err
}

// Place makes room for a call, of which the sizes alone count, and tells where it
// lies in linear memory: its parts are at LayoutOf from there, also those of
// calls that are no larger. Where the engine's memory is shared with another
// process, that one can fill inputs in place: a call whose views lie in their own
// place copies nothing. What Place used and its errors are part of the first call's.
func (i *Instance) Place(ctx context.Context, kind module.Kind, c Call) (uint32, error) {
	_, who, err := i.ready(kind, &c)
	if err == nil {
		err = i.reserve(ctx, who, LayoutOf(&c).Size)
	}
	return i.arena, err
}

func (i *Instance) run(ctx context.Context, kind module.Kind, c *Call) error {
	f, who, err := i.ready(kind, c)
	if err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return holo.Errorf(holo.Cancelled, "run %s: %w", who, err)
	}
	l := LayoutOf(c)
	if err := i.reserve(ctx, who, l.Size); err != nil {
		return err
	}
	i.load(c, l)
	i.meter.reach = c.Reach
	defer func() { i.meter.reach = nil }()
	status, err := i.enter(ctx, who, f, []uint64{uint64(i.arena)})
	if err != nil {
		return err
	}
	if int32(status) != 0 { // the engine leaves the upper half undefined
		return i.failed(KernelError, who, "it returned status %d%s", int32(status), meaning(kind, int32(status)))
	}
	i.store(c, l, kind)
	return nil
}

// ready finds the function of a call that may run.
func (i *Instance) ready(kind module.Kind, c *Call) (api.Function, string, error) {
	f := module.Function{Kind: kind, Name: c.Function}
	who := "kernel " + i.program.module.ID.String() + " function " + f.String()
	if !i.program.module.Has(kind, c.Function) {
		return nil, who, holo.Errorf(holo.NotFound, "run %s: the module has no such function", who)
	}
	if err := c.check(kind); err != nil {
		return nil, who, err
	}
	if i.dead {
		return nil, who, holo.Errorf(holo.Invalid, "run %s: an earlier call of this instance failed", who)
	}
	return i.mod.ExportedFunction(f.Export()), who, nil
}

// reserve has the guest allocate an arena of at least size bytes.
func (i *Instance) reserve(ctx context.Context, who string, size uint32) error {
	if size <= i.room {
		return nil
	}
	who += " at holo_alloc"
	at, err := i.enter(ctx, who, i.mod.ExportedFunction("holo_alloc"), []uint64{uint64(size), arenaAlign})
	if err != nil {
		return err
	}
	p := uint32(at)
	if p == 0 {
		return trapped(OutOfMemory, who, "no memory for an arena of %d bytes", size)
	}
	if p%arenaAlign != 0 || uint64(p)+uint64(size) > uint64(i.mod.Memory().Size()) {
		return trapped(KernelError, who, "address %d for %d bytes is not %d-aligned memory of the module", p, size, arenaAlign)
	}
	clear(i.bytes(p, partsAt)) // the scratch; load writes all of every other part
	i.arena, i.room = p, size
	return nil
}

// bytes is a part of linear memory, valid until the guest runs again.
func (i *Instance) bytes(p, n uint32) []byte {
	b, _ := i.mod.Memory().Read(p, n) // memory never shrinks, and the arena was inside it
	return b
}

func (i *Instance) load(c *Call, l Layout) {
	copy(i.bytes(i.arena, headerSize+MaxViews*viewSize), l.describe(c, i.arena))
	copyUnlessSame(i.bytes(i.arena+l.Params, uint32(len(c.Params))), c.Params)
	copyUnlessSame(i.bytes(i.arena+l.Acc, uint32(len(c.Acc))), c.Acc)
	for n, v := range c.Inputs {
		copyUnlessSame(i.bytes(i.arena+l.Views[n]-uint32(c.before(v)), uint32(len(v.Bytes))), v.Bytes)
	}
	for n, v := range c.Outputs {
		clear(i.bytes(i.arena+l.Views[len(c.Inputs)+n], uint32(len(v.Bytes))))
	}
}

func (i *Instance) store(c *Call, l Layout, kind module.Kind) {
	if kind == module.Reduce || kind == module.Combine {
		copyUnlessSame(c.Acc, i.bytes(i.arena+l.Acc, uint32(len(c.Acc))))
	}
	for n, v := range c.Outputs {
		copyUnlessSame(v.Bytes, i.bytes(i.arena+l.Views[len(c.Inputs)+n], uint32(len(v.Bytes))))
		canonicalise(v)
	}
}

// copyUnlessSame copies bytes of one length that do not lie there already.
func copyUnlessSame(to, from []byte) {
	if unsafe.SliceData(to) != unsafe.SliceData(from) {
		copy(to, from)
	}
}

func (i *Instance) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, meterKey{}, &i.meter)
}

// enter calls into the guest with a slice of gas and settles the account.
func (i *Instance) enter(ctx context.Context, who string, f api.Function, args []uint64) (uint64, error) {
	i.meter.refused = false
	i.depth.Set(module.MaxCallDepth)
	i.meter.gas.Set(uint64(i.meter.next()))
	results, err := f.Call(i.context(ctx), args...)
	if !i.meter.exhausted && i.meter.cancelled == nil {
		i.meter.left += int64(i.meter.gas.Get()) // else the host call has settled
	}
	if err == nil && i.meter.left >= 0 {
		return append(results, 0)[0], nil
	}
	switch {
	case i.meter.cancelled != nil:
		return 0, holo.Errorf(holo.Cancelled, "run %s: %w", who, i.meter.cancelled)
	case i.meter.left < 0:
		return 0, trapped(OutOfGas, who, "out of gas: %d used of a budget of %d", i.Used(), i.budget)
	case i.meter.broken != "":
		return 0, trapped(i.meter.reason, who, "%s", i.meter.broken)
	case int32(i.depth.Get()) < 0:
		return 0, trapped(CallDepth, who, "calls deeper than %d", module.MaxCallDepth)
	}
	return 0, i.failed(Trap, who, "%s", firstLine(err))
}

// failed is a trap or a bad status: out of memory if the guest was refused some.
func (i *Instance) failed(reason, who, format string, args ...any) error {
	if i.meter.refused {
		return trapped(OutOfMemory, who, "more than %d pages of memory asked for, then: "+format, append([]any{i.meter.maxPages}, args...)...)
	}
	return trapped(reason, who, format, args...)
}

// firstLine drops the engine's stack trace.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimPrefix(line, "wasm error: ")
}
