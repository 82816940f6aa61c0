package bench_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/holocompute/holocompute/bench"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/kernels"
)

// streamed is a metered kernel that is fed blocks of 1 MiB a view: pages are
// copied into linear memory, the kernel runs where they lie, and pages are made
// of its outputs, as a node and its worker do between them.
type streamed struct {
	b      *testing.B
	inst   *sandbox.Instance
	memory []byte
}

func stream(b *testing.B, wasm []byte) *streamed {
	memory := make([]byte, sandbox.DefaultMemoryPages*int(sandbox.PageBytes))
	engine := must(sandbox.New(b.Context(), sandbox.Config{Memory: memory}))
	b.Cleanup(func() { _ = engine.Close(b.Context()) })
	program := must(engine.Load(b.Context(), must(module.Admit(wasm))))
	inst := must(program.NewInstance(b.Context(), sandbox.MaxGas, 0))
	b.Cleanup(inst.Close)
	return &streamed{b, inst, memory}
}

const blockPages = sandbox.MaxViewPages

// run feeds all blocks of the columns in. c has the views' types, sizes and
// outputs for one block, and gets their places.
func (s *streamed) run(kind module.Kind, c sandbox.Call, in [][][]byte, out [][]byte) {
	at := must(s.inst.Place(s.b.Context(), kind, c))
	l := sandbox.LayoutOf(&c)
	views := append(append([]sandbox.View(nil), c.Inputs...), c.Outputs...)
	for i := range views {
		views[i].Bytes = s.memory[at+l.Views[i]:][:len(views[i].Bytes)]
	}
	c.Inputs, c.Outputs = views[:len(c.Inputs)], views[len(c.Inputs):]
	for first := 0; first < len(in[0]); first += blockPages {
		for i, v := range c.Inputs {
			per := len(v.Bytes) / blockPages
			for p := range blockPages {
				copy(v.Bytes[p*per:], in[i][first+p][:per])
			}
		}
		if _, err := s.inst.Run(s.b.Context(), kind, c); err != nil {
			s.b.Fatal(err)
		}
		for _, v := range c.Outputs {
			for p := range blockPages {
				copy(out[first+p], v.Bytes[p*holo.PageSize:])
			}
		}
		c.First += uint64(c.N)
	}
}

func views(t holo.ElementType, n int) []sandbox.View {
	return []sandbox.View{{Type: t, Bytes: make([]byte, n*int(t.Size()))}}
}

