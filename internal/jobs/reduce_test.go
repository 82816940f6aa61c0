package jobs

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

const statsBytes = 120 // struct stats of kernels/src/basic.c

// floats are numbers whose sum depends on the order: magnitudes over 2^40.
func floats(n int) []float64 {
	rng := rand.New(rand.NewPCG(3, 3))
	v := make([]float64, n)
	for i := range v {
		v[i] = (rng.Float64() - 0.5) * math.Exp2(float64(rng.IntN(40)))
	}
	return v
}

func bytesOf(v any) []byte {
	b, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		panic(err)
	}
	return b
}

// lanesOf is the stats kernel's eight sums, computed in Go: over each extent in
// order, then pairs of neighbours, level by level.
func lanesOf(v []float64, extent int) [8]float64 {
	var level [][8]float64
	for first := 0; first < len(v); first += extent {
		var lanes [8]float64
		for i := first; i < min(first+extent, len(v)); i++ {
			lanes[i%8] += v[i]
		}
		level = append(level, lanes)
	}
	for len(level) > 1 {
		var up [][8]float64
		for i := 0; i < len(level); i += 2 {
			pair := level[i]
			if i+1 < len(level) {
				for k := range pair {
					pair[k] += level[i+1][k]
				}
			}
			up = append(up, pair)
		}
		level = up
	}
	return level[0]
}

func (l *lan) statsJob(content []byte, typ holo.ElementType, extent uint64) Spec {
	in := l.array(Array{Shape: holo.Shape{Type: typ, Extent: extent}, Affinity: "x"}, content)
	return Spec{
		Module: l.module("basic"), Kernel: "basic", Kind: wire.TaskReduce, Function: "stats",
		Inputs: []holo.ArrayID{in}, AccBytes: statsBytes,
	}
}

// A sum of floats is the same to the bit on any number of nodes, with and
// without trouble between them, and equals the one computed in Go.
func TestFloatSumsAreBitEqualOnAnyNumberOfNodes(t *testing.T) {
	v := floats(40*8192 + 1001)
	want := lanesOf(v, 8192)
	for nodes := 1; nodes <= 3; nodes++ {
		for _, chaos := range []int{0, 15} {
			l := newLAN(t, nodes, troubled)
			l.chaos = chaos
			j := l.do(l.statsJob(bytesOf(v), holo.F64, 8192))
			var got [8]float64
			if _, err := binary.Decode(j.Result[statsBytes-64:], binary.LittleEndian, &got); err != nil || got != want {
				t.Errorf("%d nodes, chaos %d%%: %v, want %v (%v)", nodes, chaos, got, want, err)
			}
			checkAccount(t, j, nodes, uint64(8*len(v)))
		}
	}
}

// checkAccount compares what a job over local extents says it did with what it
// must have done.
func checkAccount(t *testing.T, j Job, nodes int, size uint64) {
	t.Helper()
	p := j.Progress
	if p.Committed != p.Tasks || p.Running != 0 || p.BytesProcessed != size || len(p.Nodes) != nodes || p.Gas == 0 {
		t.Errorf("progress %+v, want all %d tasks and %d bytes on %d nodes", p, p.Tasks, size, nodes)
	}
	var committed, failed uint32
	var local, sent uint64
	for _, n := range p.Nodes {
		committed, failed, local = committed+n.Committed, failed+n.Failed, local+n.BytesLocal
		if n.Node != (holo.NodeID{31: 1}) { // others send their partial results to the coordinator
			sent += uint64(n.Committed) * j.Spec.AccBytes
		}
	}
	if committed != p.Committed || failed != p.Retried || local != size || sent != p.BytesMoved {
		t.Errorf("nodes add up to %d tasks, %d failed, %d bytes local and %d sent; the job says %+v", committed, failed, local, sent, p)
	}
}

