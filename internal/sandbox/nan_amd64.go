package sandbox

// anyNaN32 reports whether one of so many runs of 64 bytes, at least one, has a NaN of
// 32 bits. It reads nothing but those bytes.
//
//go:noescape
func anyNaN32(b *byte, runs int) bool

// anyNaN64 is the same for 64 bits.
//
//go:noescape
func anyNaN64(b *byte, runs int) bool
