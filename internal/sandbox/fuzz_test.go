package sandbox

import (
	"bytes"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/kernels"
)

// What Admit accepts, the engine compiles, and whatever it then does ends with
// success or a typed error within its budget.
func FuzzAdmittedModulesCompileAndStop(f *testing.F) {
	for _, s := range append(kernels.Hostile(), kernels.All()...) {
		f.Add(s.Wasm)
		if at := bytes.Index(s.Wasm, []byte{0x10, 0x80, 0x80, 0x80, 0x80}); at > 0 { // a call: of another function
			changed := bytes.Clone(s.Wasm)
			changed[at+1]++
			f.Add(changed)
		}
	}
	e := engines(f)[0]
	f.Fuzz(func(t *testing.T, wasm []byte) {
		m, err := module.Admit(wasm)
		if err != nil {
			return
		}
		p, err := e.Load(t.Context(), m)
		if holo.ReasonOf(err) == OutOfMemory {
			return
		}
		if err != nil {
			t.Fatalf("admitted, and not compiled: %v", err)
		}
		defer p.Close(pContext)
		i, err := p.NewInstance(t.Context(), 50_000, 300)
		if holo.ReasonOf(err) == module.BadABI {
			return
		}
		if err != nil {
			mustBeTrap(t, err)
			return
		}
		defer i.Close()
		for _, fn := range m.Functions {
			if _, err := i.Run(t.Context(), fn.Kind, fuzzCall(fn)); err != nil {
				mustBeTrap(t, err)
				return
			}
		}
	})
}

func mustBeTrap(t *testing.T, err error) {
	t.Helper()
	if holo.KindOf(err) != holo.KernelTrapped || holo.ReasonOf(err) == "" {
		t.Fatalf("not a kernel's error: %v (%s)", err, holo.KindOf(err))
	}
}

// fuzzCall is some good call of each kind.
func fuzzCall(f module.Function) Call {
	c := Call{Function: f.Name}
	in := View{holo.F32, make([]byte, 64)}
	switch f.Kind {
	case module.Map:
		c.N, c.Inputs, c.Outputs = 16, []View{in}, []View{{holo.F32, make([]byte, 64)}}
	case module.Reduce:
		c.N, c.Inputs, c.Acc = 16, []View{in}, make([]byte, 576)
	case module.Combine:
		c.Inputs, c.Acc = []View{{holo.U8, make([]byte, 64)}}, make([]byte, 64)
	case module.Finish:
		c.Outputs, c.Acc = []View{{holo.F64, make([]byte, 8)}}, make([]byte, 120)
	}
	return c
}
