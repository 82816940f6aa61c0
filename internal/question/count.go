package question

import (
	"encoding/binary"
	"math/big"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/kernels/std"
)

// Comparison is a relation of elements to a constant.
type Comparison uint32

// The comparisons. NaN is not equal to anything, and neither less nor more.
const (
	Equal Comparison = iota + 1
	NotEqual
	Less
	AtMost
	Greater
	AtLeast
)

var comparisons = [...]string{Equal: "eq", NotEqual: "ne", Less: "lt", AtMost: "le", Greater: "gt", AtLeast: "ge"}

// String is "eq", "ne", "lt", "le", "gt" or "ge".
func (c Comparison) String() string {
	if c < Equal || c > AtLeast {
		return "invalid"
	}
	return comparisons[c]
}

// Count asks how many elements compare so with a value of their type.
func Count(t holo.ElementType, c Comparison, value Number) (Question, error) {
	if c < Equal || c > AtLeast {
		return Question{}, holo.Errorf(holo.Invalid, "count: comparison %d is none", c)
	}
	wide, err := value.wide(t)
	if err != nil {
		return Question{}, err
	}
	params := binary.LittleEndian.AppendUint64(nil, uint64(c))
	return ask(std.Count, "count", binary.LittleEndian.AppendUint64(params, wide), 16), nil
}

// ReadCount reads how many do, and how many elements are NaN.
func (q *Question) ReadCount(acc []byte) (count, nans uint64, err error) {
	a := newAnswer(q, acc)
	return a.word(), a.word(), a.err
}

// MaxBins bounds a histogram: its edges are parameters, of at most 64 KiB.
const MaxBins = 4096

// Histogram counts elements between edges. Bin i holds those that are at least
// Edges[i] and less than Edges[i+1]; the last one holds its upper edge too.
type Histogram struct {
	Edges []Number `json:"edges"`
	Bins  []uint64 `json:"bins"` // one less than edges
	Below uint64   `json:"below"`
	Above uint64   `json:"above"`
	NaNs  uint64   `json:"nans"`
}

// Bins asks for a histogram of bins of equal width from low to high, elements
// of type t. The edges are low + i*(high-low)/bins, exactly, of floats rounded
// to the type, of integers the next one above.
func Bins(t holo.ElementType, low, high Number, bins int) (Question, []Number, error) {
	if bins < 1 || bins > MaxBins {
		return Question{}, nil, holo.Errorf(holo.Invalid, "histogram: %d bins, want 1 to %d", bins, MaxBins)
	}
	if _, err := low.wide(t); err != nil {
		return Question{}, nil, err
	}
	if _, err := high.wide(t); err != nil {
		return Question{}, nil, err
	}
	from, to := low.rat(), high.rat()
	if from == nil || to == nil || from.Cmp(to) > 0 {
		return Question{}, nil, holo.Errorf(holo.Invalid, "histogram: from %s to %s is no range", low, high)
	}
	step := new(big.Rat).Sub(to, from)
	step.Quo(step, big.NewRat(int64(bins), 1))
	edges, params := make([]Number, bins+1), []byte(nil)
	for i := range edges {
		at := new(big.Rat).Mul(step, big.NewRat(int64(i), 1))
		edges[i] = edgeOf(t, at.Add(at, from))
		wide, err := edges[i].wide(t)
		if err != nil {
			return Question{}, nil, err
		}
		params = append(params, binary.LittleEndian.AppendUint64(nil, narrow(t, wide))[:t.Size()]...)
	}
	return ask(std.Count, "histogram", params, uint64(32+8*bins)), edges, nil
}

// rat is the number exactly, nil where it is not finite.
func (n Number) rat() *big.Rat {
	switch {
	case n.fraction:
		return new(big.Rat).SetFloat64(n.float)
	case n.integer != nil:
		return new(big.Rat).SetInt(n.integer)
	}
	return nil
}

// edgeOf is the element of the type at which a bin begins that begins at r.
func edgeOf(t holo.ElementType, r *big.Rat) Number {
	switch t {
	case holo.F32:
		f, _ := r.Float32()
		return Float(float64(f))
	case holo.F64:
		f, _ := r.Float64()
		return Float(f)
	}
	floor, rest := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int)) // Euclid's: the rest is never negative
	if rest.Sign() > 0 {
		floor.Add(floor, one)
	}
	return Number{integer: floor}
}

// ReadHistogram reads the counters of the bins between edges.
func (q *Question) ReadHistogram(edges []Number, acc []byte) (Histogram, error) {
	a := newAnswer(q, acc)
	h := Histogram{Edges: edges, Below: a.word(), Above: a.word(), NaNs: a.word()}
	a.zero()
	h.Bins = a.words(len(edges) - 1)
	return h, a.err
}
