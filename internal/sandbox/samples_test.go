package sandbox

import (
	"encoding/binary"
	"math"
	"math/rand/v2"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
)

// sample is one call of a sample kernel with data of its own.
type sample struct {
	module string
	kind   module.Kind
	call   func() Call
}

func (s sample) name() string {
	c := s.call()
	return s.module + "/" + s.kind.String() + "_" + c.Function + "/" + c.Inputs[0].Type.String()
}

// words fills n elements from the generator.
func words(t holo.ElementType, n int, next func(i int) uint64) View {
	size := int(t.Size())
	b := make([]byte, n*size)
	for i := range n {
		var w [8]byte
		binary.LittleEndian.PutUint64(w[:], next(i))
		copy(b[i*size:], w[:size])
	}
	return View{t, b}
}

func f32At(f func(i int) float64) func(int) uint64 {
	return func(i int) uint64 { return uint64(math.Float32bits(float32(f(i)))) }
}

func f64At(f func(i int) float64) func(int) uint64 {
	return func(i int) uint64 { return math.Float64bits(f(i)) }
}

func flightViews(n int) []View {
	rng := rand.New(rand.NewPCG(1, 2))
	return []View{
		words(holo.I16, n, func(int) uint64 { return uint64(rng.IntN(200) - 60) }),
		words(holo.F32, n, f32At(func(int) float64 { return float64(rng.IntN(24*60)) / 60 })),
	}
}

func bootstrapParams(seed uint64, replicates uint32) []byte {
	p := binary.LittleEndian.AppendUint64(nil, seed)
	p = binary.LittleEndian.AppendUint32(p, replicates)
	return binary.LittleEndian.AppendUint64(append(p, 0, 0, 0, 0), 0)
}

// sampleCalls is a call of every kernel that takes inputs.
func sampleCalls() []sample {
	const n = 8192
	reals := func(i int) float64 { return rand.New(rand.NewPCG(3, uint64(i))).NormFloat64() }
	factor32 := binary.LittleEndian.AppendUint32(nil, math.Float32bits(1.5))
	factor64 := binary.LittleEndian.AppendUint64(nil, math.Float64bits(-2.5))
	range64 := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, math.Float64bits(-3)), math.Float64bits(3))
	return []sample{
		{"basic", module.Map, func() Call {
			return Call{Function: "scale", N: n, Params: factor32, Inputs: []View{words(holo.F32, n, f32At(reals))}, Outputs: []View{{holo.F32, make([]byte, 4*n)}}}
		}},
		{"basic", module.Map, func() Call {
			return Call{Function: "scale", N: n, Params: factor64, Inputs: []View{words(holo.F64, n, f64At(reals))}, Outputs: []View{{holo.F64, make([]byte, 8*n)}}}
		}},
		{"basic", module.Map, func() Call {
			in := words(holo.F32, n, f32At(reals))
			return Call{Function: "add", N: n, Inputs: []View{in, in}, Outputs: []View{{holo.F32, make([]byte, 4*n)}}}
		}},
		{"basic", module.Map, func() Call {
			in := words(holo.I8, n, func(i int) uint64 { return uint64(i) })
			return Call{Function: "add", N: n, Inputs: []View{in, in}, Outputs: []View{{holo.I8, make([]byte, n)}}}
		}},
		{"basic", module.Reduce, func() Call {
			return Call{Function: "stats", First: 3, N: n, Inputs: []View{words(holo.F64, n, f64At(reals))}, Acc: make([]byte, statsBytes)}
		}},
		{"basic", module.Reduce, func() Call {
			return Call{Function: "stats", N: n, Inputs: []View{words(holo.I64, n, func(i int) uint64 { return uint64(i * i) })}, Acc: make([]byte, statsBytes)}
		}},
		{"basic", module.Reduce, func() Call {
			return Call{Function: "histogram", N: n, Params: range64, Inputs: []View{words(holo.F32, n, f32At(reals))}, Acc: make([]byte, 8*66)}
		}},
		{"flights", module.Reduce, func() Call {
			return Call{Function: "by_hour", N: n, Inputs: flightViews(n), Acc: make([]byte, 24*24)}
		}},
		{"flights", module.Reduce, func() Call {
			return Call{Function: "bootstrap", First: 1 << 20, N: n, Params: bootstrapParams(7, 50), Inputs: flightViews(n), Acc: make([]byte, 50*24*8)}
		}},
	}
}

const statsBytes = 120 // struct stats of kernels/src/basic.c
