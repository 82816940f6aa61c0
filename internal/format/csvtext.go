package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/holocompute/holocompute/internal/holo"
)

// The one NaN that a text makes, WebAssembly's canonical one: a text does not
// say which NaN it means.
const (
	nan32 = 0x7fc00000
	nan64 = 0x7ff8000000000000
)

// appendElement appends the element of type t that a text stands for, little
// endian. A text that stands for none appends nothing, and why says so.
//
// An integer is a sign, which may be missing, and decimal digits; it fits or
// is refused. A float is what strconv reads, but for underscores and
// hexadecimal, and is rounded to the nearest; an integer among floats is taken
// only if the float gives it back.
func appendElement(dst, text []byte, t holo.ElementType) (out []byte, why string) {
	var bits uint64
	if t.Float() {
		bits, why = parseFloat(text, t)
	} else {
		bits, why = parseInteger(text, t)
	}
	if why != "" {
		return dst, why
	}
	return binary.LittleEndian.AppendUint64(dst, bits)[:len(dst)+int(t.Size())], ""
}

// notANumber says what to do about a text that is none.
func notANumber(text []byte) string {
	if _, ok := readFloat(bytes.TrimSpace(text), 64); ok {
		return "is not a number: take the spaces away"
	}
	if bytes.ContainsAny(text, ";|:\t") {
		return "is not a number: --delimiter says what is between fields"
	}
	return "is not a number: correct it, or leave it empty and give --empty"
}

func parseInteger(text []byte, t holo.ElementType) (bits uint64, why string) {
	if !isWhole(text) {
		if _, ok := readFloat(text, 64); ok {
			return 0, fmt.Sprintf("is not written as a whole number, which %s needs: --type f64 takes it", t)
		}
		return 0, notANumber(text)
	}
	width := int(8 * t.Size())
	if t.Signed() {
		v, err := strconv.ParseInt(string(text), 10, width)
		if err != nil {
			return 0, fmt.Sprintf("is out of range: %s goes from %d to %d", t, int64(-1)<<(width-1), uint64(1)<<(width-1)-1)
		}
		return uint64(v), ""
	}
	negative, digits := cutSign(text)
	v, err := strconv.ParseUint(string(digits), 10, width)
	if err != nil || negative && v != 0 {
		return 0, fmt.Sprintf("is out of range: %s goes from 0 to %d", t, uint64(math.MaxUint64)>>(64-width))
	}
	return v, ""
}

func parseFloat(text []byte, t holo.ElementType) (bits uint64, why string) {
	width := int(8 * t.Size())
	v, ok := readFloat(text, width)
	switch {
	case !ok:
		return 0, notANumber(text)
	case math.IsInf(v, 0) && bytes.ContainsAny(text, "0123456789"):
		return 0, fmt.Sprintf("is out of range: %s ends at %s", t, map[int]string{32: "3.4e38", 64: "1.8e308"}[width])
	case isWhole(text) && !givesBack(text, v, width):
		return 0, fmt.Sprintf("is an integer that no %s holds: write %s.0 to take the nearest", t, cut(text))
	case width == 32 && v != v:
		return nan32, ""
	case width == 32:
		return uint64(math.Float32bits(float32(v))), ""
	case v != v:
		return nan64, ""
	}
	return math.Float64bits(v), ""
}

// readFloat reads a float of 32 or 64 bits. One beyond the range is an
// infinity.
func readFloat(text []byte, width int) (v float64, ok bool) {
	if bytes.ContainsAny(text, "_xXpP") {
		return 0, false // Go's own syntax, nobody else's
	}
	v, err := strconv.ParseFloat(string(text), width)
	return v, err == nil || errors.Is(err, strconv.ErrRange)
}

func cutSign(text []byte) (negative bool, digits []byte) {
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		return text[0] == '-', text[1:]
	}
	return false, text
}

func isWhole(text []byte) bool {
	_, digits := cutSign(text)
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(digits) > 0
}

// exactDigits are the most decimal digits of which any integer is a float:
// 10^7 < 2^24, 10^15 < 2^53.
var exactDigits = map[int]int{32: 7, 64: 15}

// givesBack reports whether a float, written as an integer, gives the text it
// was read from: all its digits, or those that suffice to find it and zeros.
func givesBack(text []byte, v float64, width int) bool {
	_, digits := cutSign(text)
	if digits = bytes.TrimLeft(digits, "0"); len(digits) <= exactDigits[width] {
		return true
	}
	v = math.Abs(v)
	return string(digits) == strconv.FormatFloat(v, 'f', 0, width) || string(digits) == strconv.FormatFloat(v, 'f', -1, width)
}

// appendText writes the first element of b: integers as they are, floats as
// the shortest decimal that reads back to the same bits, else NaN, +Inf or
// -Inf.
func appendText(dst, b []byte, t holo.ElementType) []byte {
	switch t {
	case holo.F32:
		return strconv.AppendFloat(dst, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), 'g', -1, 32)
	case holo.F64:
		return strconv.AppendFloat(dst, math.Float64frombits(binary.LittleEndian.Uint64(b)), 'g', -1, 64)
	}
	v, huge := integerOf(b, t)
	if huge {
		return strconv.AppendUint(dst, uint64(v), 10)
	}
	return strconv.AppendInt(dst, v, 10)
}

// maxQuoted is how much of a field an error repeats.
const maxQuoted = 40

func cut(text []byte) string { return cutAt(maxQuoted, string(text)) }

// cutAt is the beginning of a text that may be long.
func cutAt(limit int, text string) string {
	if len(text) <= limit {
		return text
	}
	return text[:limit] + "..."
}
