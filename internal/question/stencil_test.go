package question

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
)

// stencilOf compares std/stencil over elements of a type with plain Go: u64
// arithmetic for integers, float64 for floats.
func stencilOf[T element](t *testing.T, r *runner, elements []T) {
	t.Helper()
	typ, weights := typeFor[T](), []Number{Int(-3), Int(2), Int(7), Int(1 << 40), Int(-1)}
	if typ.Float() {
		weights = []Number{Float(0.1), Float(-2.5), Float(1e10), Float(1.0 / 3), Float(7)}
	}
	q, err := Stencil(typ, weights)
	if err != nil {
		t.Fatal(err)
	}
	const halo = 2
	n := len(elements) - 2*halo
	out := make([]byte, uint64(n)*typ.Size())
	i, err := r.programs[q.Module].NewInstance(t.Context(), plenty, sandbox.DefaultMemoryPages)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	c := sandbox.Call{
		Function: q.Function, N: uint32(n), Halo: halo, Params: q.Params,
		Inputs: []sandbox.View{{Type: typ, Bytes: bytesOf(elements)}}, Outputs: []sandbox.View{{Type: typ, Bytes: out}},
	}
	if _, err := i.Run(t.Context(), module.Map, c); err != nil {
		t.Fatal(err)
	}
	want := make([]T, n)
	for k := range want {
		var whole uint64
		var real float64
		for j, w := range weights {
			if typ.Float() {
				real += float64(w.Float64() * float64(elements[k+j]))
				continue
			}
			v, _ := w.Int64()
			whole += uint64(v) * uint64(elements[k+j])
		}
		if want[k] = T(real); !typ.Float() {
			want[k] = T(whole)
		}
	}
	if !bytes.Equal(out, bytesOf(want)) {
		t.Errorf("%s: other bytes than in plain Go", typ)
	}
}

// ramp has every sign and, in the narrow types, wraps around.
func ramp[T element](n int) []T {
	a := make([]T, n)
	for i := range a {
		a[i] = T(int64(i)*37%1009 - 500)
	}
	return a
}

func TestStencilsOfAllTypesAreThoseOfPlainGo(t *testing.T) {
	r := newRunner(t)
	const n = 5000
	stencilOf(t, r, ramp[int8](n))
	stencilOf(t, r, ramp[int16](n))
	stencilOf(t, r, ramp[int32](n))
	stencilOf(t, r, ramp[int64](n))
	stencilOf(t, r, ramp[uint8](n))
	stencilOf(t, r, ramp[uint16](n))
	stencilOf(t, r, ramp[uint32](n))
	stencilOf(t, r, ramp[uint64](n))
	stencilOf(t, r, ramp[float32](n))
	stencilOf(t, r, ramp[float64](n))
	stencilOf(t, r, ramp[float64](5))
}

func TestStencilsThatCannotBeAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		t holo.ElementType
		w []Number
	}{
		"none": {holo.F64, nil}, "even": {holo.F64, []Number{Int(1), Int(2)}}, "too many": {holo.F64, make([]Number, MaxWeights+2)},
		"no number": {holo.F64, []Number{{}}}, "a fraction of integers": {holo.I8, []Number{Float(0.5)}},
	} {
		if _, err := Stencil(c.t, c.w); holo.KindOf(err) != holo.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	q, err := Stencil(holo.U64, []Number{Uint(math.MaxUint64)})
	if err != nil || binary.LittleEndian.Uint64(q.Params) != math.MaxUint64 {
		t.Errorf("%x, %v", q.Params, err)
	}
}
