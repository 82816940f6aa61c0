package sandbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/kernels"
)

const plenty = holo.Gas(1) << 40

var pContext = context.Background() // for what ends after a test's own context

// engines are both kinds of engine, to compare; where there is no compiler
// they are the same.
func engines(t testing.TB) []*Engine {
	t.Helper()
	var list []*Engine
	for _, kind := range []EngineKind{Auto, Interpreter} {
		e, err := New(t.Context(), Config{Engine: kind})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close(pContext) })
		list = append(list, e)
	}
	return list
}

func load(t testing.TB, e *Engine, wasm []byte) *Program {
	t.Helper()
	m, err := module.Admit(wasm)
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Load(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustRun(t testing.TB, p *Program, k module.Kind, c Call) Call {
	t.Helper()
	c.Gas = plenty
	if _, err := p.once(t.Context(), k, c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEngineSaysHowItExecutes(t *testing.T) {
	both := engines(t)
	if k := both[0].Kind(); k != Compiler && k != Interpreter {
		t.Errorf("auto is %v", k)
	}
	if both[1].Kind() != Interpreter {
		t.Errorf("the interpreter is %v", both[1].Kind())
	}
}

// Metering changes no result: the original module, run bare, gives the same
// bytes as the metered one on either engine.
func TestMeteredKernelsGiveTheSameBytes(t *testing.T) {
	both := engines(t)
	for _, s := range sampleCalls() {
		want := s.call()
		bare := newPlain(t, kernels.Get(s.module))
		bare.load(t, s.kind, &want)()
		bare.take(&want)
		input := want.Inputs
		for _, e := range both {
			c := s.call()
			c.Inputs = input
			have := mustRun(t, load(t, e, kernels.Get(s.module)), s.kind, c)
			if !bytes.Equal(have.Acc, want.Acc) {
				t.Errorf("%s on the %s: another accumulator", s.name(), e.Kind())
			}
			for i := range want.Outputs {
				if !bytes.Equal(have.Outputs[i].Bytes, want.Outputs[i].Bytes) || bytes.Equal(have.Outputs[i].Bytes, make([]byte, len(have.Outputs[i].Bytes))) {
					t.Errorf("%s on the %s: another output", s.name(), e.Kind())
				}
			}
		}
	}
}

type hour struct{ Count, SumDelay, Late int64 }

// byHour is the answer in Go.
func byHour(views []View, n int) (acc [24]hour) {
	for i := range n {
		delay := int64(int16(binary.LittleEndian.Uint16(views[0].Bytes[2*i:])))
		h := &acc[int(math.Float32frombits(binary.LittleEndian.Uint32(views[1].Bytes[4*i:])))%24]
		h.Count++
		h.SumDelay += delay
		if delay > 15 {
			h.Late++
		}
	}
	return acc
}

func decode[T any](t *testing.T, b []byte) (v T) {
	t.Helper()
	if n, err := binary.Decode(b, binary.LittleEndian, &v); err != nil || n != len(b) {
		t.Fatalf("%d of %d bytes: %v", n, len(b), err)
	}
	return v
}

func TestFlightsByHourAreCountedExactly(t *testing.T) {
	const n = 20_000
	views := flightViews(n)
	binary.LittleEndian.PutUint32(views[1].Bytes, math.Float32bits(24)) // counts as hour 0
	binary.LittleEndian.PutUint32(views[1].Bytes[4:], math.Float32bits(23.983334))
	binary.LittleEndian.PutUint16(views[0].Bytes, 0x8000) // the least delay there is
	want := byHour(views, n)
	for _, name := range []string{"flights", "flights-go"} {
		p := load(t, engines(t)[0], kernels.Get(name))
		whole := mustRun(t, p, module.Reduce, Call{Function: "by_hour", N: n, Inputs: views, Acc: make([]byte, 576)})
		if got := decode[[24]hour](t, whole.Acc); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		// In two parts, combined.
		part := func(from, to int) []byte {
			v := []View{{holo.I16, views[0].Bytes[2*from : 2*to]}, {holo.F32, views[1].Bytes[4*from : 4*to]}}
			return mustRun(t, p, module.Reduce, Call{Function: "by_hour", First: uint64(from), N: uint32(to - from), Inputs: v, Acc: make([]byte, 576)}).Acc
		}
		a, b := part(0, 7777), part(7777, n)
		if _, err := p.Combine(t.Context(), Call{Function: "by_hour", Acc: a, Gas: plenty}, b); err != nil || !bytes.Equal(a, whole.Acc) {
			t.Errorf("%s: two parts combined differ (%v)", name, err)
		}
	}
}

// A timestamp's hour is that of the decimal time, before 1970 too.
func TestFlightsByHourOfTimestamps(t *testing.T) {
	p := load(t, engines(t)[0], kernels.Get("flights"))
	times := []int64{0, 3599, 3600, 86399, 86400, -1, -3600, -3601, -86400, 990_000_000}
	hours := []int{0, 0, 1, 23, 0, 23, 23, 22, 0, 8}
	for _, ticks := range []int64{1, 1000, 1_000_000, 1_000_000_000} {
		views := []View{
			words(holo.I32, len(times), func(i int) uint64 { return 20 }),
			words(holo.I64, len(times), func(i int) uint64 { return uint64(times[i] * ticks) }),
		}
		var want [24]hour
		for _, h := range hours {
			want[h].Count++
			want[h].SumDelay += 20
			want[h].Late++
		}
		c := mustRun(t, p, module.Reduce, Call{Function: "by_hour", N: uint32(len(times)), Inputs: views, Params: binary.LittleEndian.AppendUint64(nil, uint64(ticks)), Acc: make([]byte, 576)})
		if got := decode[[24]hour](t, c.Acc); got != want {
			t.Errorf("%d ticks: %v, want %v", ticks, got, want)
		}
	}
}

func TestATimeThatIsNoneIsRefused(t *testing.T) {
	p := load(t, engines(t)[0], kernels.Get("flights"))
	for _, bad := range []float64{-0.5, 25, math.Inf(1), math.NaN()} {
		views := []View{words(holo.I16, 1, func(int) uint64 { return 0 }), words(holo.F32, 1, f32At(func(int) float64 { return bad }))}
		_, err := p.Reduce(t.Context(), Call{Function: "by_hour", N: 1, Inputs: views, Acc: make([]byte, 576), Gas: plenty})
		if holo.ReasonOf(err) != KernelError {
			t.Errorf("time %v: %v", bad, err)
		}
	}
}

type weight struct{ Flights, Late uint32 }

// bootstrap is the definition in Go: Poisson(1) weights by a hash.
func bootstrap(views []View, first uint64, n int, seed uint64, replicates int) []weight {
	mix := func(x uint64) uint64 {
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		return x ^ x>>31
	}
	var steps []uint32
	sum, term := 0.0, math.Exp(-1)
	for k := 1; k <= 11; k++ {
		sum += term
		steps = append(steps, uint32(math.Round(sum*(1<<32))))
		term /= float64(k)
	}
	acc := make([]weight, 24*replicates)
	for i := range n {
		h := int(math.Float32frombits(binary.LittleEndian.Uint32(views[1].Bytes[4*i:])))
		late := int16(binary.LittleEndian.Uint16(views[0].Bytes[2*i:])) > 15
		row := mix(seed ^ mix(first+uint64(i)))
		for r := range replicates {
			x := uint32(mix(row+uint64(r+1)*0x9e3779b97f4a7c15) >> 32)
			for _, s := range steps {
				if x >= s {
					acc[24*r+h].Flights++
					if late {
						acc[24*r+h].Late++
					}
				}
			}
		}
	}
	return acc
}

// The bootstrap does not depend on how the rows are cut, and its weights are
// Poisson(1): mean and variance about 1.
func TestBootstrapDependsOnRowsAndSeedAlone(t *testing.T) {
	const n, replicates, first = 5000, 40, 3_000_000_000
	views := flightViews(n)
	p := load(t, engines(t)[0], kernels.Get("flights"))
	part := func(from, to int, seed uint64) []byte {
		v := []View{{holo.I16, views[0].Bytes[2*from : 2*to]}, {holo.F32, views[1].Bytes[4*from : 4*to]}}
		return mustRun(t, p, module.Reduce, Call{Function: "bootstrap", First: first + uint64(from), N: uint32(to - from), Params: bootstrapParams(seed, replicates), Inputs: v, Acc: make([]byte, replicates*192)}).Acc
	}
	whole := part(0, n, 42)
	want := bootstrap(views, first, n, 42, replicates)
	got := decode[[24 * replicates]weight](t, whole)
	var total float64
	for i, w := range want {
		if got[i] != w {
			t.Fatalf("weight %d is %v, want %v", i, got[i], w)
		}
		total += float64(w.Flights)
	}
	if mean := total / n / replicates; math.Abs(mean-1) > 0.02 {
		t.Errorf("mean weight %v", mean)
	}
	a, b, c := part(0, 1, 42), part(1, 3333, 42), part(3333, n, 42)
	for _, other := range [][]byte{b, c} {
		if _, err := p.Combine(t.Context(), Call{Function: "bootstrap", Acc: a, Gas: plenty}, other); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a, whole) {
		t.Error("three parts combined differ from the whole")
	}
	if bytes.Equal(part(0, n, 43), whole) {
		t.Error("another seed gives the same")
	}
}

type stats struct {
	Count, Nans      uint64
	ISum, IMin, IMax int64
	FMin, FMax       float64
	Lanes            [8]float64
}

func TestStatsAndSumOfAColumn(t *testing.T) {
	p := load(t, engines(t)[0], kernels.Get("basic"))
	ints := words(holo.I16, 1000, func(i int) uint64 { return uint64(int64(i - 700)) })
	c := mustRun(t, p, module.Reduce, Call{Function: "stats", N: 1000, Inputs: []View{ints}, Acc: make([]byte, statsBytes)})
	if s := decode[stats](t, c.Acc); s.Count != 1000 || s.ISum != -200500 || s.IMin != -700 || s.IMax != 299 {
		t.Errorf("integers: %+v", s)
	}
	values := []float64{1.5, -2, math.NaN(), 1e300, -1e300, 0.25}
	reals := words(holo.F64, len(values), f64At(func(i int) float64 { return values[i] }))
	c = mustRun(t, p, module.Reduce, Call{Function: "stats", First: 6, N: 6, Inputs: []View{reals}, Acc: make([]byte, statsBytes)})
	s := decode[stats](t, c.Acc)
	if s.Count != 5 || s.Nans != 1 || s.FMin != -1e300 || s.FMax != 1e300 || s.Lanes != [8]float64{0, 1e300, -1e300, 0.25, 0, 0, 1.5, -2} {
		t.Errorf("floats: %+v", s)
	}
	out := View{holo.F64, make([]byte, 8)}
	mustRun(t, p, module.Finish, Call{Function: "sum", Acc: c.Acc, Outputs: []View{out}})
	if sum := math.Float64frombits(binary.LittleEndian.Uint64(out.Bytes)); sum != -0.5 { // 0.25 is lost beside 1e300
		t.Errorf("sum %v", sum)
	}
	empty := make([]byte, statsBytes)
	before := bytes.Clone(c.Acc)
	if _, err := p.Combine(t.Context(), Call{Function: "stats", Acc: c.Acc, Gas: plenty}, empty); err != nil || !bytes.Equal(before, c.Acc) {
		t.Errorf("an empty accumulator is not neutral (%v)", err)
	}
	if _, err := p.Combine(t.Context(), Call{Function: "stats", Acc: empty, Gas: plenty}, before); err != nil || !bytes.Equal(empty, before) {
		t.Errorf("combining into an empty accumulator changes it (%v)", err)
	}
}

func TestHistogramCountsEveryValueOnce(t *testing.T) {
	p := load(t, engines(t)[0], kernels.Get("basic"))
	values := []float64{-1, 0, 0.999, 1, 4.5, 9.9999, 10, 11, math.NaN()}
	params := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, math.Float64bits(0)), math.Float64bits(10))
	in := words(holo.F64, len(values), f64At(func(i int) float64 { return values[i] }))
	c := mustRun(t, p, module.Reduce, Call{Function: "histogram", N: uint32(len(values)), Params: params, Inputs: []View{in}, Acc: make([]byte, 8*12)})
	if got, want := decode[[12]uint64](t, c.Acc), [12]uint64{2, 2, 1, 0, 0, 1, 0, 0, 0, 0, 1, 2}; got != want {
		t.Errorf("%v, want %v", got, want)
	}
}
