package jobs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/question"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/internal/workers"
	"github.com/holocompute/holocompute/kernels/std"
)

// beyond is what a halo shows at an index that may lie outside, the dumb way.
func beyond[T any](a []T, i int, edge wire.Edge) (v T) {
	switch {
	case i >= 0 && i < len(a):
		return a[i]
	case edge == wire.EdgeZero:
		return v
	case edge == wire.EdgeWrap:
		return a[((i%len(a))+len(a))%len(a)]
	}
	return a[max(0, min(i, len(a)-1))]
}

// plainStencil is std/stencil in plain Go.
func plainStencil(a []float64, weights []float64, edge wire.Edge) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		sum := 0.0
		for j, w := range weights {
			sum += float64(w * beyond(a, i+j-len(weights)/2, edge))
		}
		out[i] = sum
	}
	return out
}

func numbersOf(weights []float64) (list []question.Number) {
	for _, w := range weights {
		list = append(list, question.Float(w))
	}
	return list
}

// stencil is a job that smooths one array into another.
func (l *lan) stencil(in, out holo.ArrayID, edge wire.Edge, weights []float64) Spec {
	l.Helper()
	q, err := question.Stencil(holo.F64, numbersOf(weights))
	if err != nil {
		l.Fatal(err)
	}
	s := Spec{Module: l.standard(q.Kernel), Kernel: q.Kernel, Kind: wire.TaskMap, Function: q.Function, Inputs: []holo.ArrayID{in}, Output: out, Params: q.Params}
	if width := uint32(len(weights) / 2); width > 0 {
		s.Halo = wire.Halo{Width: width, Edge: edge}
	}
	return s
}

func (l *lan) reals(values []float64) holo.ArrayID {
	return l.array(Array{Shape: holo.Shape{Type: holo.F64, Extent: holo.PageSize / 8}, Affinity: "x"}, bytesOf(values))
}

func wave(n int) []float64 {
	a := make([]float64, n)
	for i := range a {
		a[i] = math.Cos(float64(i)) * float64(1+i%97)
	}
	return a
}

func weightsOf(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = 1 / float64(3*i-7)
	}
	return w
}

// A stencil is the same to the bit on one, two and three nodes and in plain Go,
// at every edge, where extents meet and where the last one is shorter than the
// halo; also while requests are refused and answers are lost.
func TestStencilsAreThoseOfPlainGoOnAnyNodes(t *testing.T) {
	const extent = holo.PageSize / 8
	for nodes := 1; nodes <= 3; nodes++ {
		l := newLAN(t, nodes, troubled)
		l.chaos = 10 * (nodes - 1)
		for _, c := range []struct{ elements, weights int }{{4*extent + 5, 3}, {3 * extent, 11}, {2*extent + 1, 2*3000 + 1}, {7, 5}, {1, 3}, {extent, 1}} {
			a, w := wave(c.elements), weightsOf(c.weights)
			if c.elements > extent {
				w = w[:min(len(w), 201)] // the oracle is slow
			}
			for edge := wire.EdgeClamp; edge <= wire.EdgeWrap; edge++ {
				in, out := l.reals(a), l.reals(make([]float64, len(a)))
				l.do(l.stencil(in, out, edge, w))
				if got, want := l.content(out), bytesOf(plainStencil(a, w, edge)); !bytes.Equal(got, want) {
					t.Errorf("%d nodes, %d elements, %d weights, %s: other bytes than in plain Go", nodes, len(a), len(w), edge)
				}
			}
		}
	}
}