// Two columns of other widths, a page never written and one that is a pattern,
// and an end in mid-page.
func TestReduceOverColumnsOfTwoTypes(t *testing.T) {
	const rows, extent = 3*32768 + 777, 32768
	delay, hour := make([]int16, rows), make([]float64, rows)
	for i := range rows {
		delay[i], hour[i] = int16(i%97-20), float64(i%2400)/100
	}
	l := newLAN(t, 2, Options{})
	shape := func(e holo.ElementType) Array {
		return Array{Shape: holo.Shape{Type: e, Extent: extent}, Affinity: "flights"}
	}
	d, h := l.array(shape(holo.I16), bytesOf(delay)), l.array(shape(holo.F64), bytesOf(hour))
	l.pages[holo.PageID{Array: d, Index: 1}] = Page{Kind: wire.PageZero}
	l.pages[holo.PageID{Array: h, Index: 2}] = Page{Kind: wire.PageFill, Data: bytesOf([]float64{3.5, 4.5})}
	want := make([]int64, 24*3)
	for i := range rows {
		if i/32768 == 1 {
			delay[i] = 0
		}
		if i/8192 == 2 {
			hour[i] = 3.5 + float64(i%2)
		}
		at := want[int(hour[i])%24*3:]
		at[0]++
		at[1] += int64(delay[i])
		if delay[i] > 15 {
			at[2]++
		}
	}
	j := l.do(Spec{
		Module: l.module("flights"), Kernel: "flights", Kind: wire.TaskReduce, Function: "by_hour",
		Inputs: []holo.ArrayID{d, h}, AccBytes: 576,
	})
	if !bytes.Equal(j.Result, bytesOf(want)) {
		t.Errorf("got  %x\nwant %x", j.Result, bytesOf(want))
	}
	checkAccount(t, j, 2, rows*10)
}

// A large accumulator is fed runs of several pages, which are gathered.
func TestReduceWithALargeAccumulator(t *testing.T) {
	const bins = wire.MaxAcc/8 - 2
	v := make([]uint32, 20*16384+5)
	want := make([]uint64, bins+2)
	for i := range v {
		v[i] = uint32(i * 7919 % bins)
		want[1+v[i]]++
	}
	l := newLAN(t, 2, Options{})
	in := l.array(Array{Shape: holo.Shape{Type: holo.U32, Extent: 17 * 16384}, Affinity: "x"}, bytesOf(v))
	j := l.do(Spec{
		Module: l.module("basic"), Kernel: "basic", Kind: wire.TaskReduce, Function: "histogram",
		Inputs: []holo.ArrayID{in}, AccBytes: wire.MaxAcc, Params: bytesOf([]float64{0, bins}),
	})
	if !bytes.Equal(j.Result, bytesOf(want)) {
		t.Error("the histogram differs from the one computed in Go")
	}
}

func TestReduceOverNoElementsIsTheFirstAccumulator(t *testing.T) {
	l := newLAN(t, 1, Options{})
	j := l.do(l.statsJob(nil, holo.F64, 8192))
	if j.State != Done || !bytes.Equal(j.Result, make([]byte, statsBytes)) || j.Progress.Tasks != 0 {
		t.Errorf("%+v", j)
	}
}

// The node dies when it has done one task and runs others: it is sent its third
// only after its first was answered. The sum does not change.
func TestNodeKilledInMidJobChangesNothing(t *testing.T) {
	v := floats(60 * 8192)
	for _, victim := range []int{1, 2} {
		l := newLAN(t, 3, Options{})
		var sent atomic.Int32
		l.onRun = func(node int, _ *wire.RunTask) {
			if node == victim && sent.Add(1) == 3 {
				l.kill(victim)
			}
		}
		j := l.do(l.statsJob(bytesOf(v), holo.F64, 8192))
		want := lanesOf(v, 8192)
		if !bytes.Equal(j.Result[statsBytes-64:], bytesOf(want)) {
			t.Errorf("node %d killed: other sums", victim)
		}
		if j.Progress.Retried == 0 || j.Progress.Committed != 60 {
			t.Errorf("node %d killed: progress %+v", victim, j.Progress)
		}
	}
}
