package bench_test

import (
	"encoding/binary"
	"testing"
	"unsafe"

	"github.com/holocompute/holocompute/bench"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/sandbox"
	"github.com/holocompute/holocompute/kernels"
)

// pages is 4 MiB of pages, as many as an extent may have, each a buffer of its
// own as a node holds them.
func pages(of func(i int) uint64, width int) [][]byte {
	ps := make([][]byte, holo.MaxExtentPages)
	per := holo.PageSize / width
	for p := range ps {
		ps[p] = make([]byte, holo.PageSize)
		for i := range per {
			var e [8]byte
			binary.LittleEndian.PutUint64(e[:], of(p*per+i))
			copy(ps[p][i*width:], e[:width])
		}
	}
	return ps
}

const extentBytes = holo.MaxExtentPages * holo.PageSize

// elements views a page as numbers. Pages are made by make and so aligned; the
// machines that this runs on are little endian.
func elements[T any](page []byte) []T {
	var one T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(page))), len(page)/int(unsafe.Sizeof(one)))
}

// instance readies a sample kernel.
func instance(b *testing.B, name string) func(kind module.Kind, c sandbox.Call) {
	b.Helper()
	engine, err := sandbox.New(b.Context(), sandbox.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = engine.Close(b.Context()) })
	m, err := module.Admit(kernels.Get(name))
	if err != nil {
		b.Fatal(err)
	}
	program, err := engine.Load(b.Context(), m)
	if err != nil {
		b.Fatal(err)
	}
	inst, err := program.NewInstance(b.Context(), sandbox.MaxGas, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(inst.Close)
	return func(kind module.Kind, c sandbox.Call) {
		if _, err := inst.Run(b.Context(), kind, c); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReduce adds up an extent of i64, with extremes: the kernel against
// the same loop in Go over the same pages. The kernel's side copies each page
// into linear memory, which is what a node does.
func BenchmarkReduce(b *testing.B) {
	ps := pages(func(i int) uint64 { return uint64(i * 7919) }, 8)
	run := instance(b, "basic")
	acc := make([]byte, 120)
	var sum, low, high int64
	bench.Compare(b, 8, extentBytes, func(n int) {
		for range n {
			for _, p := range ps {
				for _, x := range elements[int64](p) {
					sum, low, high = sum+x, min(low, x), max(high, x)
				}
			}
		}
	}, func(n int) {
		for range n {
			clear(acc)
			for i, p := range ps {
				run(module.Reduce, sandbox.Call{
					Function: "stats", First: uint64(i) * 8192, N: 8192, Acc: acc, Inputs: []sandbox.View{{Type: holo.I64, Bytes: p}},
				})
			}
		}
	})
	if int64(binary.LittleEndian.Uint64(acc[24:])) != low || int64(binary.LittleEndian.Uint64(acc[32:])) != high {
		b.Fatal("kernel and Go differ")
	}
}

// BenchmarkByHour is the kernel of the demo over an extent of two columns.
func BenchmarkByHour(b *testing.B) {
	delays := pages(func(i int) uint64 { return uint64(i%97 - 20) }, 2)
	hours := pages(func(i int) uint64 { return uint64(i % 1440 * 60 * 1_000_000) }, 8)
	run := instance(b, "flights")
	const per = 8192
	ticks := int64(1_000_000) // a parameter to both: no division by a constant
	params, acc := binary.LittleEndian.AppendUint64(nil, uint64(ticks)), make([]byte, 576)
	var want [24][3]int64
	bench.Compare(b, 2, len(hours)*per*10, func(n int) {
		for range n {
			want = [24][3]int64{}
			for i, p := range hours {
				delay := elements[int16](delays[i/4])[i%4*per:][:per]
				for k, t := range elements[int64](p) {
					at := &want[t/(ticks*3600)%24]
					at[0]++
					at[1] += int64(delay[k])
					if delay[k] > 15 {
						at[2]++
					}
				}
			}
		}
	}, func(n int) {
		for range n {
			clear(acc)
			for i, p := range hours {
				run(module.Reduce, sandbox.Call{
					Function: "by_hour", First: uint64(i) * per, N: per, Acc: acc, Params: params,
					Inputs: []sandbox.View{{Type: holo.I16, Bytes: delays[i/4][i%4*per*2:][:per*2]}, {Type: holo.I64, Bytes: p}},
				})
			}
		}
	})
	for h := range want {
		if elements[[3]int64](acc)[h] != want[h] {
			b.Fatalf("hour %d: kernel and Go differ", h)
		}
	}
}

// BenchmarkMap adds two extents of f64 into a third.
func BenchmarkMap(b *testing.B) {
	x := pages(func(i int) uint64 { return uint64(0x3ff0000000000000 + i) }, 8)
	y, goes, theirs := pages(func(i int) uint64 { return uint64(0x4000000000000000 + i) }, 8), pages(zero, 8), pages(zero, 8)
	run := instance(b, "basic")
	bench.Compare(b, 4, 3*extentBytes, func(n int) {
		for range n {
			for i := range x {
				out, p, q := elements[float64](goes[i]), elements[float64](x[i]), elements[float64](y[i])
				for k := range out {
					out[k] = p[k] + q[k]
				}
			}
		}
	}, func(n int) {
		for range n {
			for i := range x {
				run(module.Map, sandbox.Call{
					Function: "add", First: uint64(i) * 8192, N: 8192,
					Inputs:  []sandbox.View{{Type: holo.F64, Bytes: x[i]}, {Type: holo.F64, Bytes: y[i]}},
					Outputs: []sandbox.View{{Type: holo.F64, Bytes: theirs[i]}},
				})
			}
		}
	})
	for i := range goes {
		if string(goes[i]) != string(theirs[i]) {
			b.Fatalf("page %d: kernel and Go differ", i)
		}
	}
}

func zero(int) uint64 { return 0 }
