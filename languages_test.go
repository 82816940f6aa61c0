package holocompute_test

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/kernels"
)

// columns are values and an index of them in the cluster, three extents each, and
// what kernels make of them.
type columns struct {
	c             *holocompute.Cluster
	in            *holocompute.Array[float64]
	order         *holocompute.Array[uint64]
	scaled, taken []float64
	total         float64
	modules       map[string]bool // all that were handed over, under one name
}

const (
	columnLength = 20_000
	columnFactor = -2.5
)

var columnOptions = holocompute.ArrayOptions{Extent: 8192, Affinity: "languages"}

func newColumns(t *testing.T) *columns {
	x := &columns{c: connect(t), modules: map[string]bool{}}
	values, index := make([]float64, columnLength), make([]uint64, columnLength)
	for i := range values {
		values[i] = float64(i % 1000)
		index[i] = uint64(i/16*7919%(columnLength/16)*16 + i%16) // in pieces of 16
		x.scaled = append(x.scaled, values[i]*columnFactor)
		x.total += values[i]
	}
	for _, at := range index {
		x.taken = append(x.taken, values[at])
	}
	x.in, x.order = sealed(t, x.c, "languages/values", values), sealed(t, x.c, "languages/index", index)
	return x
}

func sealed[T holocompute.Element](t *testing.T, c *holocompute.Cluster, name string, values []T) *holocompute.Array[T] {
	t.Helper()
	a, err := holocompute.Create[T](t.Context(), c, name, columnLength, columnOptions)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Write(t.Context(), 0, values); err != nil {
		t.Fatal(err)
	}
	if err := a.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

// push hands a module over that was not there, always under the same name.
func (x *columns) push(t *testing.T, wasm []byte) {
	t.Helper()
	k, err := x.c.PushKernel(t.Context(), "mine", wasm)
	if err != nil || x.modules[k.Module] {
		t.Fatalf("%+v, %v", k, err)
	}
	x.modules[k.Module] = true
}

// writes runs what submits a job that writes an array, and compares that.
func (x *columns) writes(t *testing.T, name string, want []float64, submit func(out *holocompute.Raw) (*holocompute.Job, error)) {
	t.Helper()
	out, err := holocompute.Create[float64](t.Context(), x.c, name, columnLength, columnOptions)
	if err != nil {
		t.Fatal(err)
	}
	job, err := submit(out.Raw())
	finished(t, job, err)
	got := make([]float64, columnLength)
	if err := out.Read(t.Context(), 0, got); err != nil || !slices.Equal(got, want) {
		t.Errorf("other elements in %s, %v", name, err)
	}
}

// finished waits for a job that was submitted.
func finished(t *testing.T, job *holocompute.Job, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	result, err := job.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// Kernels of every language are handed to a node that runs and goes on running: each
// takes the place of the one before under its name, and the next job has it.
func TestAKernelOfAnyLanguageRunsAsSoonAsItIsHandedOver(t *testing.T) {
	x := newColumns(t)
	for _, language := range []string{"c", "go", "rust", "assemblyscript", "wat"} {
		x.push(t, kernels.Built(language, kernels.Columns))
		call := holocompute.Call{Kernel: "mine", Function: "scale", Inputs: []*holocompute.Raw{x.in.Raw()}, Params: binary.LittleEndian.AppendUint64(nil, math.Float64bits(columnFactor))}
		x.writes(t, "languages/scaled-"+language, x.scaled, func(out *holocompute.Raw) (*holocompute.Job, error) { return x.c.Map(t.Context(), call, out) })
		job, err := x.c.Reduce(t.Context(), holocompute.Call{Kernel: "mine", Function: "sum", Inputs: call.Inputs}, 16)
		acc := finished(t, job, err)
		if len(acc) != 16 || binary.LittleEndian.Uint64(acc) != columnLength || math.Float64frombits(binary.LittleEndian.Uint64(acc[8:])) != x.total {
			t.Errorf("%s: the sum is %x", language, acc)
		}
		x.push(t, kernels.Built(language, kernels.Task))
		call = holocompute.Call{Kernel: "mine", Function: "take", Inputs: []*holocompute.Raw{x.order.Raw(), x.in.Raw()}}
		x.writes(t, "languages/taken-"+language, x.taken, func(out *holocompute.Raw) (*holocompute.Job, error) { return x.c.RunTasks(t.Context(), call, out) })
	}
}
