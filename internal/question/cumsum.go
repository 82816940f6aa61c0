package question

import (
	"encoding/binary"
	"math"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/kernels/std"
)

// MaxSummed bounds the extents of an array whose cumulative sum is taken: what
// comes before each is a parameter.
const MaxSummed = (64<<10 - 8) / 8

// Totals asks for the total of each extent of so many, the first pass of a
// cumulative sum.
func Totals(extent, extents uint64) (Question, error) {
	if extents > MaxSummed {
		return Question{}, holo.Errorf(holo.Invalid, "cumulative sum: the array has %d extents, at most %d: make it with larger ones", extents, MaxSummed)
	}
	return ask(std.CumSum, "totals", binary.LittleEndian.AppendUint64(nil, extent), 8*max(extents, 1)), nil
}

// CumSum asks for the second pass, with the totals that the first one answered.
// Integers wrap around; floats are added one after the other.
func (q *Question) CumSum(t holo.ElementType, totals []byte) (Question, error) {
	a := newAnswer(q, totals)
	params := append([]byte(nil), q.Params...)
	var integer uint64
	var real float64
	for range q.AccBytes / 8 {
		if word := a.word(); t.Float() {
			params = binary.LittleEndian.AppendUint64(params, math.Float64bits(real))
			real += math.Float64frombits(word)
		} else {
			params = binary.LittleEndian.AppendUint64(params, integer)
			integer += word
		}
	}
	return ask(std.CumSum, "cumsum", params, 0), a.err
}
