package sandbox

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/holocompute/holocompute/internal/core/handles"
	"github.com/holocompute/holocompute/internal/module"
)

// Reach answers what a task asks of its handles: a number of elements, or a
// status. Where that is Done it has filled b, for a read, or taken it, for a write;
// b is the kernel's memory, of a.Bytes bytes. An error ends the call as cancelled.
type Reach interface {
	Ask(ctx context.Context, a handles.Ask, b []byte) (int64, error)
}

// reachPrice is what a question costs besides one gas for each byte, answered or
// refused: it goes to the node's process and back. The deadline of a task gives it
// 0.8 ms for that, ten times what it takes on a busy machine.
const reachPrice = 1 << 14

// refusals says what the answers of a task's host calls are for, in words. Kernels
// that are refused something mostly return them.
var refusals = map[handles.Status]string{
	handles.NoHandle:  "a handle that the task does not have",
	handles.NoRight:   "a handle for the other direction",
	handles.BadRange:  "elements that the handle does not have",
	handles.NoBudget:  "more bytes than the handle has left",
	handles.BadLength: "no whole elements, none, or more than 1 MiB",
}

// meaning follows a status that is also one of a host call's answers.
func meaning(kind module.Kind, status int32) string {
	if text := refusals[handles.Status(status)]; text != "" && kind == module.Task {
		return " (a host call's answer for " + text + ")"
	}
	return ""
}

// exportReach gives the runtime read, write and len.
func exportReach(b wazero.HostModuleBuilder) {
	i32, i64 := api.ValueTypeI32, api.ValueTypeI64
	transfer, result := []api.ValueType{i32, i64, i32, i32}, []api.ValueType{i32}
	b.NewFunctionBuilder().WithGoModuleFunction(mover(handles.ReadOp), transfer, result).Export(module.HostRead)
	b.NewFunctionBuilder().WithGoModuleFunction(mover(handles.WriteOp), transfer, result).Export(module.HostWrite)
	b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(length), []api.ValueType{i32}, []api.ValueType{i64}).Export(module.HostLength)
}

// mover is read or write: handle, offset in elements, address and bytes. It pays
// first. An address that is not the kernel's memory ends it, whatever the handle.
func mover(op handles.Op) api.GoModuleFunc {
	return func(ctx context.Context, mod api.Module, stack []uint64) {
		m := ctx.Value(meterKey{}).(*meter)
		a := handles.Ask{Op: op, Handle: uint32(stack[0]), Offset: stack[1], Bytes: uint32(stack[3])}
		m.pay(reachPrice + int64(a.Bytes))
		at := uint32(stack[2])
		b, ok := mod.Memory().Read(at, a.Bytes)
		if !ok {
			m.end(Trap, "it moves %d bytes at address %d, which are not its memory", a.Bytes, at)
		}
		stack[0] = uint64(uint32(m.ask(ctx, a, b)))
	}
}

// length is len: the elements of a handle, or a status below zero.
func length(ctx context.Context, _ api.Module, stack []uint64) {
	m := ctx.Value(meterKey{}).(*meter)
	m.pay(reachPrice)
	stack[0] = uint64(m.ask(ctx, handles.Ask{Op: handles.Length, Handle: uint32(stack[0])}, nil))
}

// ask passes a question on. A kernel that asks without end is ended at the same
// question everywhere.
func (m *meter) ask(ctx context.Context, a handles.Ask, b []byte) int64 {
	if m.asks++; m.asks > handles.MaxAsks {
		m.end(TooManyAsks, "it asks more than %d times for what is behind its handles", handles.MaxAsks)
	}
	if m.reach == nil {
		return int64(handles.NoHandle)
	}
	answer, err := m.reach.Ask(ctx, a, b)
	if err != nil {
		m.left += int64(m.gas.Get())
		m.cancelled = err
		panic(stop{})
	}
	return answer
}