// What a task sees around its extent is what the dumbest way gives, however far
// it looks: over several extents, beyond both ends.
func TestAHaloIsWhatLiesAround(t *testing.T) {
	const extent = holo.PageSize / 8
	l := newLAN(t, 3, Options{})
	a := wave(5*extent + 100)
	in, out := l.reals(a), l.reals(make([]float64, len(a)))
	factor := binary.LittleEndian.AppendUint64(nil, math.Float64bits(2))
	for edge := wire.EdgeClamp; edge <= wire.EdgeWrap; edge++ {
		for _, width := range []int{1, 100, 101, extent + 1, 20_000, wire.MaxHalo} {
			s := Spec{Module: l.module("basic"), Kernel: "basic", Kind: wire.TaskMap, Function: "scale", Inputs: []holo.ArrayID{in}, Output: out, Params: factor, Halo: wire.Halo{Width: uint32(width), Edge: edge}}
			for _, r := range l.receipts(l.do(s).ID) {
				var around []float64
				for i := range width {
					around = append(around, beyond(a, int(r.Task.First)-width+i, edge))
				}
				for i := range width {
					around = append(around, beyond(a, int(r.Task.First+r.Task.Count)+i, edge))
				}
				if len(r.Said.Halos) != 1 || r.Said.Halos[0] != digest.Of(bytesOf(around)) {
					t.Errorf("%s, %d elements around task %d: not what lies there", edge, width, r.Task.Task)
				}
			}
			got := l.content(out)
			for i := 0; i < len(a); i += 4999 { // a kernel that knows of no halo is not disturbed by one
				if got := math.Float64frombits(binary.LittleEndian.Uint64(got[8*i:])); got != 2*a[i] {
					t.Errorf("%s, width %d: element %d is %v, want %v", edge, width, i, got, 2*a[i])
				}
			}
		}
	}
}

