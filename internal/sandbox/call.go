package sandbox

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/wire"
)

// Limits of ABI holo/1. A Call beyond them is refused with kind Invalid before
// the kernel is entered.
const (
	MaxViews      = 16                    // inputs and outputs together
	MaxViewPages  = 16                    // pages of one view in one call: 1 MiB
	MaxAccBytes   = 1 << 20               // an accumulator
	MaxParamBytes = 64 << 10              // a job's parameters
	ScratchBytes  = 64 << 10              // zeroed memory that a kernel may use, per instance
	MaxGas        = holo.Gas(1) << 60     // a budget; above the largest sum that a job can add up
	PageBytes     = uint32(holo.PageSize) // a page of WebAssembly memory
)

// Reasons of errors of kind KernelTrapped. Another node given the same call
// stops at the same place with the same reason.
const (
	OutOfGas    = "out_of_gas"
	OutOfMemory = "out_of_memory"
	CallDepth   = "call_depth"
	Trap        = "trap"          // unreachable, bad address, division by zero, ...
	KernelError = "kernel_error"  // the kernel returned another status than 0
	TooManyAsks = "too_many_asks" // a task asked more of its handles than handles.MaxAsks
)

// View is a run of elements that a call reads or writes.
type View struct {
	Type  holo.ElementType
	Bytes []byte // whole elements, little endian
}

// Call is one block of work for a kernel. N elements from global element First
// are processed; the views of map and red hold N elements each, and an
// input of map its halo around them. Comb and fin
// take N = 0; comb's one input is the other accumulator, a view of u8. A task
// has neither views nor accumulator, and any N.
type Call struct {
	Function string // without its prefix: by_hour
	First    uint64
	N        uint32
	Halo     uint32 // of map: elements before and after those of the call, in each input
	Inputs   []View
	Outputs  []View // filled by the call; float views with canonical NaNs
	Params   []byte
	Acc      []byte // red, comb, fin: read, and for red and comb written back
	Reach    Reach  // of a task: what its handles stand for; nil: it has none

	// Gas and MemoryPages are the limits of Program's one-call methods. An
	// Instance got its limits when it was made and does not look at these.
	Gas         holo.Gas
	MemoryPages uint32
}

// Result is what a call used. It is exact after success, out_of_gas and
// call_depth; after another trap Gas is a lower bound, and the same on every
// node.
type Result struct {
	Gas       holo.Gas
	PeakPages uint32 // largest size of the instance's memory so far
}

// check refuses a call that is not one of kind k, before anything runs.
func (c *Call) check(k module.Kind) error {
	switch {
	case len(c.Inputs)+len(c.Outputs) > MaxViews:
		return c.bad(k, "%d views, at most %d", len(c.Inputs)+len(c.Outputs), MaxViews)
	case len(c.Params) > MaxParamBytes:
		return c.bad(k, "%d bytes of parameters, at most %d", len(c.Params), MaxParamBytes)
	case len(c.Acc) > MaxAccBytes:
		return c.bad(k, "an accumulator of %d bytes, at most %d", len(c.Acc), MaxAccBytes)
	case (k == module.Map || k == module.Task) != (len(c.Acc) == 0):
		return c.bad(k, "an accumulator of %d bytes", len(c.Acc))
	case k != module.Task && (k == module.Map || k == module.Reduce) != (c.N > 0):
		return c.bad(k, "%d elements", c.N)
	case (k == module.Finish || k == module.Task) != (len(c.Inputs) == 0):
		return c.bad(k, "%d input views", len(c.Inputs))
	case k == module.Combine && (len(c.Inputs) != 1 || c.Inputs[0].Type != holo.U8 || len(c.Inputs[0].Bytes) != len(c.Acc)):
		return c.bad(k, "its input is not another accumulator of %d bytes", len(c.Acc))
	case c.Halo > 0 && k != module.Map || c.Halo > wire.MaxHalo:
		return c.bad(k, "a halo of %d elements: map may have one of at most %d", c.Halo, wire.MaxHalo)
	case k != module.Task && c.Reach != nil:
		return c.bad(k, "handles, which only a task may have")
	case (k == module.Map || k == module.Finish) != (len(c.Outputs) > 0):
		return c.bad(k, "%d output views", len(c.Outputs))
	}
	for i, v := range c.Inputs {
		if err := c.checkView(k, "input", i, v, uint64(c.Halo)); err != nil {
			return err
		}
	}
	for i, v := range c.Outputs {
		if err := c.checkView(k, "output", i, v, 0); err != nil {
			return err
		}
	}
	return nil
}

func (c *Call) checkView(k module.Kind, what string, i int, v View, halo uint64) error {
	switch {
	case !v.Type.Valid():
		return c.bad(k, "%s view %d has element type %d", what, i, v.Type)
	case len(v.Bytes) == 0 || len(v.Bytes) > MaxViewPages*holo.PageSize:
		return c.bad(k, "%s view %d is %d bytes, want 1 to %d", what, i, len(v.Bytes), MaxViewPages*holo.PageSize)
	case uint64(len(v.Bytes))%v.Type.Size() != 0:
		return c.bad(k, "%s view %d is %d bytes, not whole elements of %s", what, i, len(v.Bytes), v.Type)
	case c.N > 0 && uint64(len(v.Bytes)) != (uint64(c.N)+2*halo)*v.Type.Size():
		return c.bad(k, "%s view %d is %d bytes, want %d elements of %s", what, i, len(v.Bytes), uint64(c.N)+2*halo, v.Type)
	}
	return nil
}

func (c *Call) bad(k module.Kind, format string, args ...any) error {
	return holo.Errorf(holo.Invalid, "call %s_%s: "+format, append([]any{k, c.Function}, args...)...)
}
