package sandbox

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/kernels"
)

const (
	strictOperations = 12 // of the kernel strict, f64
	strictPrice      = 4  // of gas/1, for each of them
)

// pairs are all pairs of floats at which arithmetic makes NaNs, or gets one: quiet
// and signalling, of either sign, with payloads.
func pairs() (a, b []byte) {
	bits := []uint64{0, 1 << 63, 0x3ff0000000000000, 0xbff8000000000000, 0x7ff0000000000000, 0xfff0000000000000,
		0x7ff8000000000000, 0xfff8000000000000, 0x7ffc000000001234, 0x7ff0000000000001, 0xfff4000000005678, 0x7fefffffffffffff, 1}
	for _, x := range bits {
		for _, y := range bits {
			a, b = binary.LittleEndian.AppendUint64(a, x), binary.LittleEndian.AppendUint64(b, y)
		}
	}
	return a, b
}

// madeBits runs an operation of the kernel and gives its bits, and the gas.
func madeBits(t *testing.T, p *Program, operation uint32, elem, bits holo.ElementType) ([]uint64, holo.Gas) {
	t.Helper()
	a, b := pairs()
	size := elem.Size()
	out := make([]byte, len(a))
	n := uint64(len(a)) / size
	res, err := p.Map(t.Context(), Call{Function: "bits", N: uint32(n), Params: binary.LittleEndian.AppendUint32(nil, operation), Gas: 1 << 30,
		Inputs: []View{{elem, a}, {elem, b}}, Outputs: []View{{bits, out}}})
	if err != nil {
		t.Fatalf("operation %d: %v", operation, err)
	}
	words := make([]uint64, n)
	for i := range words {
		if words[i] = uint64(binary.LittleEndian.Uint32(out[i*int(size):])); size == 8 {
			words[i] = binary.LittleEndian.Uint64(out[8*i:])
		}
	}
	return words, res.Gas
}

// In a module that asks for it every NaN is the canonical one, in vectors and in
// what is left over, on both engines; all else is as it was, and it costs what the price table
// says.
func TestStrictNaNsAreTheSameEverywhere(t *testing.T) {
	wasm := kernels.Get("strict")
	plain := bytes.Replace(wasm, []byte("holo_strict_nan"), []byte("none_strict_nan"), 1)
	if bytes.Equal(plain, wasm) {
		t.Fatal("the kernel does not ask for it")
	}
	for _, e := range engines(t) {
		strict, loose := load(t, e, wasm), load(t, e, plain)
		if !strict.Module().StrictNaN || loose.Module().StrictNaN {
			t.Fatal("who asks for it is mistaken")
		}
		nans := 0
		for operation := uint32(0); operation < strictOperations; operation++ {
			got, gas := madeBits(t, strict, operation, holo.F64, holo.U64)
			was, before := madeBits(t, loose, operation, holo.F64, holo.U64)
			for i := range got {
				if math.IsNaN(math.Float64frombits(was[i])) {
					was[i] = 0x7ff8000000000000
					nans++
				}
				if got[i] != was[i] {
					t.Errorf("%s, operation %d, pair %d: %x, want %x", e.Kind(), operation, i, got[i], was[i])
				}
			}
			if gas <= before || (gas-before)%strictPrice != 0 {
				t.Errorf("%s, operation %d: %d gas, without it %d", e.Kind(), operation, gas, before)
			}
			if operation == strictOperations-1 {
				continue // is of f64 alone
			}
			for i, x := range must32(madeBits(t, strict, operation, holo.F32, holo.U32)) {
				if f := math.Float32frombits(x); f != f && x != 0x7fc00000 {
					t.Errorf("%s, operation %d, f32 pair %d: %x", e.Kind(), operation, i, x)
				}
			}
		}
		if nans < 100 {
			t.Errorf("only %d NaNs: this shows nothing", nans)
		}
	}
}

func must32(words []uint64, _ holo.Gas) []uint32 {
	out := make([]uint32, len(words))
	for i, w := range words {
		out[i] = uint32(w)
	}
	return out
}

// Both engines use the same gas for it, to the unit.
func TestStrictNaNsCostTheSameGasEverywhere(t *testing.T) {
	var want string
	for _, e := range engines(t) {
		p, got := load(t, e, kernels.Get("strict")), ""
		for operation := uint32(0); operation < strictOperations; operation++ {
			words, gas := madeBits(t, p, operation, holo.F64, holo.U64)
			got += fmt.Sprintf("%d %x\n", gas, words)
		}
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("%s: %s, want %s", e.Kind(), got, want)
		}
	}
}
