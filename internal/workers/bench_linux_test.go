package workers

import (
	"encoding/binary"
	"math"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/holocompute/holocompute/bench"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
)

// processorTime of another process, in nanoseconds: the system has a clock for
// each.
func processorTime(pid int) time.Duration {
	const ofAllThreads = 2
	var t unix.Timespec
	if unix.ClockGettime(int32(^pid<<3|ofAllThreads), &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// BenchmarkWorker runs a task over an extent of 4 MiB in a worker, against the
// same in this process: an instance for the task, and calls whose views are the
// pages themselves. Both processes count.
func BenchmarkWorker(b *testing.B) {
	for _, c := range []struct {
		name string
		n    uint64
		task func(testing.TB, [][]byte, [][]byte) *Task
	}{
		{"sum", 4 << 20 / 8, sumTask}, {"scale", 4 << 20 / 8, scaleTask}, {"empty", 1, sumTask},
	} {
		b.Run(c.name, func(b *testing.B) {
			in, out := f64s(c.n, func(i uint64) uint64 { return 0x3ff0000000000000 + i*7919 }), f64s(c.n, func(uint64) uint64 { return 0 })
			task := c.task(b, in, out)
			task.Count = c.n
			p := New(Options{})
			b.Cleanup(p.Close)
			program := engine(b, task.Module)
			run := func() {
				if _, err := p.Run(b.Context(), task); err != nil {
					b.Fatal(err)
				}
			}
			run()
			pid := p.mu.idle[0].os.Pid
			bench.CompareWith(b, 32, int(c.n*8), func() time.Duration { return processorTime(pid) }, func(n int) {
				for range n {
					direct(b, program, task, in, out)
				}
			}, func(n int) {
				for range n {
					run()
				}
			})
		})
	}
}

// direct is a task in this process as a node ran it before there were workers.
func direct(b *testing.B, program *sandbox.Program, t *Task, in, out [][]byte) {
	i, err := program.NewInstance(b.Context(), t.Gas, t.MemoryPages)
	if err != nil {
		b.Fatal(err)
	}
	defer i.Close()
	const run = holo.PageSize / 8
	for page := range in {
		n := min(run, t.Count-uint64(page)*run)
		c := sandbox.Call{Function: t.Function, First: uint64(page) * run, N: uint32(n), Params: t.Params, Acc: t.Acc}
		c.Inputs = []sandbox.View{{Type: t.Inputs[0].Type, Bytes: in[page][:n*8]}}
		for range t.Outputs {
			c.Outputs = []sandbox.View{{Type: t.Outputs[0].Type, Bytes: out[page][:n*8]}}
		}
		if _, err := i.Run(b.Context(), t.Kind, c); err != nil {
			b.Fatal(err)
		}
	}
}

// sumTask adds up the elements of pages.
func sumTask(t testing.TB, in, _ [][]byte) *Task {
	read, _ := paged(in)
	return &Task{
		Module: sample(t, "basic"), Kind: module.Reduce, Function: "stats", Gas: plenty, Count: uint64(len(in)) * holo.PageSize / 8, Run: 16 * holo.PageSize / 8,
		Acc: make([]byte, 120), Inputs: []Input{{Type: holo.I64, Read: read}},
	}
}

// scaleTask multiplies the elements of pages.
func scaleTask(t testing.TB, in, out [][]byte) *Task {
	read, _ := paged(in)
	_, write := paged(out)
	return &Task{
		Module: sample(t, "basic"), Kind: module.Map, Function: "scale", Gas: plenty, Count: uint64(len(in)) * holo.PageSize / 8, Run: 16 * holo.PageSize / 8,
		Params: binary.LittleEndian.AppendUint64(nil, 0xc004000000000000),
		Inputs: []Input{{Type: holo.F64, Read: read}}, Outputs: []Output{{Type: holo.F64, Write: write}},
	}
}

// BenchmarkTwoWorkers maps 1 GiB of f64, an extent of 4 MiB at a time, in two
// workers at once, against a loop in Go on one processor over the same pages. Its
// wall-ratio is what two processes gain; the processor time is that of all three.
// One multiplication for each element is about the lightest map there is: that
// shows what copying costs. A polynomial of degree 16 shows what computing gains.
func BenchmarkTwoWorkers(b *testing.B) {
	const n = 4 << 20 / 8
	var in, out [256][][]byte
	for e := range in {
		in[e] = f64s(n, func(i uint64) uint64 { return 0x3ff0000000000000 + i*7919 })
		out[e] = f64s(n, func(i uint64) uint64 { return i })
	}
	for _, m := range []struct {
		name string
		task func(testing.TB, [][]byte, [][]byte) *Task
		goes func(to, from []byte)
	}{
		{"scale", scaleTask, scaleGo}, {"polynomial", polynomialTask, polynomialGo},
	} {
		b.Run(m.name, func(b *testing.B) { mapByTwo(b, m.task(b, in[0], out[0]), in[:], out[:], m.goes) })
	}
}

func mapByTwo(b *testing.B, m *Task, in, out [][][]byte, goes func(to, from []byte)) {
	p := New(Options{Max: 2})
	b.Cleanup(p.Close)
	both := func(int) {
		var wait sync.WaitGroup
		for half := range 2 {
			wait.Go(func() {
				for e := half; e < len(in); e += 2 {
					task := *m
					read, _ := paged(in[e])
					_, write := paged(out[e])
					task.Inputs = []Input{{Type: holo.F64, Read: read}}
					task.Outputs = []Output{{Type: holo.F64, Write: write}}
					if _, err := p.Run(b.Context(), &task); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wait.Wait()
	}
	both(0)
	one, two := p.mu.idle[0].os.Pid, p.mu.idle[1].os.Pid
	others := func() time.Duration { return processorTime(one) + processorTime(two) }
	bench.CompareWith(b, 1, len(in)*len(in[0])*holo.PageSize, others, func(int) {
		for e := range in {
			for page := range in[e] {
				goes(out[e][page], in[e][page])
			}
		}
	}, both)
}

func scaleGo(to, from []byte) {
	for i := 0; i < len(from); i += 8 {
		v := math.Float64frombits(binary.LittleEndian.Uint64(from[i:]))
		binary.LittleEndian.PutUint64(to[i:], math.Float64bits(v*-2.5))
	}
}