// A receipt names what lay around the extent, and running again from that gives
// the same; from other elements around it, another receipt.
func TestReceiptsOfAStencilNameWhatLiesAround(t *testing.T) {
	l := newLAN(t, 2, Options{})
	a := wave(3 * holo.PageSize / 8)
	in, out := l.reals(a), l.reals(make([]float64, len(a)))
	job := l.do(l.stencil(in, out, wire.EdgeWrap, weightsOf(5)))
	file, _ := std.Named(std.Stencil)
	m, err := module.Admit(file.Wasm)
	if err != nil {
		t.Fatal(err)
	}
	pool := workers.New(workers.Options{Max: 1})
	defer pool.Close()
	for _, r := range l.receipts(job.ID) {
		around, err := ReadAround(r.Task, holo.F64, func(first uint64, b []byte) error {
			copy(b, bytesOf(a[first:first+uint64(len(b))/8]))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := Replay(t.Context(), pool, m, r.Task, l.inputs(r.Task), []Around{around})
		if err != nil || !same(&again, r.Said) || !slices.Equal(again.Halos, r.Said.Halos) {
			t.Errorf("task %d: %+v, run again %+v: %v", r.Task.Task, r.Said, again, err)
		}
		around.After[7] ^= 0x80
		other, _, err := Replay(t.Context(), pool, m, r.Task, l.inputs(r.Task), []Around{around})
		if err != nil || other.Halos[0] == again.Halos[0] || other.Inputs[0] != again.Inputs[0] || other.Output == again.Output {
			t.Errorf("task %d with another element around: %+v, %v", r.Task.Task, other, err)
		}
		if _, _, err := Replay(t.Context(), pool, m, r.Task, l.inputs(r.Task), nil); holo.KindOf(err) != holo.Invalid {
			t.Errorf("without what lies around: %v", err)
		}
	}
}

// A receipt without, or with other, elements around is not taken.
func TestReceiptThatHidesItsHaloIsNotTaken(t *testing.T) {
	for name, lie := range map[string]func(*wire.Receipt){
		"none": func(r *wire.Receipt) { r.Halos = nil }, "others": func(r *wire.Receipt) { r.Halos[0][0] ^= 1 },
	} {
		l := newLAN(t, 2, Options{})
		var mu sync.Mutex
		lies, sent := 0, map[holo.TaskID]*wire.RunTask{}
		l.onRun = func(_ int, r *wire.RunTask) {
			mu.Lock()
			defer mu.Unlock()
			sent[r.Task] = r
		}
		l.onAnswer = func(node int, r *wire.TaskResult) {
			mu.Lock()
			defer mu.Unlock()
			if r.Attempt > 1 {
				return
			}
			lies++
			if lie(&r.Receipt); name == "none" { // and the node signs that
				l.peers[node].SignReceipt(sent[r.Task], &r.Receipt)
			}
		}
		a := wave(4 * holo.PageSize / 8)
		if j := l.do(l.stencil(l.reals(a), l.reals(make([]float64, len(a))), wire.EdgeZero, weightsOf(3))); lies == 0 || int(j.Progress.Retried) != lies {
			t.Errorf("%s: %d lies, %d tasks tried again", name, lies, j.Progress.Retried)
		}
	}
}

// A stage that sees around what another one writes waits for all of it; one
// that does not, extent by extent.
func TestAHaloWaitsForTheWholeMap(t *testing.T) {
	l := newLAN(t, 3, Options{})
	a := wave(6*holo.PageSize/8 + 9)
	blank := func() holo.ArrayID { return l.reals(make([]float64, len(a))) }
	in, middle, out := l.reals(a), blank(), blank()
	first := Spec{Module: l.module("basic"), Kernel: "basic", Kind: wire.TaskMap, Function: "scale", Inputs: []holo.ArrayID{in}, Output: middle, Params: binary.LittleEndian.AppendUint64(nil, math.Float64bits(-3))}
	w := weightsOf(7)
	first.Then = []Spec{l.stencil(middle, out, wire.EdgeClamp, w)}
	_, flow, err := first.graph()
	if err != nil || !slices.Equal(flow[1].All, []int{0}) || len(flow[1].Each) > 0 {
		t.Errorf("the stencil waits for all of %v and each of %v: %v", flow[1].All, flow[1].Each, err)
	}
	l.do(first)
	scaled := make([]float64, len(a))
	for i := range a {
		scaled[i] = -3 * a[i]
	}
	if !bytes.Equal(l.content(out), bytesOf(plainStencil(scaled, w, wire.EdgeClamp))) {
		t.Error("the stencil read what was not written yet")
	}
}

// What cannot have a halo is refused before it runs, in one line that says why.
func TestHalosThatCannotBeAreRefused(t *testing.T) {
	l := newLAN(t, 1, Options{})
	a := wave(9)
	in, out := l.reals(a), l.reals(make([]float64, len(a)))
	for says, spoil := range map[string]func(*Spec){
		"write another array":   func(s *Spec) { s.Output = s.Inputs[0] },
		"more than once":        func(s *Spec) { s.Halo = wire.Halo{Width: 10, Edge: wire.EdgeWrap} },
		"at most 32768":         func(s *Spec) { s.Halo.Width = wire.MaxHalo + 1 },
		"with an edge":          func(s *Spec) { s.Halo.Edge = 0 },
		"a map may have one of": func(s *Spec) { s.Kind, s.Output, s.AccBytes = wire.TaskReduce, 0, 8 },
	} {
		s := l.stencil(in, out, wire.EdgeClamp, weightsOf(3))
		spoil(&s)
		if _, err := l.peers[0].runner.Submit(t.Context(), s); holo.KindOf(err) != holo.Invalid || !strings.Contains(fmt.Sprint(err), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	s := l.stencil(in, out, wire.EdgeClamp, weightsOf(5))
	s.Halo.Width = 1
	id, err := l.peers[0].runner.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if j := l.finish(l.peers[0], id); j.State != Failed || !strings.Contains(j.Err.Error(), "status 2") {
		t.Errorf("5 weights for 3 neighbours: %v", j.Err)
	}
}

func TestStretchesCoverWhatIsAskedFor(t *testing.T) {
	for length := uint64(1); length < 7; length++ {
		all := make([]int, length)
		for i := range all {
			all[i] = i + 1
		}
		for edge := wire.EdgeClamp; edge <= wire.EdgeWrap; edge++ {
			for first := -int64(length); first <= int64(length); first++ {
				for count := uint64(0); first+int64(count) <= 2*int64(length); count++ {
					var got []int
					for _, s := range stretches(first, count, length, edge) {
						for i := range s.count {
							switch {
							case s.zero:
								got = append(got, 0)
							case s.same:
								got = append(got, all[s.first])
							default:
								got = append(got, all[s.first+i])
							}
						}
					}
					for i := range count {
						if want := beyond(all, int(first)+int(i), edge); int(i) >= len(got) || got[i] != want {
							t.Fatalf("%d elements from %d of %d, %s: %v", count, first, length, edge, got)
						}
					}
				}
			}
		}
	}
}
