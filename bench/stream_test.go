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

// loop is what a kernel does, in plain Go, over the pages or blocks of columns.
type loop func(out [][]byte, in ...[][]byte)

// copied is the loop for a program that has no pages of its own: it copies blocks of
// 1 MiB from them and to them, as a node and its worker do.
func (l loop) copied(out [][]byte, in ...[][]byte) func() {
	size := blockPages * holo.PageSize
	to, from := [][]byte{make([]byte, size)}, make([][][]byte, len(in))
	for i := range in {
		from[i] = [][]byte{make([]byte, blockPages*len(in[i][0]))}
	}
	return func() {
		for first := 0; first < len(in[0]); first += blockPages {
			for i := range in {
				for p := range blockPages {
					copy(from[i][0][p*len(in[i][0]):], in[i][first+p])
				}
			}
			l(to, from...)
			for p := 0; out != nil && p < blockPages; p++ {
				copy(out[first+p], to[0][p*holo.PageSize:])
			}
		}
	}
}

// streaming is a kernel over columns: its call over one block.
type streaming struct {
	name string
	kind module.Kind
	call sandbox.Call
	goes loop
	in   [][][]byte
	maps bool
}

// BenchmarkStream is kernels over columns of 4 MiB in blocks of 1 MiB, copies
// included, against the same loop in plain Go over the same pages, and (copied)
// over blocks that are copied from and to them; and the geometric means of the
// ratios of processor time.
func BenchmarkStream(b *testing.B) {
	list := streamings()
	b.Run("pages", func(b *testing.B) {
		compareStreams(b, list, func(s streaming, out [][]byte) func() { return func() { s.goes(out, s.in...) } })
	})
	b.Run("copied", func(b *testing.B) {
		compareStreams(b, list, func(s streaming, out [][]byte) func() { return s.goes.copied(out, s.in...) })
	})
}

func compareStreams(b *testing.B, list []streaming, baseOf func(s streaming, out [][]byte) func()) {
	goes, theirs := pages(zero, 8), pages(zero, 8)
	product, runs := 1.0, 0
	for _, s := range list {
		b.Run(s.name, func(b *testing.B) {
			var out, outs [][]byte
			columns := len(s.in)
			if s.maps {
				out, outs, columns = goes, theirs, columns+1
			}
			base, ours := baseOf(s, out), stream(b, kernels.Get("basic"))
			cost := bench.Compare(b, 8, columns*extentBytes, func(n int) {
				for range n {
					base()
				}
			}, func(n int) {
				for range n {
					ours.run(s.kind, s.call, s.in, outs)
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
	if runs == 0 {
		return
	}
	b.Run("mean", func(b *testing.B) {
		for b.Loop() {
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(math.Pow(product, 1/float64(runs)), "cpu-ratio")
	})
}

func streamings() []streaming {
	const n64, n32 = blockPages * holo.PageSize / 8, blockPages * holo.PageSize / 4
	f64s := pages(func(i int) uint64 { return math.Float64bits(float64(i%1000) - 400) }, 8)
	f32s := pages(func(i int) uint64 { return uint64(math.Float32bits(float32(i%1000) - 400)) }, 4)
	i64s := pages(func(i int) uint64 { return uint64(i * 7919) }, 8)
	limits := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, math.Float64bits(-400)), math.Float64bits(600))
	var bins [66]uint64
	scale32 := func(out [][]byte, in ...[][]byte) { scaleGo[float32](out, in[0], 1.5) }
	scale64 := func(out [][]byte, in ...[][]byte) { scaleGo(out, in[0], -2.5) }
	add32 := func(out [][]byte, in ...[][]byte) { addGo[float32](out, in[0], in[1]) }
	add64 := func(out [][]byte, in ...[][]byte) { addGo[int64](out, in[0], in[1]) }
	stats := func(_ [][]byte, in ...[][]byte) { statsGo(in[0]) }
	histogram := func(_ [][]byte, in ...[][]byte) { histogramGo(&bins, in[0]) }
	two := func(t holo.ElementType, n int) []sandbox.View { return append(views(t, n), views(t, n)...) }
	return []streaming{
		{"scale/f32", module.Map, sandbox.Call{Function: "scale", N: n32, Params: binary.LittleEndian.AppendUint32(nil, math.Float32bits(1.5)), Inputs: views(holo.F32, n32), Outputs: views(holo.F32, n32)}, scale32, [][][]byte{f32s}, true},
		{"scale/f64", module.Map, sandbox.Call{Function: "scale", N: n64, Params: binary.LittleEndian.AppendUint64(nil, math.Float64bits(-2.5)), Inputs: views(holo.F64, n64), Outputs: views(holo.F64, n64)}, scale64, [][][]byte{f64s}, true},
		{"add/f32", module.Map, sandbox.Call{Function: "add", N: n32, Inputs: two(holo.F32, n32), Outputs: views(holo.F32, n32)}, add32, [][][]byte{f32s, f32s}, true},
		{"add/i64", module.Map, sandbox.Call{Function: "add", N: n64, Inputs: two(holo.I64, n64), Outputs: views(holo.I64, n64)}, add64, [][][]byte{i64s, i64s}, true},
		{"stats/i64", module.Reduce, sandbox.Call{Function: "stats", N: n64, Acc: make([]byte, 120), Inputs: views(holo.I64, n64)}, stats, [][][]byte{i64s}, false},
		{"histogram/f32", module.Reduce, sandbox.Call{Function: "histogram", N: n32, Acc: make([]byte, 8*66), Params: limits, Inputs: views(holo.F32, n32)}, histogram, [][][]byte{f32s}, false},
	}
}

var sum, low, high int64 // of statsGo, which otherwise need not be worked out

func statsGo(in [][]byte) {
	for _, p := range in {
		for _, x := range elements[int64](p) {
			sum, low, high = sum+x, min(low, x), max(high, x)
		}
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
