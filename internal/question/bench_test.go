package question

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/kernels"
	"github.com/holocompute/holocompute/kernels/std"
)

// BenchmarkKernels is the time for an element, over a page at a time, beside the
// sample kernel that adds floats in eight lanes and rounds at each step.
func BenchmarkKernels(b *testing.B) {
	e, err := sandbox.New(b.Context(), sandbox.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close(b.Context())
	doubles, integers, narrow := columnOf(samples[float64](8192, 1)), columnOf(samples[int64](8192, 2)), columnOf(samples[int16](32768, 3))
	top, err := Top(100, false)
	if err != nil {
		b.Fatal(err)
	}
	count, err := Count(holo.F64, Greater, Float(1))
	if err != nil {
		b.Fatal(err)
	}
	bins, _, err := Bins(holo.F64, Float(-1e300), Float(1e300), 64)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		q    Question
		in   []column
	}{
		{"sample stats f64", Question{Kernel: "basic", Function: "stats", AccBytes: 120}, []column{doubles}},
		{"sum f64", Sum(holo.F64), []column{doubles}}, {"stats f64", WholeStats(holo.F64), []column{doubles}},
		{"sum i64", Sum(holo.I64), []column{integers}}, {"stats i64", WholeStats(holo.I64), []column{integers}}, {"stats i16", WholeStats(holo.I16), []column{narrow}},
		{"dot f64", Dot(holo.F64), []column{doubles, doubles}}, {"dot i64", Dot(holo.I64), []column{integers, integers}},
		{"count f64", count, []column{doubles}}, {"histogram f64", bins, []column{doubles}}, {"top f64", top, []column{doubles}},
	} {
		wasm := kernels.Get(c.q.Kernel)
		if m, ok := std.Named(c.q.Kernel); ok {
			wasm = m.Wasm
		}
		admitted, err := module.Admit(wasm)
		if err != nil {
			b.Fatal(err)
		}
		p, err := e.Load(b.Context(), admitted)
		if err != nil {
			b.Fatal(err)
		}
		instance, err := p.NewInstance(b.Context(), 1<<59, sandbox.DefaultMemoryPages)
		if err != nil {
			b.Fatal(err)
		}
		n := c.in[0].len()
		call := sandbox.Call{Function: c.q.Function, N: uint32(n), Params: c.q.Params, Acc: make([]byte, c.q.AccBytes)}
		for _, in := range c.in {
			call.Inputs = append(call.Inputs, in.view(0, n))
		}
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := instance.Run(b.Context(), module.Reduce, call); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/element")
		})
		instance.Close()
	}
}
