package question

import (
	"encoding/json"
	"math"
	"math/big"
	"strconv"

	"github.com/holocompute/holocompute/internal/holo"
)

// Number is an integer of any size, or a float64, or none. The zero value is
// none: the least element of no elements.
type Number struct {
	integer  *big.Int // never changed
	float    float64
	fraction bool // a float64
}

// Int is a signed integer as a number.
func Int(v int64) Number { return Number{integer: big.NewInt(v)} }

// Uint is an unsigned integer as a number.
func Uint(v uint64) Number { return Number{integer: new(big.Int).SetUint64(v)} }

// Float is a float as a number.
func Float(v float64) Number { return Number{float: v, fraction: true} }

// None reports whether it is no number at all.
func (n Number) None() bool { return n.integer == nil && !n.fraction }

// Big is the integer, a copy, and nil where it is none.
func (n Number) Big() *big.Int {
	if n.integer == nil {
		return nil
	}
	return new(big.Int).Set(n.integer)
}

// Int64 is the integer, where it is one and fits.
func (n Number) Int64() (int64, bool) {
	if n.integer == nil || !n.integer.IsInt64() {
		return 0, false
	}
	return n.integer.Int64(), true
}

// Uint64 is the integer, where it is one and fits.
func (n Number) Uint64() (uint64, bool) {
	if n.integer == nil || !n.integer.IsUint64() {
		return 0, false
	}
	return n.integer.Uint64(), true
}

// Float64 is the float64 nearest to it, and NaN for none.
func (n Number) Float64() float64 {
	switch {
	case n.fraction:
		return n.float
	case n.integer == nil:
		return math.NaN()
	}
	f, _ := new(big.Float).SetInt(n.integer).Float64()
	return f
}

// String is the number in decimal: an integer in full, a float in the fewest
// digits that are read back as the same; "-" for none.
func (n Number) String() string {
	switch {
	case n.fraction:
		return strconv.FormatFloat(n.float, 'g', -1, 64)
	case n.integer == nil:
		return "-"
	}
	return n.integer.String()
}

// MarshalJSON writes a JSON number, in full; null for none; a string for what
// JSON has no number for: "NaN", "+Inf", "-Inf".
func (n Number) MarshalJSON() ([]byte, error) {
	switch {
	case n.None():
		return []byte("null"), nil
	case n.fraction && (math.IsNaN(n.float) || math.IsInf(n.float, 0)):
		return json.Marshal(n.String())
	case n.fraction:
		return json.Marshal(n.float)
	}
	return []byte(n.integer.String()), nil
}

// ParseNumber reads an element of a type from decimal text. A float is rounded to the
// nearest of its type; an integer must be one, and in range.
func ParseNumber(t holo.ElementType, text string) (Number, error) {
	bits := int(8 * t.Size())
	var n Number
	var err error
	switch {
	case t.Float():
		n.fraction = true
		n.float, err = strconv.ParseFloat(text, bits)
	case t.Signed():
		var v int64
		v, err = strconv.ParseInt(text, 10, bits)
		n = Int(v)
	default:
		var v uint64
		v, err = strconv.ParseUint(text, 10, bits)
		n = Uint(v)
	}
	if err != nil {
		return Number{}, holo.Errorf(holo.Invalid, "%q is not an element of type %s", text, t)
	}
	return n, nil
}

// wide is an element as kernels keep one in 8 bytes: an i64, a u64 or an f64.
// The number must be one of the type.
func (n Number) wide(t holo.ElementType) (uint64, error) {
	bits := int(8 * t.Size())
	switch {
	case t.Float() && n.fraction && (t == holo.F64 || float64(float32(n.float)) == n.float || n.float != n.float):
		return math.Float64bits(n.float), nil
	case t.Float() || n.integer == nil:
	case t.Signed() && n.integer.IsInt64() && n.integer.Int64()<<(64-bits)>>(64-bits) == n.integer.Int64():
		return uint64(n.integer.Int64()), nil
	case !t.Signed() && n.integer.IsUint64() && n.integer.Uint64()<<(64-bits)>>(64-bits) == n.integer.Uint64():
		return n.integer.Uint64(), nil
	}
	return 0, holo.Errorf(holo.Invalid, "%s is not an element of type %s", n, t)
}

// narrow is an element in its own width, in the first bytes of the word.
func narrow(t holo.ElementType, wide uint64) uint64 {
	if t == holo.F32 {
		return uint64(math.Float32bits(float32(math.Float64frombits(wide))))
	}
	return wide & (math.MaxUint64 >> (64 - 8*t.Size()))
}

// numberOf reads what wide made.
func numberOf(t holo.ElementType, wide uint64) Number {
	switch {
	case t.Float():
		return Float(math.Float64frombits(wide))
	case t.Signed():
		return Int(int64(wide))
	}
	return Uint(wide)
}
