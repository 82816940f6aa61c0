// The flights by hour of actual departure once more, in Go: the same kernel as
// by_hour of flights.c, for TinyGo. Inputs: delay i16, time f32 (decimal hour).
package main

import "unsafe"

type view struct {
	ptr      unsafe.Pointer
	len      uint32
	stride   uint32
	typ      uint8
	rank     uint8
	halo     uint16
	elemBase uint64
}

type desc struct {
	abi, flags uint32
	first      uint64
	n, in, out uint32
	params     unsafe.Pointer
	paramsLen  uint32
	scratch    unsafe.Pointer
	scratchLen uint32
	acc        unsafe.Pointer
	accLen     uint32
	reserved   uint32
	views      [16]view // n of them
}

const (
	typeI16, typeF32 = 2, 9
	badViews, badAcc = 1, 3
	badData          = 4
)

type hour struct{ count, sumDelay, late int64 }

//go:wasmexport holo_abi
func abi() int32 { return 1 }

var kept [][]byte // the host's memory is never freed

//go:wasmexport holo_alloc
func alloc(size, align uint32) uint32 {
	b := make([]byte, uintptr(size+align))
	kept = append(kept, b)
	at := uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
	return (at + align - 1) / align * align
}

//go:wasmexport holo_red_by_hour
func reduce(at uint32) int32 {
	d := (*desc)(unsafe.Pointer(uintptr(at)))
	if d.in != 2 || d.views[0].typ != typeI16 || d.views[1].typ != typeF32 {
		return badViews
	}
	if d.accLen != 24*24 {
		return badAcc
	}
	delays := unsafe.Slice((*int16)(d.views[0].ptr), d.n)
	times := unsafe.Slice((*float32)(d.views[1].ptr), d.n)
	acc := (*[24]hour)(d.acc)
	for i, t := range times {
		if !(t >= 0 && t < 25) {
			return badData
		}
		h := &acc[int32(t)%24]
		h.count++
		h.sumDelay += int64(delays[i])
		if delays[i] > 15 {
			h.late++
		}
	}
	return 0
}

//go:wasmexport holo_comb_by_hour
func combine(at uint32) int32 {
	d := (*desc)(unsafe.Pointer(uintptr(at)))
	if d.accLen != 24*24 {
		return badAcc
	}
	acc, other := (*[72]int64)(d.acc), (*[72]int64)(d.views[0].ptr)
	for i := range acc {
		acc[i] += other[i]
	}
	return 0
}

func main() {}
