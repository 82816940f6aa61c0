package workers

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
)

// factorials are the coefficients of e^x up to x^16, that of x^0 first.
var factorials = func() (c [17]float64) {
	c[0] = 1
	for k := 1; k < len(c); k++ {
		c[k] = c[k-1] / float64(k)
	}
	return c
}()

// polynomialTask maps the elements of pages to e^x, by the kernel whose source is
// testdata/polynomial.wat.
func polynomialTask(t testing.TB, in, out [][]byte) *Task {
	t.Helper()
	wasm, err := os.ReadFile("testdata/polynomial.wasm")
	if err != nil {
		t.Fatal(err)
	}
	m, err := module.Admit(wasm)
	if err != nil {
		t.Fatal(err)
	}
	read, _ := paged(in)
	_, write := paged(out)
	task := &Task{
		Module: m, Kind: module.Map, Function: "polynomial", Gas: plenty, Count: uint64(len(in)) * holo.PageSize / 8, Run: 16 * holo.PageSize / 8,
		Inputs: []Input{{Type: holo.F64, Read: read}}, Outputs: []Output{{Type: holo.F64, Write: write}},
	}
	for _, c := range factorials {
		task.Params = binary.LittleEndian.AppendUint64(task.Params, math.Float64bits(c))
	}
	return task
}

// polynomialGo is the same in plain Go. The product is rounded before the sum, as
// in WebAssembly.
func polynomialGo(to, from []byte) {
	for i := 0; i < len(from); i += 8 {
		x := math.Float64frombits(binary.LittleEndian.Uint64(from[i:]))
		y := factorials[16]
		for k := 15; k >= 0; k-- {
			y = float64(y*x) + factorials[k]
		}
		binary.LittleEndian.PutUint64(to[i:], math.Float64bits(y))
	}
}

// Calls of whole blocks and a last one with an odd number of elements give what
// plain Go gives, bit for bit, and leave what is behind the last as it was.
func TestPolynomialIsThatOfGo(t *testing.T) {
	const pages, odd = 17, 5
	x := func(i uint64) uint64 { return math.Float64bits(float64(i%4000)/1000 - 2) }
	in, out := f64s(pages*holo.PageSize/8, x), f64s(pages*holo.PageSize/8, func(uint64) uint64 { return 1 })
	task := polynomialTask(t, in, out)
	task.Count -= odd
	p := New(Options{Max: 1})
	defer p.Close()
	if _, err := p.Run(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	want := f64s(pages*holo.PageSize/8, func(uint64) uint64 { return 1 })
	for i := range in {
		end := holo.PageSize
		if i == pages-1 {
			end -= odd * 8
		}
		polynomialGo(want[i][:end], in[i][:end])
		if !bytes.Equal(out[i], want[i]) {
			t.Fatalf("page %d: kernel and Go differ", i)
		}
	}
}
