package sandbox

import (
	"encoding/binary"

	"github.com/holocompute/holocompute/internal/holo"
)

// Descriptor of ABI holo/1: what a kernel's one argument points to. Little
// endian, 8-aligned, a header and then the input and output views. The same
// offsets are in kernels/holo.h; testdata/abi.golden is the record both are
// tested against (ruling 1).
const (
	offABI        = 0  // u32: 1
	offFlags      = 4  // u32: 0
	offFirst      = 8  // u64: global index of the first element
	offN          = 16 // u32: elements of this call
	offInputs     = 20 // u32: number of input views
	offOutputs    = 24 // u32: number of output views
	offParams     = 28 // u32: pointer
	offParamsLen  = 32 // u32: bytes
	offScratch    = 36 // u32: pointer
	offScratchLen = 40 // u32: bytes
	offAcc        = 44 // u32: pointer
	offAccLen     = 48 // u32: bytes
	offReserved   = 52 // u32: 0
	headerSize    = 56

	viewPtr    = 0  // u32: pointer to the first element of the call
	viewLen    = 4  // u32: bytes of the call's elements
	viewStride = 8  // u32: bytes from one element to the next
	viewType   = 12 // u8: holo.ElementType
	viewRank   = 13 // u8: 1
	viewHalo   = 14 // u16: elements before the pointer, and behind the call's, that are there too
	viewBase   = 16 // u64: global index of the call's first element
	viewSize   = 24

	abiVersion = 1
	arenaAlign = 64 // of every pointer in a descriptor, as Arrow asks for
)

// Layout is where the parts of a call lie in the arena, as offsets from its
// start. The scratch comes right after the largest header, so that it stays in
// its place while views change.
type Layout struct {
	Params, Acc uint32
	Views       []uint32 // inputs, then outputs
	Size        uint32
}

const (
	scratchAt = (headerSize + MaxViews*viewSize + arenaAlign - 1) / arenaAlign * arenaAlign
	partsAt   = scratchAt + ScratchBytes
)

// LayoutOf lays a call out: only the sizes of its parts count. It needs a checked
// call: its sum is below 2^32 (16 MiB of views, 1 MiB
// of accumulator).
func LayoutOf(c *Call) Layout {
	at := uint32(partsAt)
	place := func(n int) uint32 {
		p := at
		at += uint32(n+arenaAlign-1) / arenaAlign * arenaAlign
		return p
	}
	l := Layout{Params: place(len(c.Params)), Acc: place(len(c.Acc))}
	for _, v := range c.Inputs { // the call's elements begin aligned, after their halo
		pad := (arenaAlign - c.before(v)%arenaAlign) % arenaAlign
		l.Views = append(l.Views, place(pad+len(v.Bytes))+uint32(pad+c.before(v)))
	}
	for _, v := range c.Outputs {
		l.Views = append(l.Views, place(len(v.Bytes)))
	}
	l.Size = at
	return l
}

// describe writes the descriptor of a call whose arena is at base.
func (l Layout) describe(c *Call, base uint32) []byte {
	b := make([]byte, headerSize+len(l.Views)*viewSize)
	u32 := func(off int, v uint32) { binary.LittleEndian.PutUint32(b[off:], v) }
	u32(offABI, abiVersion)
	binary.LittleEndian.PutUint64(b[offFirst:], c.First)
	u32(offN, c.N)
	u32(offInputs, uint32(len(c.Inputs)))
	u32(offOutputs, uint32(len(c.Outputs)))
	u32(offParams, base+l.Params)
	u32(offParamsLen, uint32(len(c.Params)))
	u32(offScratch, base+scratchAt)
	u32(offScratchLen, ScratchBytes)
	u32(offAcc, base+l.Acc)
	u32(offAccLen, uint32(len(c.Acc)))
	for i := range l.Views {
		v := c.view(i)
		at := headerSize + i*viewSize
		u32(at+viewPtr, base+l.Views[i])
		u32(at+viewLen, uint32(len(v.Bytes)))
		u32(at+viewStride, uint32(v.Type.Size()))
		b[at+viewType], b[at+viewRank] = byte(v.Type), 1
		if i < len(c.Inputs) {
			u32(at+viewLen, uint32(len(v.Bytes)-2*c.before(v)))
			binary.LittleEndian.PutUint16(b[at+viewHalo:], uint16(c.Halo))
		}
		binary.LittleEndian.PutUint64(b[at+viewBase:], c.First)
	}
	return b
}

// before is the size of what lies before the call's elements in an input.
func (c *Call) before(v View) int { return int(uint64(c.Halo) * v.Type.Size()) }

// view is the i-th view of the descriptor: inputs, then outputs.
func (c *Call) view(i int) View {
	if i < len(c.Inputs) {
		return c.Inputs[i]
	}
	return c.Outputs[i-len(c.Inputs)]
}

// canonical NaNs: what IEEE 754 calls the quiet NaN without payload, positive.
const (
	nan32 = 0x7fc00000
	nan64 = 0x7ff8000000000000
)

// Canonicalise gives every NaN of the view the bits that those of outputs have.
func (v View) Canonicalise() { canonicalise(v) }

// nanBytes is how much of a view is looked through at a time.
const nanBytes = 4 << 10

// canonicalise gives every NaN of a float view the same bits. Processors
// differ in the sign and payload of the NaNs they make; results must not. Most
// views have none: a piece is changed only where there is one.
func canonicalise(v View) {
	switch v.Type {
	case holo.F32:
		eachPiece(v.Bytes, anyNaN32, canonical32)
	case holo.F64:
		eachPiece(v.Bytes, anyNaN64, canonical64)
	}
}

func eachPiece(b []byte, some func(*byte, int) bool, change func([]byte)) {
	for len(b) >= 64 {
		n := min(len(b), nanBytes) / 64 * 64
		if some(&b[0], n/64) {
			change(b[:n])
		}
		b = b[n:]
	}
	change(b)
}

func canonical32(b []byte) {
	for ; len(b) >= 4; b = b[4:] {
		if x := binary.LittleEndian.Uint32(b); x&^(1<<31) > 0x7f800000 {
			binary.LittleEndian.PutUint32(b, nan32)
		}
	}
}

func canonical64(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		if x := binary.LittleEndian.Uint64(b); x&^(1<<63) > 0x7ff0000000000000 {
			binary.LittleEndian.PutUint64(b, nan64)
		}
	}
}
