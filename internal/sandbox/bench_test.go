package sandbox

import (
	"testing"

	"github.com/holocompute/holocompute/bench"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/kernels"
)

// BenchmarkInjector compares each sample kernel, metered, with its original
// bytes in the same engine: what exact gas costs. One operation is one call
// over the same data in linear memory.
func BenchmarkInjector(b *testing.B) {
	for _, k := range sampleCalls() {
		b.Run(k.name(), func(b *testing.B) {
			wasm := kernels.Get(k.module)
			c := k.call()
			base := newPlain(b, wasm).load(b, k.kind, &c)
			inst, err := load(b, engines(b)[0], wasm).NewInstance(b.Context(), MaxGas, 0)
			if err != nil {
				b.Fatal(err)
			}
			defer inst.Close()
			f := inst.mod.ExportedFunction(module.Function{Kind: k.kind, Name: c.Function}.Export())
			if _, err := inst.Run(b.Context(), k.kind, c); err != nil {
				b.Fatal(err)
			}
			bench.Compare(b, 100, 0, func(n int) {
				for range n {
					base()
				}
			}, func(n int) {
				for range n {
					if _, err := inst.enter(b.Context(), "", f, []uint64{uint64(inst.arena)}); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// BenchmarkMachineCode compares taking a module's machine code with compiling
// it, each in an engine of its own, as a new worker does.
func BenchmarkMachineCode(b *testing.B) {
	for _, name := range []string{"basic", "flights-go"} {
		b.Run(name, func(b *testing.B) {
			m, err := module.Admit(kernels.Get(name))
			if err != nil {
				b.Fatal(err)
			}
			compile := func(offer []byte) (made []byte) {
				e, err := New(b.Context(), Config{})
				if err == nil {
					_, made, err = e.Compile(b.Context(), m, offer)
				}
				if err != nil || e.Close(b.Context()) != nil {
					b.Fatal(err)
				}
				return made
			}
			code := compile(nil)
			bench.Compare(b, 5, 0, func(n int) {
				for range n {
					compile(nil)
				}
			}, func(n int) {
				for range n {
					compile(code)
				}
			})
		})
	}
}
