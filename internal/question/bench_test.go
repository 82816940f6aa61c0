package question

import (
	"fmt"
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

// BenchmarkStencil is the time for an element of a page of f64 with 3 and 101
// weights, beside plain Go that does the same to the bit.
func BenchmarkStencil(b *testing.B) {
	e, err := sandbox.New(b.Context(), sandbox.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close(b.Context())
	file, _ := std.Named(std.Stencil)
	admitted, err := module.Admit(file.Wasm)
	if err != nil {
		b.Fatal(err)
	}
	p, err := e.Load(b.Context(), admitted)
	if err != nil {
		b.Fatal(err)
	}
	const n = 8192
	for _, count := range []int{3, 101} {
		halo := count / 2
		elements, weights := samples[float64](n+2*halo, 1), make([]Number, count)
		for i := range weights {
			weights[i] = Float(1 / float64(i+2))
		}
		q, err := Stencil(holo.F64, weights)
		if err != nil {
			b.Fatal(err)
		}
		i, err := p.NewInstance(b.Context(), 1<<59, sandbox.DefaultMemoryPages)
		if err != nil {
			b.Fatal(err)
		}
		call := sandbox.Call{
			Function: q.Function, N: n, Halo: uint32(halo), Params: q.Params,
			Inputs: []sandbox.View{columnOf(elements).view(0, uint64(len(elements)))}, Outputs: []sandbox.View{{Type: holo.F64, Bytes: make([]byte, 8*n)}},
		}
		each := func(name string, run func() error) {
			b.Run(fmt.Sprintf("%s %d weights", name, count), func(b *testing.B) {
				for b.Loop() {
					if err := run(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
			})
		}
		each("kernel", func() error {
			_, err := i.Run(b.Context(), module.Map, call)
			return err
		})
		out := make([]float64, n)
		each("go", func() error {
			for k := range out {
				sum := 0.0
				for j, w := range weights {
					sum += float64(w.float * elements[k+j])
				}
				out[k] = sum
			}
			return nil
		})
		i.Close()
	}
}
