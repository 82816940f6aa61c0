package sandbox

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// A NaN is found wherever it is in a view, of any length, and nothing beside it or beyond the
// view is touched: the same as looking at one element after the other.
func TestNaNIsFoundWhereverItIs(t *testing.T) {
	for _, size := range []int{64, 192, nanBytes - 64, nanBytes, nanBytes + 72} {
		for at := 0; at < size; at += 8 {
			for _, bits := range []uint64{0xfff0000000000001, 0x7ff4000000000000, 0x7ff0000000000000, 0x00000000ff800001, 0x7fa0000100000000, 0x7f800000ff800000} {
				all := bytes.Repeat([]byte{0xff, 0xff, 0x7f, 0x7f}, size/4+4) // the greatest number of 32 bits
				binary.LittleEndian.PutUint64(all[8+at:], bits)
				for elem, plain := range map[holo.ElementType]func([]byte){holo.F32: canonical32, holo.F64: canonical64} {
					have, want := bytes.Clone(all), bytes.Clone(all)
					binary.LittleEndian.PutUint64(have, 1<<64-1) // NaNs, before and behind
					binary.LittleEndian.PutUint64(have[8+size:], 1<<64-1)
					copy(want, have)
					plain(want[8:][:size])
					if canonicalise(View{elem, have[8:][:size]}); !bytes.Equal(have, want) {
						t.Fatalf("%v, %#x at %d of %d bytes: %x", elem, bits, at, size, have[8+at:][:8])
					}
				}
			}
		}
	}
}