// BenchmarkStream is kernels over columns of 4 MiB in blocks of 1 MiB, copies
// included, against the same loop in plain Go over the same pages; and the
// geometric mean of the ratios of processor time.
func BenchmarkStream(b *testing.B) {
	const n64, n32 = blockPages * holo.PageSize / 8, blockPages * holo.PageSize / 4
	f64s := pages(func(i int) uint64 { return math.Float64bits(float64(i%1000) - 400) }, 8)
	f32s := pages(func(i int) uint64 { return uint64(math.Float32bits(float32(i%1000) - 400)) }, 4)
	i64s := pages(func(i int) uint64 { return uint64(i * 7919) }, 8)
	goes, theirs := pages(zero, 8), pages(zero, 8)
	basic := func(b *testing.B) *streamed { return stream(b, kernels.Get("basic")) }
	product, runs := 1.0, 0
	measure := func(name string, columns int, base func(), ours func(b *testing.B) func()) {
		b.Run(name, func(b *testing.B) {
			run := ours(b)
			cost := bench.Compare(b, 8, columns*extentBytes, func(n int) {
				for range n {
					base()
				}
			}, func(n int) {
				for range n {
					run()
				}
			})
			product, runs = product*cost.Ratio(), runs+1
			for i := range goes {
				if string(goes[i]) != string(theirs[i]) {
					b.Fatalf("page %d: kernel and Go differ", i)
				}
			}
		})
	}
	measure("scale/f32", 2, func() { scaleGo[float32](goes, f32s, 1.5) }, func(b *testing.B) func() {
		s, c := basic(b), sandbox.Call{Function: "scale", N: n32, Params: binary.LittleEndian.AppendUint32(nil, math.Float32bits(1.5)), Inputs: views(holo.F32, n32), Outputs: views(holo.F32, n32)}
		return func() { s.run(module.Map, c, [][][]byte{f32s}, theirs) }
	})
	measure("scale/f64", 2, func() { scaleGo(goes, f64s, -2.5) }, func(b *testing.B) func() {
		s, c := basic(b), sandbox.Call{Function: "scale", N: n64, Params: binary.LittleEndian.AppendUint64(nil, math.Float64bits(-2.5)), Inputs: views(holo.F64, n64), Outputs: views(holo.F64, n64)}
		return func() { s.run(module.Map, c, [][][]byte{f64s}, theirs) }
	})
	measure("add/f32", 3, func() { addGo[float32](goes, f32s, f32s) }, func(b *testing.B) func() {
		s, c := basic(b), sandbox.Call{Function: "add", N: n32, Inputs: append(views(holo.F32, n32), views(holo.F32, n32)...), Outputs: views(holo.F32, n32)}
		return func() { s.run(module.Map, c, [][][]byte{f32s, f32s}, theirs) }
	})
	measure("add/i64", 3, func() { addGo[int64](goes, i64s, i64s) }, func(b *testing.B) func() {
		s, c := basic(b), sandbox.Call{Function: "add", N: n64, Inputs: append(views(holo.I64, n64), views(holo.I64, n64)...), Outputs: views(holo.I64, n64)}
		return func() { s.run(module.Map, c, [][][]byte{i64s, i64s}, theirs) }
	})
	var sum, low, high int64
	measure("stats/i64", 1, func() {
		for _, p := range i64s {
			for _, x := range elements[int64](p) {
				sum, low, high = sum+x, min(low, x), max(high, x)
			}
		}
	}, func(b *testing.B) func() {
		s, c := basic(b), sandbox.Call{Function: "stats", N: n64, Acc: make([]byte, 120), Inputs: views(holo.I64, n64)}
		return func() { s.run(module.Reduce, c, [][][]byte{i64s}, nil) }
	})
	var bins [66]uint64
	measure("histogram/f32", 1, func() { histogramGo(&bins, f32s) }, func(b *testing.B) func() {
		params := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, math.Float64bits(-400)), math.Float64bits(600))
		s, c := basic(b), sandbox.Call{Function: "histogram", N: n32, Acc: make([]byte, 8*66), Params: params, Inputs: views(holo.F32, n32)}
		return func() { s.run(module.Reduce, c, [][][]byte{f32s}, nil) }
	})
	if runs > 0 {
		b.Run("mean", func(b *testing.B) {
			for b.Loop() {
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(math.Pow(product, 1/float64(runs)), "cpu-ratio")
		})
	}
}

func scaleGo[T float32 | float64](out, in [][]byte, k T) {
	for i := range in {
		to, from := elements[T](out[i]), elements[T](in[i])
		for j := range to {
			to[j] = from[j] * k
		}
	}
}

func addGo[T float32 | int64](out, x, y [][]byte) {
	for i := range x {
		to, p, q := elements[T](out[i]), elements[T](x[i]), elements[T](y[i])
		for j := range to {
			to[j] = p[j] + q[j]
		}
	}
}

// histogramGo counts into 64 bins from -400 to 600, and those below and above.
func histogramGo(bins *[66]uint64, in [][]byte) {
	low, high, perBin := -400.0, 600.0, 64/1000.0
	for i := range in {
		for _, x := range elements[float32](in[i]) {
			switch v := float64(x); {
			case v >= high:
				bins[65]++
			case v >= low:
				bins[1+int((v-low)*perBin)]++
			default:
				bins[0]++
			}
		}
	}
}
