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
