package sandbox

import (
	"context"
	"fmt"
	"runtime"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/holocompute/holocompute/internal/core/joblog"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/wire"
)

// slice is the gas that an instance is given at a time: about 0.1 ms of work.
// Its size decides how long a kernel can hold up the garbage collector and a
// cancellation, and nothing else: where a kernel stops depends on its budget
// alone, because the check that asks for more comes at the same instructions
// whatever the slice.
const slice = 1 << 20

// meter is the account of one instance. It belongs to the goroutine that runs
// the instance and is reached by host calls through their context.
type meter struct {
	left      int64 // of the budget, without what the guest holds in its slice
	maxPages  uint32
	refused   bool // a growth beyond maxPages was refused during this call
	exhausted bool
	cancelled error
	broken    string // what the guest did that its host ends it for
	reason    string // of that

	gas  api.MutableGlobal // what the guest holds of its slice, while a host call runs
	said wire.Said         // logged and not yet taken

	reach Reach // of the call that runs; nil: no handle is known
	asks  int   // of the instance
}

type meterKey struct{}

// stop is what a host call panics with to end the guest; the engine hands it
// on as an error, and the meter says why.
type stop struct{}

func (stop) Error() string { return "stopped by the host" }

// next hands out a slice.
func (m *meter) next() int64 {
	s := min(m.left, slice)
	m.left -= s
	return s
}

// yield is called by the guest when its slice is used up: gas is what it has,
// below zero. It answers with a new slice or ends the call.
func yield(ctx context.Context, stack []uint64) {
	m := ctx.Value(meterKey{}).(*meter)
	m.left += int64(stack[0])
	if m.left < 0 {
		m.exhausted = true
		panic(stop{})
	}
	if m.cancelled = context.Cause(ctx); m.cancelled != nil {
		panic(stop{})
	}
	runtime.Gosched()
	stack[0] = uint64(m.next())
}

// grow is what memory.grow has become: the same result, -1 beyond the limit of
// the instance, which is remembered as the likely cause of a failure.
func grow(ctx context.Context, mod api.Module, stack []uint64) {
	m := ctx.Value(meterKey{}).(*meter)
	delta := uint64(uint32(stack[0]))
	pages := uint64(mod.Memory().Size() / PageBytes)
	if pages+delta <= uint64(m.maxPages) {
		if old, ok := mod.Memory().Grow(uint32(delta)); ok {
			stack[0] = uint64(old)
			return
		}
	}
	m.refused = true
	stack[0] = uint64(^uint32(0))
}

// logPrice is what a log costs besides one gas for each byte of its text,
// whether the text is kept or not: a call out of the engine takes as long as
// some 300 cheap instructions.
const logPrice = 512

// log takes a text for people: bytes at an address. It pays first, so that a
// kernel that logs without end stops like any other, at the same gas everywhere.
func log(ctx context.Context, mod api.Module, stack []uint64) {
	m := ctx.Value(meterKey{}).(*meter)
	at, size := uint32(stack[0]), uint32(stack[1])
	m.pay(logPrice + int64(size))
	text, ok := mod.Memory().Read(at, size)
	if !ok {
		m.end(Trap, "it logs %d bytes at address %d, which are not its memory", size, at)
	}
	joblog.Add(&m.said, text)
}

// end ends the guest for what it did.
func (m *meter) end(reason, format string, args ...any) {
	m.reason, m.broken = reason, fmt.Sprintf(format, args...)
	panic(stop{})
}

// pay takes the price of a host call from the guest's slice. One that has not so
// much left in all ends here: where does not depend on the slice.
func (m *meter) pay(price int64) {
	has := int64(m.gas.Get()) - price
	m.gas.Set(uint64(has))
	if m.left+has < 0 {
		m.left += has
		m.exhausted = true
		panic(stop{})
	}
}

// meterModule gives the runtime the two functions that the injector imports,
// and those that a kernel may.
func meterModule(ctx context.Context, rt wazero.Runtime) error {
	i32, i64 := []api.ValueType{api.ValueTypeI32}, []api.ValueType{api.ValueTypeI64}
	b := rt.NewHostModuleBuilder(module.HostModule)
	b.NewFunctionBuilder().WithGoFunction(api.GoFunc(yield), i64, i64).Export(module.HostYield)
	b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(grow), i32, i32).Export(module.HostGrow)
	b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(log), []api.ValueType{api.ValueTypeI32, api.ValueTypeI32}, nil).Export(module.HostLog)
	exportReach(b)
	_, err := b.Instantiate(ctx)
	return err
}

// trapped makes the typed error of a call that ended badly.
func trapped(reason, who, format string, args ...any) error {
	return holo.Refuse(holo.KernelTrapped, reason, "run %s: "+format, append([]any{who}, args...)...)
}
