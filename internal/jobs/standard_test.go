package jobs

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/big"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/question"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/kernels/std"
)

// question submits what a question wants and gives the accumulator.
func (l *lan) question(q question.Question, inputs ...holo.ArrayID) []byte {
	l.Helper()
	return l.do(Spec{
		Module: l.standard(q.Kernel), Kernel: q.Kernel, Kind: wire.TaskReduce, Function: q.Function,
		Inputs: inputs, Params: q.Params, AccBytes: q.AccBytes,
	}).Result
}

func (l *lan) standard(name string) holo.ModuleID {
	l.Helper()
	m, ok := std.Named(name)
	if !ok {
		l.Fatalf("no standard kernel %s", name)
	}
	return l.add(m.Wasm)
}

// answers are all that can be asked of two columns, as the bytes that the
// kernels left.
func (l *lan) answers(a, b []float64, extent uint64) map[string][]byte {
	l.Helper()
	shape := Array{Shape: holo.Shape{Type: holo.F64, Extent: extent}, Affinity: "x"}
	x, y, out := l.array(shape, bytesOf(a)), l.array(shape, bytesOf(b)), l.array(shape, make([]byte, 8*len(a)))
	count, err := question.Count(holo.F64, question.Greater, question.Float(0.5))
	bins, _, err2 := question.Bins(holo.F64, question.Float(-1e6), question.Float(1e6), 32)
	top, err3 := question.Top(50, false)
	operation, err4 := question.FindOperation("muladd")
	if err != nil || err2 != nil || err3 != nil || err4 != nil {
		l.Fatal(err, err2, err3, err4)
	}
	factor := question.Float(3)
	muladd, err := operation.Elementwise(holo.F64, []*question.Number{nil, &factor, nil})
	if err != nil {
		l.Fatal(err)
	}
	l.do(Spec{
		Module: l.standard(muladd.Kernel), Kernel: muladd.Kernel, Kind: wire.TaskMap, Function: muladd.Function,
		Inputs: []holo.ArrayID{x, y}, Output: out, Params: muladd.Params,
	})
	return map[string][]byte{
		"stats": l.question(question.WholeStats(holo.F64), x), "dot": l.question(question.Dot(holo.F64), x, y),
		"count": l.question(count, x), "histogram": l.question(bins, x), "top": sorted(l.question(top, x)), "muladd": l.content(out),
	}
}

// sorted puts the places of a top answer in order: kernels keep them as a heap.
func sorted(acc []byte) []byte {
	top, err := question.Top(50, false)
	if err != nil {
		panic(err)
	}
	places, _, err := top.ReadTop(holo.F64, acc)
	if err != nil {
		panic(err)
	}
	var b []byte
	for _, p := range places {
		b = binary.LittleEndian.AppendUint64(b, p.Index)
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(p.Value.Float64()))
	}
	return b
}

// Every standard kernel answers with the same bytes on one, two and three nodes,
// with trouble between them, and whatever the extents: sums because they are
// exact, which is checked against arithmetic with as many bits as it takes.
func TestStandardKernelsAnswerAlikeOnAnyNumberOfNodes(t *testing.T) {
	a, b := floats(12*8192+1), floats(12*8192+1)
	for i := range b {
		b[i] = b[len(b)-1-i] / 3
	}
	want := newLAN(t, 1, Options{}).answers(a, b, 8192)
	for _, c := range []struct {
		nodes, chaos int
		extent       uint64
	}{{2, 0, 8192}, {2, 10, 8192}, {3, 0, 8192}, {3, 10, 8192}, {3, 0, 5 * 8192}, {1, 0, 16 * 8192}} {
		l := newLAN(t, c.nodes, troubled)
		l.chaos = c.chaos
		for what, got := range l.answers(a, b, c.extent) {
			if !bytes.Equal(got, want[what]) {
				t.Errorf("%d nodes, extents of %d, chaos %d%%: %s differs", c.nodes, c.extent, c.chaos, what)
			}
		}
	}
	q, dot := question.WholeStats(holo.F64), question.Dot(holo.F64)
	stats, err := q.ReadStats(holo.F64, want["stats"])
	if err != nil || stats.Sum.Float64() != sum(a, nil) {
		t.Errorf("sum %v, want %v (%v)", stats.Sum, sum(a, nil), err)
	}
	product, err := dot.ReadDot(holo.F64, want["dot"])
	if err != nil || product.Sum.Float64() != sum(a, b) {
		t.Errorf("dot %v, want %v (%v)", product.Sum, sum(a, b), err)
	}
	for i := range a {
		if x := math.Float64frombits(binary.LittleEndian.Uint64(want["muladd"][8*i:])); x != float64(a[i]*3)+b[i] {
			t.Fatalf("element %d is %v, want %v", i, x, float64(a[i]*3)+b[i])
		}
	}
}

