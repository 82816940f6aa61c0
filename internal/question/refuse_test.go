package question

import (
	"bytes"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
)

// A call that this package would not make ends with a status, and never with a
// wrong answer: another accumulator, other parameters, other views.
func TestKernelsRefuseWhatTheyWereNotAsked(t *testing.T) {
	r := newRunner(t)
	one, wide := sandbox.View{Type: holo.I16, Bytes: []byte{1, 0}}, sandbox.View{Type: holo.F64, Bytes: make([]byte, 8)}
	stats, dot := WholeStats(holo.I16), Dot(holo.I16)
	count, err := Count(holo.I16, Less, Int(3))
	if err != nil {
		t.Fatal(err)
	}
	bins, _, err := Bins(holo.I16, Int(0), Int(9), 3)
	if err != nil {
		t.Fatal(err)
	}
	top, err := Top(4, false)
	if err != nil {
		t.Fatal(err)
	}
	means, err := KMeans([][]float64{{0, 0}, {1, 1}})
	if err != nil {
		t.Fatal(err)
	}
	totals, err := Totals(8, 3)
	if err != nil {
		t.Fatal(err)
	}
	const views, params, acc, data = "status 1", "status 2", "status 3", "status 4"
	for i, c := range []struct {
		q      Question
		inputs []sandbox.View
		change func(q *Question)
		want   string
	}{
		{stats, []sandbox.View{one, one}, nil, views},
		{stats, []sandbox.View{wide}, nil, acc},
		{stats, []sandbox.View{one}, func(q *Question) { q.AccBytes-- }, acc},
		{stats, []sandbox.View{one}, func(q *Question) { q.Function = "sum" }, acc},
		{stats, []sandbox.View{one}, func(q *Question) { q.Params = []byte{1} }, params},
		{dot, []sandbox.View{one}, nil, views},
		{dot, []sandbox.View{one, wide}, nil, views},
		{dot, []sandbox.View{one, one}, func(q *Question) { q.AccBytes += 8 }, acc},
		{count, []sandbox.View{one}, func(q *Question) { q.Params = q.Params[1:] }, params},
		{count, []sandbox.View{one}, func(q *Question) { q.Params = append([]byte{7}, q.Params[1:]...) }, params},
		{count, []sandbox.View{one}, func(q *Question) { q.AccBytes = 8 }, acc},
		{bins, []sandbox.View{one}, func(q *Question) { q.AccBytes += 8 }, params},
		{bins, []sandbox.View{one}, func(q *Question) { q.AccBytes = 32 }, acc},
		{top, []sandbox.View{one}, func(q *Question) { q.Params = []byte{2, 0, 0, 0} }, params},
		{top, []sandbox.View{one}, func(q *Question) { q.AccBytes = 16 }, acc},
		{top, []sandbox.View{one, one}, nil, views},
		{means, []sandbox.View{one}, nil, data}, // half of a row
		{means, []sandbox.View{one, wide}, nil, views},
		{means, []sandbox.View{one, one, one}, nil, views},
		{means, []sandbox.View{one, one}, func(q *Question) { q.AccBytes -= 8 }, acc},
		{means, []sandbox.View{one, one}, func(q *Question) { q.Params = q.Params[8:] }, params},
		{means, []sandbox.View{one, one}, func(q *Question) { q.Params = make([]byte, 8) }, params},
		{means, []sandbox.View{one, one}, func(q *Question) { q.Params = bytes.Repeat([]byte{0xff}, 8) }, params},
		{totals, []sandbox.View{one, one}, nil, views},
		{totals, []sandbox.View{one}, func(q *Question) { q.Params = make([]byte, 8) }, params},
		{totals, []sandbox.View{one}, func(q *Question) { q.Params = nil }, params},
		{totals, []sandbox.View{one}, func(q *Question) { q.AccBytes = 7 }, acc},
	} {
		q := c.q
		if c.change != nil {
			c.change(&q)
		}
		call := sandbox.Call{Function: q.Function, N: 1, Inputs: c.inputs, Params: q.Params, Acc: make([]byte, q.AccBytes), Gas: plenty}
		if _, err := r.programs[q.Module].Reduce(t.Context(), call); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d: %v, want %s", i, err, c.want)
		}
	}
	add, err := FindOperation("add")
	if err != nil {
		t.Fatal(err)
	}
	k := Int(1)
	q, err := add.Elementwise(holo.I16, []*Number{nil, &k})
	if err != nil {
		t.Fatal(err)
	}
	instance := func(params []byte, out holo.ElementType, inputs ...sandbox.View) error {
		call := sandbox.Call{Function: "add", N: 1, Params: params, Inputs: inputs, Gas: plenty, Outputs: []sandbox.View{{Type: out, Bytes: make([]byte, out.Size())}}}
		_, err := r.programs[q.Module].Map(t.Context(), call)
		return err
	}
	if err := instance(q.Params, holo.I16, one); err != nil {
		t.Error(err)
	}
	for i, err := range []error{
		instance(q.Params, holo.I16, one, one), instance(nil, holo.I16, one), instance(nil, holo.I16, one, wide), instance(q.Params, holo.U16, one),
		instance(q.Params[1:], holo.I16, one), instance(append([]byte{4}, q.Params[1:]...), holo.I16, one),
	} {
		if err == nil || !strings.Contains(err.Error(), "status") {
			t.Errorf("map %d: %v", i, err)
		}
	}
}

