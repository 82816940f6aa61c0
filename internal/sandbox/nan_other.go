//go:build !amd64

package sandbox

import (
	"encoding/binary"
	"unsafe"
)

func anyNaN32(b *byte, runs int) bool {
	return anyAbove(b, runs, 0x7fffffff7fffffff, 0x007fffff007fffff)
}
func anyNaN64(b *byte, runs int) bool {
	return anyAbove(b, runs, 0x7fffffffffffffff, 0x000fffffffffffff)
}

// anyAbove reports whether an element is above infinity without its sign: then what
// is added carries into the place of the sign, and no further.
func anyAbove(b *byte, runs int, unsigned, add uint64) bool {
	var carries uint64
	for rest := unsafe.Slice(b, 64*runs); len(rest) > 0; rest = rest[64:] {
		run := (*[64]byte)(rest)
		at := func(i int) uint64 { return binary.LittleEndian.Uint64(run[i:i+8])&unsigned + add }
		carries |= at(0) | at(8) | at(16) | at(24) | at(32) | at(40) | at(48) | at(56)
	}
	return carries&^unsigned != 0
}
