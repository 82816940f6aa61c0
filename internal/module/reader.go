package module

import (
	"unicode/utf8"
)

// reader takes a part of a module apart. Its first error sticks: after it
// every read gives zero, so that a caller may read on and look once. It never
// reads outside its part.
type reader struct {
	b   []byte // the whole module: positions in it are what messages name
	at  int
	end int
	err error
}

// fail records the first error, at the position reached.
func (r *reader) fail(reason, format string, args ...any) {
	if r.err == nil {
		r.err = refuse(r.at, reason, format, args...)
	}
}

// more reports whether there is something left and no error.
func (r *reader) more() bool { return r.err == nil && r.at < r.end }

// byte reads one byte.
func (r *reader) byte() byte {
	if r.err != nil {
		return 0
	}
	if r.at >= r.end {
		r.fail(Malformed, "ends too early")
		return 0
	}
	r.at++
	return r.b[r.at-1]
}

// take reads n bytes, without copying.
func (r *reader) take(n uint32) []byte {
	if r.err == nil && uint64(n) > uint64(r.end-r.at) {
		r.fail(Malformed, "ends too early: %d bytes wanted, %d left", n, r.end-r.at)
	}
	if r.err != nil {
		return nil
	}
	r.at += int(n)
	return r.b[r.at-int(n) : r.at]
}

// part is a reader of the next n bytes, which this one skips.
func (r *reader) part(n uint32) *reader {
	from := r.at
	r.take(n)
	if r.err != nil {
		return &reader{b: r.b, at: from, end: from, err: r.err}
	}
	return &reader{b: r.b, at: from, end: r.at}
}

// done reports a part that was not read to its end.
func (r *reader) done(what string) error {
	if r.err == nil && r.at != r.end {
		r.fail(Malformed, "%s has %d bytes too many", what, r.end-r.at)
	}
	return r.err
}

// u32 reads an unsigned LEB128 number of at most 32 bits.
func (r *reader) u32() uint32 {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if v > 1<<32-1 {
				r.fail(Malformed, "a number above 32 bits")
				return 0
			}
			return uint32(v)
		}
	}
	r.fail(Malformed, "a number of more than 5 bytes")
	return 0
}

// signed reads a signed LEB128 number of the given width: 32, 33 or 64 bits.
func (r *reader) signed(bits int) int64 {
	var v int64
	for shift := 0; shift < bits; shift += 7 {
		c := r.byte()
		v |= int64(c&0x7f) << shift
		if c >= 0x80 {
			continue
		}
		if left := bits - shift; left < 7 { // the unused bits repeat the sign
			if top := int8(c<<1) >> left; top != 0 && top != -1 {
				r.fail(Malformed, "a number above %d bits", bits)
				return 0
			}
		}
		if shift < 57 && c&0x40 != 0 {
			v |= -1 << (shift + 7)
		}
		return v
	}
	r.fail(Malformed, "a number of too many bytes")
	return 0
}

// count reads how many entries follow and refuses more than max.
func (r *reader) count(what string, max int) int {
	n := r.u32()
	if int64(n) > int64(max) {
		r.fail(TooLarge, "%d %s, at most %d", n, what, max)
		return 0
	}
	return int(n)
}

// name reads a name.
func (r *reader) name() string {
	n := r.count("bytes of a name", maxNameBytes)
	s := r.take(uint32(n))
	if !utf8.Valid(s) {
		r.fail(Malformed, "a name that is not UTF-8")
	}
	return string(s)
}

// index reads an index below n.
func (r *reader) index(what string, n int) uint32 {
	i := r.u32()
	if r.err == nil && int64(i) >= int64(n) {
		r.fail(Malformed, "%s %d does not exist (there are %d)", what, i, n)
		return 0
	}
	return i
}

// zero reads a byte that must be 0: a memory index, in version 2.0.
func (r *reader) zero(why string) {
	if r.byte() != 0 {
		r.fail(Unsupported, "%s", why)
	}
}
