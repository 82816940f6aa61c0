package question

import (
	"math"
	"math/big"

	"github.com/holocompute/holocompute/internal/holo"
)

// The sizes of kernels/src/std/exact.h: 32-bit digits of a sum and of a sum of
// products, and the bits behind the point of a sum. A product has twice as many.
func sumDigits(t holo.ElementType) int {
	switch t {
	case holo.F64:
		return 68
	case holo.F32:
		return 11
	}
	return 4
}

func productDigits(t holo.ElementType) int {
	switch t {
	case holo.F64:
		return 134
	case holo.F32:
		return 20
	}
	return 6
}

func scaleOf(t holo.ElementType) uint {
	switch t {
	case holo.F64:
		return 1074
	case holo.F32:
		return 149
	}
	return 0
}

// fixed is an exact number: mantissa / 2^scale.
type fixed struct {
	mantissa *big.Int
	scale    uint
}

// fixed reads digits. All but the last are below 2^32; the last has the sign.
func (a *answer) fixed(digits int, scale uint) fixed {
	m := new(big.Int)
	for i, w := range a.words(digits) {
		d := new(big.Int).SetUint64(w)
		if i == digits-1 {
			d.SetInt64(int64(w))
		} else if w > math.MaxUint32 {
			a.bad("digit %d of a sum is %#x", i, w)
		}
		m.Add(m, d.Lsh(d, uint(32*i)))
	}
	return fixed{m, scale}
}

// over is the number divided by d, which is not zero.
func (f fixed) over(d *big.Int) float64 {
	r, _ := new(big.Rat).SetFrac(f.mantissa, new(big.Int).Lsh(d, f.scale)).Float64()
	return r
}

var one = big.NewInt(1)

// root is the square root of what is not negative, rounded once. The root of the
// integer is taken with 64 bits or more; a last bit that says that there is a
// rest keeps it on the right side of every float.
func (f fixed) root() float64 {
	if f.mantissa.Sign() <= 0 {
		return 0
	}
	shift := uint(max(0, 130-f.mantissa.BitLen()))
	shift += (shift + f.scale) & 1 // so that half of the scale is whole
	m := new(big.Int).Lsh(f.mantissa, shift)
	root := new(big.Int).Sqrt(m)
	rest := new(big.Int).Mul(root, root)
	root.Lsh(root, 1)
	if rest.Cmp(m) != 0 {
		root.Or(root, one)
	}
	x := new(big.Float).SetInt(root)
	r, _ := x.SetMantExp(x, -int(f.scale+shift)/2-1).Float64()
	return r
}

// infinite tells what a sum with infinite terms is.
func infinite(above, below uint64) (sum float64, is bool) {
	switch {
	case above > 0 && below > 0:
		return math.NaN(), true
	case above > 0:
		return math.Inf(1), true
	case below > 0:
		return math.Inf(-1), true
	}
	return 0, false
}

// number is the sum of elements of a type: an integer in full, a float rounded.
func (f fixed) number(t holo.ElementType, above, below uint64) Number {
	if sum, is := infinite(above, below); is {
		return Float(sum)
	}
	if t.Float() {
		return Float(f.over(one))
	}
	return Number{integer: f.mantissa}
}