// Two accumulators of different types are not combined.
func TestAccumulatorsOfOtherTypesAreNotCombined(t *testing.T) {
	r := newRunner(t)
	for _, q := range []Question{WholeStats(holo.I16), Dot(holo.I16)} {
		a, b := make([]byte, q.AccBytes), make([]byte, q.AccBytes)
		a[0], b[0] = byte(holo.I16), byte(holo.U16)
		if _, err := r.programs[q.Module].Combine(t.Context(), sandbox.Call{Function: q.Function, Acc: a, Gas: plenty}, b); err == nil {
			t.Errorf("%s: combined", q.Function)
		}
	}
	q, err := Top(2, false)
	if err != nil {
		t.Fatal(err)
	}
	a, b := make([]byte, q.AccBytes), make([]byte, q.AccBytes)
	b[4] = 3 // more places than there are
	if _, err := r.programs[q.Module].Combine(t.Context(), sandbox.Call{Function: "top", Acc: a, Gas: plenty}, b); err == nil {
		t.Error("top: combined")
	}
}

func TestEveryFunctionThatIsAskedForIsThere(t *testing.T) {
	r := newRunner(t)
	has := func(q Question, kind module.Kind) {
		if !r.programs[q.Module].Module().Has(kind, q.Function) {
			t.Errorf("%s has no %s_%s", q.Kernel, kind, q.Function)
		}
	}
	for _, o := range Operations() {
		q, err := o.Elementwise(holo.F64, make([]*Number, o.Operands))
		if err != nil {
			t.Fatal(err)
		}
		has(q, module.Map)
	}
	for _, q := range []Question{Sum(holo.I8), WholeStats(holo.F32), Dot(holo.U8), mustAsk(KMeans([][]float64{{1}})), mustAsk(Totals(1, 1))} {
		has(q, module.Reduce)
		has(q, module.Combine)
	}
}

// Compiled and interpreted, metered as they are, the kernels write the same bytes.
func TestBothEnginesGiveTheSameBytes(t *testing.T) {
	compiled, interpreted := newRunner(t), newRunnerOn(t, sandbox.Interpreter)
	v, w := columnOf(samples[float64](1500, 1)), columnOf(samples[float64](1500, 2))
	n := columnOf(samples[int64](1500, 3))
	top, err := Top(20, true)
	if err != nil {
		t.Fatal(err)
	}
	bins, _, err := Bins(holo.F64, Float(-1e300), Float(1e300), 9)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		q  Question
		in []column
	}{
		{WholeStats(holo.F64), []column{v}}, {WholeStats(holo.I64), []column{n}}, {Dot(holo.F64), []column{v, w}}, {Dot(holo.I64), []column{n, n}},
		{top, []column{v}}, {bins, []column{v}}, {mustAsk(KMeans([][]float64{{1, 2}, {-3, 1e9}})), []column{v}}, {mustAsk(Totals(700, 3)), []column{v}},
	} {
		a, b := compiled.reduce(c.q, 700, c.in...), interpreted.reduce(c.q, 700, c.in...)
		if !bytes.Equal(a, b) || bytes.Equal(a, make([]byte, len(a))) {
			t.Errorf("%s %s: %x compiled, %x interpreted", c.q.Kernel, c.q.Function, a, b)
		}
	}
	muladd, err := FindOperation("muladd")
	if err != nil {
		t.Fatal(err)
	}
	q, err := muladd.Elementwise(holo.F64, make([]*Number, 3))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(compiled.mapped(q, holo.F64, v, w, v), interpreted.mapped(q, holo.F64, v, w, v)) {
		t.Error("muladd differs")
	}
}
