package sandbox

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/kernels"
)

// counted is the histogram as one would write it down.
func counted(bins int, low, high float64, values []float64) []uint64 {
	acc := make([]uint64, bins+2)
	for _, x := range values {
		switch {
		case x >= high:
			acc[bins+1]++
		case x >= low:
			acc[1+min(int((x-low)*(float64(bins)/(high-low))), bins-1)]++
		default:
			acc[0]++
		}
	}
	return acc
}

// Values at, beside and far from the edges, NaNs and infinities among them; few bins, which
// have several counters each, and many, which have one; lengths that no block divides.
func TestHistogramCountsWhatIsWrittenDown(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	special := []float64{-3, 3, math.Nextafter(-3, -9), math.Nextafter(3, 0), math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1e300}
	value := func(i int) float64 {
		if i%7 == 0 {
			return special[rng.IntN(len(special))]
		}
		return rng.NormFloat64() * 2
	}
	for _, e := range engines(t) {
		p := load(t, e, kernels.Get("basic"))
		for _, bins := range []int{1, 64, 510, 511, 5000} {
			for _, n := range []int{1, 255, 256, 259, 1025} {
				f32 := words(holo.F32, n, f32At(value))
				f64 := words(holo.F64, n, f64At(value))
				i16 := words(holo.I16, n, func(int) uint64 { return uint64(rng.IntN(9) - 4) })
				for _, in := range []View{f32, f64, i16} {
					sameHistogram(t, p, bins, in)
				}
			}
		}
	}
}

// sameHistogram counts twice in one instance: nothing is left from the first time.
func sameHistogram(t *testing.T, p *Program, bins int, in View) {
	t.Helper()
	i, err := p.NewInstance(t.Context(), plenty, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	params := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, math.Float64bits(-3)), math.Float64bits(3))
	values := floats(in)
	want := counted(bins, -3, 3, values)
	c := Call{Function: "histogram", N: uint32(len(values)), Params: params, Inputs: []View{in}, Acc: make([]byte, 8*(bins+2))}
	for times := uint64(1); times <= 2; times++ {
		if _, err := i.Run(t.Context(), module.Reduce, c); err != nil {
			t.Fatal(err)
		}
		for b, n := range want {
			if have := binary.LittleEndian.Uint64(c.Acc[8*b:]); have != n*times {
				t.Fatalf("%v, %d elements, %d bins, %d times: bin %d has %d, want %d", in.Type, len(values), bins, times, b, have, n*times)
			}
		}
	}
}

// floats are the elements of a view of f32, f64 or i16.
func floats(v View) (all []float64) {
	for at := 0; at < len(v.Bytes); at += int(v.Type.Size()) {
		switch b := v.Bytes[at:]; v.Type {
		case holo.F32:
			all = append(all, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
		case holo.F64:
			all = append(all, math.Float64frombits(binary.LittleEndian.Uint64(b)))
		case holo.I16:
			all = append(all, float64(int16(binary.LittleEndian.Uint16(b))))
		}
	}
	return all
}

// A range that is too narrow for its bins has no finite number of them for each unit.
func TestHistogramRefusesARangeTooNarrowForItsBins(t *testing.T) {
	p := load(t, engines(t)[0], kernels.Get("basic"))
	params := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, 0), math.Float64bits(5e-324))
	_, err := p.Reduce(t.Context(), Call{Function: "histogram", N: 1, Gas: plenty, Params: params, Inputs: []View{words(holo.F64, 1, f64At(func(int) float64 { return 0 }))}, Acc: make([]byte, 24)})
	if holo.KindOf(err) != holo.KernelTrapped || holo.ReasonOf(err) != KernelError {
		t.Errorf("want a status of the kernel, got %v", err)
	}
}