// sum is the exact sum of a, or of a times b, rounded once.
func sum(a, b []float64) float64 {
	total := new(big.Float).SetPrec(1000)
	for i, v := range a {
		x := new(big.Float).SetPrec(1000).SetFloat64(v)
		if b != nil {
			x.Mul(x, new(big.Float).SetPrec(1000).SetFloat64(b[i]))
		}
		total.Add(total, x)
	}
	f, _ := total.Float64()
	return f
}

// Nothing at all, and one element.
func TestStandardKernelsOverNothingAndOne(t *testing.T) {
	l := newLAN(t, 2, Options{})
	q := question.WholeStats(holo.I64)
	for n, want := range []string{"0 - -", "1 -9223372036854775808 -9223372036854775808"} {
		v := []int64{math.MinInt64}[:n]
		in := l.array(Array{Shape: holo.Shape{Type: holo.I64, Extent: 8192}, Affinity: "x"}, bytesOf(v))
		s, err := q.ReadStats(holo.I64, l.question(q, in))
		if got := question.Uint(s.Count).String() + " " + s.Min.String() + " " + s.Max.String(); err != nil || got != want {
			t.Errorf("%d elements: %+v, %v", n, s, err)
		}
	}
}

// What adds floats in an order gives the same bytes on any nodes, with trouble
// between them: a step of k-means and both passes of a cumulative sum.
func TestOrderedKernelsAnswerAlikeOnAnyNumberOfNodes(t *testing.T) {
	values := floats(12 * 8192)
	step, err := question.KMeans([][]float64{{0, 1}, {-3, 2}, {1e3, 7}})
	first, err2 := question.Totals(8192, 12)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	answers := func(nodes, chaos int) map[string][]byte {
		l := newLAN(t, nodes, troubled)
		l.chaos = chaos
		shape := Array{Shape: holo.Shape{Type: holo.F64, Extent: 8192}, Affinity: "x"}
		in, out := l.array(shape, bytesOf(values)), l.array(shape, make([]byte, 8*len(values)))
		totals := l.question(first, in)
		second, err := first.CumSum(holo.F64, totals)
		if err != nil {
			t.Fatal(err)
		}
		l.do(Spec{Module: l.standard(std.CumSum), Kernel: std.CumSum, Kind: wire.TaskMap, Function: "cumsum", Inputs: []holo.ArrayID{in}, Output: out, Params: second.Params})
		return map[string][]byte{"k-means": l.question(step, in), "totals": totals, "cumulative sum": l.content(out)}
	}
	want := answers(1, 0)
	for _, c := range [][2]int{{2, 0}, {2, 10}, {3, 0}, {3, 10}} {
		for what, got := range answers(c[0], c[1]) {
			if !bytes.Equal(got, want[what]) {
				t.Errorf("%d nodes, chaos %d%%: %s differs", c[0], c[1], what)
			}
		}
	}
	s, err := step.ReadKMeans([][]float64{{0, 1}, {-3, 2}, {1e3, 7}}, want["k-means"])
	if err != nil || s.Rows[0]+s.Rows[1]+s.Rows[2]+s.Skipped != uint64(len(values)/2) {
		t.Errorf("%+v, %v", s, err)
	}
}
