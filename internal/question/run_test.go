package question

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/kernels/std"
)

// element is every type of an array's elements.
type element interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32 | float64
}

func typeFor[T element]() holo.ElementType {
	var zero T
	switch any(zero).(type) {
	case int8:
		return holo.I8
	case int16:
		return holo.I16
	case int32:
		return holo.I32
	case int64:
		return holo.I64
	case uint8:
		return holo.U8
	case uint16:
		return holo.U16
	case uint32:
		return holo.U32
	case uint64:
		return holo.U64
	case float32:
		return holo.F32
	}
	return holo.F64
}

func number[T element](v T) Number {
	switch t := typeFor[T](); {
	case t.Float():
		return Float(float64(v))
	case t.Signed():
		return Int(int64(v))
	}
	return Uint(uint64(v))
}

func bytesOf(v any) []byte {
	b, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		panic(err)
	}
	return b
}

// runner runs questions in the sandbox, without a cluster.
type runner struct {
	*testing.T
	programs map[holo.ModuleID]*sandbox.Program
}

func newRunner(t *testing.T) *runner {
	t.Helper()
	return newRunnerOn(t, sandbox.Auto)
}

func newRunnerOn(t *testing.T, kind sandbox.EngineKind) *runner {
	t.Helper()
	e, err := sandbox.New(t.Context(), sandbox.Config{Engine: kind})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(context.Background()) })
	r := &runner{t, map[holo.ModuleID]*sandbox.Program{}}
	for _, m := range std.All() {
		admitted, err := module.Admit(m.Wasm)
		if err != nil {
			t.Fatal(err)
		}
		if r.programs[m.ID], err = e.Load(t.Context(), admitted); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

const plenty = holo.Gas(1) << 40

// column is one input array.
type column struct {
	typ   holo.ElementType
	bytes []byte
}

func columnOf[T element](v []T) column { return column{typeFor[T](), bytesOf(v)} }

func (c column) view(from, to uint64) sandbox.View {
	return sandbox.View{Type: c.typ, Bytes: c.bytes[from*c.typ.Size() : to*c.typ.Size()]}
}

func (c column) len() uint64 { return uint64(len(c.bytes)) / c.typ.Size() }

// reduce answers a question as a job does: an instance for each extent, a call
// for each page, and the results combined in pairs.
func (r *runner) reduce(q Question, extent uint64, inputs ...column) []byte {
	r.Helper()
	n := inputs[0].len()
	var level [][]byte
	for first := uint64(0); first < n; first += extent {
		level = append(level, r.extent(q, first, min(first+extent, n), inputs))
	}
	if len(level) == 0 {
		return make([]byte, q.AccBytes)
	}
	for ; len(level) > 1; level = level[:(len(level)+1)/2] {
		for i := 0; i < len(level); i += 2 {
			if i+1 < len(level) {
				call := sandbox.Call{Function: q.Function, Params: q.Params, Acc: level[i], Gas: plenty}
				if _, err := r.programs[q.Module].Combine(r.Context(), call, level[i+1]); err != nil {
					r.Fatal(err)
				}
			}
			level[i/2] = level[i]
		}
	}
	return level[0]
}

func (r *runner) extent(q Question, first, end uint64, inputs []column) []byte {
	r.Helper()
	instance, err := r.programs[q.Module].NewInstance(r.Context(), plenty, sandbox.DefaultMemoryPages)
	if err != nil {
		r.Fatal(err)
	}
	defer instance.Close()
	acc, page := make([]byte, q.AccBytes), holo.PageSize/inputs[0].typ.Size()
	for ; first < end; first += page {
		to := min(first+page, end)
		call := sandbox.Call{Function: q.Function, First: first, N: uint32(to - first), Params: q.Params, Acc: acc}
		for _, c := range inputs {
			call.Inputs = append(call.Inputs, c.view(first, to))
		}
		if _, err := instance.Run(r.Context(), module.Reduce, call); err != nil {
			r.Fatal(err)
		}
	}
	return acc
}

// edges are elements at which arithmetic goes wrong first.
func edges[T element]() []T {
	var v []T
	switch t := typeFor[T](); {
	case t.Float():
		list := []float64{0, math.Copysign(0, -1), 1, -1, 0.1, -2.5, math.Pi, 1e10, -1e30, math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, 0x1p-126, 1 + 0x1p-23}
		if t == holo.F64 {
			list = append(list, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, -3*math.SmallestNonzeroFloat64, 0x1p-1022, -0x1.fffffffffffffp-1022, 1+0x1p-52, 0x1.fffffffffffffp+1000, -0x1.8p-600)
		}
		for _, f := range list {
			v = append(v, T(f))
		}
	case t.Signed():
		bits := 8 * t.Size()
		for _, x := range []int64{0, 1, -1, 2, 100, -100, 1<<(bits-1) - 1, -1 << (bits - 1), -1<<(bits-1) + 1, 1<<(bits-2) + 3} {
			v = append(v, T(x))
		}
	default:
		bits := 8 * t.Size()
		for _, x := range []uint64{0, 1, 2, 100, math.MaxUint64 >> (64 - bits), math.MaxUint64>>(64-bits) - 1, 1 << (bits - 1), 1<<(bits-1) - 1} {
			v = append(v, T(x))
		}
	}
	return v
}

// samples are n elements: edges, and random ones of all magnitudes.
func samples[T element](n int, seed uint64) []T {
	rng := rand.New(rand.NewPCG(19, seed))
	special, v := edges[T](), make([]T, n)
	for i := range v {
		if rng.IntN(4) == 0 {
			v[i] = special[rng.IntN(len(special))]
			continue
		}
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], rng.Uint64())
		if _, err := binary.Decode(word[:], binary.LittleEndian, &v[i]); err != nil {
			panic(err)
		}
		if f := float64(v[i]); math.IsNaN(f) || math.IsInf(f, 0) {
			v[i] = 7
		}
	}
	return v
}

// lengths: none, one, a page and one more, several extents and one more.
func lengths(t holo.ElementType) []int {
	page := int(holo.PageSize / t.Size())
	return []int{0, 1, 2, 700, page, page + 1, 3*page + 1}
}
