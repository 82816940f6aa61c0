package question

import (
	"encoding/binary"
	"math"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/kernels/std"
)

// MaxWeights bounds a stencil: its weights are parameters.
const MaxWeights = 64<<10/8 - 1

// Stencil asks for the weighted sum of each element's neighbours, as many before
// it as after it. Weights are numbers as wide as sums are: float64 for floats,
// 64-bit integers for integers. It wants a halo of len(weights)/2 elements.
func Stencil(t holo.ElementType, weights []Number) (Question, error) {
	if len(weights)%2 == 0 || len(weights) > MaxWeights {
		return Question{}, holo.Errorf(holo.Invalid, "stencil: %d weights, want an odd number of at most %d: the one in the middle is the element's own", len(weights), MaxWeights)
	}
	var params []byte
	for i, w := range weights {
		bits, ok := weight(t, w)
		if !ok {
			return Question{}, holo.Errorf(holo.Invalid, "stencil: weight %d is %s, want a number that 64 bits hold, for %s an integer", i, w, t)
		}
		params = binary.LittleEndian.AppendUint64(params, bits)
	}
	return ask(std.Stencil, "stencil", params, 0), nil
}

func weight(t holo.ElementType, w Number) (bits uint64, ok bool) {
	if t.Float() {
		return math.Float64bits(w.Float64()), !w.None()
	}
	if v, ok := w.Int64(); ok {
		return uint64(v), true
	}
	return w.Uint64()
}
