package holo

import "math"

// Fold is a way to combine an element with an operand in one step.
type Fold uint8

// The folds. The names in the API are those of String.
const (
	FoldAdd Fold = iota + 1 // integers wrap around; floats add as IEEE 754 says
	FoldMin                 // of floats, NaN if either is
	FoldMax                 // of floats, NaN if either is
	folds
)

// MaxAtom is the most bytes that an atomic operation works on: the widest
// element.
const MaxAtom = 8

// String is the fold's name.
func (f Fold) String() string {
	switch f {
	case FoldAdd:
		return "add"
	case FoldMin:
		return "min"
	case FoldMax:
		return "max"
	}
	return "invalid"
}

// Valid reports whether f is one of the folds above.
func (f Fold) Valid() bool { return f > 0 && f < folds }

// ParseFold reads "add", "min" or "max".
func ParseFold(s string) (Fold, bool) {
	for f := FoldAdd; f < folds; f++ {
		if f.String() == s {
			return f, true
		}
	}
	return 0, false
}

// Of combines two elements of a type, each in the low bits of its word as in
// memory, and gives the result likewise.
func (f Fold) Of(t ElementType, a, b uint64) uint64 {
	switch t {
	case F64:
		return math.Float64bits(f.float(math.Float64frombits(a), math.Float64frombits(b)))
	case F32:
		x, y := math.Float32frombits(uint32(a)), math.Float32frombits(uint32(b))
		if f == FoldAdd {
			return uint64(math.Float32bits(x + y))
		}
		return uint64(math.Float32bits(float32(f.float(float64(x), float64(y)))))
	}
	bits := 8 * t.Size()
	mask := ^uint64(0) >> (64 - bits)
	if f == FoldAdd {
		return (a + b) & mask
	}
	less := a&mask < b&mask
	if t.Signed() {
		less = int64(a<<(64-bits)) < int64(b<<(64-bits))
	}
	if less == (f == FoldMin) {
		return a & mask
	}
	return b & mask
}

func (f Fold) float(a, b float64) float64 {
	switch f {
	case FoldMin:
		return math.Min(a, b)
	case FoldMax:
		return math.Max(a, b)
	}
	return a + b
}
