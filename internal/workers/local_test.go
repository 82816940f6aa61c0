package workers

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/kernels"
)

const plenty = holo.Gas(1e12)

// sample is an admitted sample kernel.
func sample(t testing.TB, name string) *module.Module {
	t.Helper()
	m, err := module.Admit(kernels.Get(name))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// engine compiles a module in this process.
func engine(t testing.TB, m *module.Module) *sandbox.Program {
	t.Helper()
	engine, err := sandbox.New(t.Context(), sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close(context.Background()) })
	program, err := engine.Load(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// inProcess runs tasks of a module in this process, the dumbest way: what
// workers are compared with.
func inProcess(t testing.TB, m *module.Module) func(context.Context, *Task) (sandbox.Result, error) {
	t.Helper()
	program := engine(t, m)
	return func(ctx context.Context, k *Task) (sandbox.Result, error) {
		i, err := program.NewInstance(ctx, k.Gas, k.MemoryPages)
		if err != nil {
			return sandbox.Result{}, err
		}
		defer i.Close()
		var last sandbox.Result
		for at := uint64(0); at == 0 || at < k.Count; at += max(k.Run, 1) {
			n := min(k.Run, k.Count-at)
			c := sandbox.Call{Function: k.Function, First: k.First + at, N: uint32(n), Params: k.Params, Acc: k.Acc}
			for _, in := range k.Inputs {
				b := make([]byte, k.bytes(in.Type, n)+uint64(in.Bytes))
				in.Read(b, k.bytes(in.Type, at))
				c.Inputs = append(c.Inputs, sandbox.View{Type: in.Type, Bytes: b})
			}
			for _, out := range k.Outputs {
				c.Outputs = append(c.Outputs, sandbox.View{Type: out.Type, Bytes: make([]byte, k.bytes(out.Type, n))})
			}
			last, err = i.Run(ctx, k.Kind, c)
			if err != nil {
				break
			}
			for n, out := range k.Outputs {
				out.Write(c.Outputs[n].Bytes, k.bytes(out.Type, at))
			}
		}
		return sandbox.Result{Gas: i.Used(), PeakPages: last.PeakPages}, err
	}
}

// f64s is pages of that many elements, each a buffer of its own.
func f64s(n uint64, of func(i uint64) uint64) [][]byte {
	pages := make([][]byte, (n*8+holo.PageSize-1)/holo.PageSize)
	for i := range pages {
		pages[i] = make([]byte, holo.PageSize)
	}
	for i := range n {
		binary.LittleEndian.PutUint64(pages[i*8/holo.PageSize][i*8%holo.PageSize:], of(i))
	}
	return pages
}

// paged reads out of pages, and written into them.
func paged(pages [][]byte) (read, write func(b []byte, from uint64)) {
	each := func(b []byte, from uint64, copyOne func(b, page []byte) int) {
		for len(b) > 0 {
			n := copyOne(b, pages[from/holo.PageSize][from%holo.PageSize:])
			b, from = b[n:], from+uint64(n)
		}
	}
	return func(b []byte, from uint64) { each(b, from, func(b, page []byte) int { return copy(b, page) }) },
		func(b []byte, from uint64) { each(b, from, func(b, page []byte) int { return copy(page, b) }) }
}
