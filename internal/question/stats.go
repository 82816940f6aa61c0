package question

import (
	"math"
	"math/big"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/kernels/std"
)

// Stats is what can be said of all elements of an array. NaNs are counted and
// are in nothing else; infinities are numbers.
type Stats struct {
	Count uint64 `json:"count"` // elements that are numbers
	NaNs  uint64 `json:"nans"`
	Min   Number `json:"min"` // none where Count is 0; -0 is less than +0
	Max   Number `json:"max"`
	Sum   Number `json:"sum"`  // exact for integers, rounded once to an f64 for floats; 0 for no elements
	Mean  Number `json:"mean"` // the exact one, rounded once; none where Count is 0, as the variances

	// The mean square distance from the mean, by the number of elements and by
	// one less: the exact one, rounded once. NaN where an element is infinite.
	Variance       Number `json:"variance"`
	SampleVariance Number `json:"sample_variance"` // none where Count is below 2
}

// Sum asks for everything but the variances.
func Sum(t holo.ElementType) Question {
	return ask(std.Stats, "sum", nil, uint64(64+8*sumDigits(t)))
}

// WholeStats asks for everything.
func WholeStats(t holo.ElementType) Question {
	return ask(std.Stats, "stats", nil, uint64(64+8*(sumDigits(t)+productDigits(t))))
}

// ReadStats reads the answer of either about elements of type t.
func (q *Question) ReadStats(t holo.ElementType, acc []byte) (Stats, error) {
	a := newAnswer(q, acc)
	a.typed(t)
	s := Stats{Count: a.word(), NaNs: a.word()}
	above, below, least, greatest := a.word(), a.word(), a.word(), a.word()
	a.zero()
	sum := a.fixed(sumDigits(t), scaleOf(t))
	s.Sum = sum.number(t, above, below)
	if s.Count > 0 {
		s.Min, s.Max = numberOf(t, least), numberOf(t, greatest)
		s.Mean = s.Sum // where it is infinite
		if above+below == 0 {
			s.Mean = Float(sum.over(new(big.Int).SetUint64(s.Count)))
		}
	}
	if q.Function == "stats" && s.Count > 0 {
		s.vary(sum, a.fixed(productDigits(t), 2*scaleOf(t)), above+below > 0)
	}
	return s, a.err
}

// vary takes the variances from exact sums: (n*squares - sum^2) / (n * n), and
// by n * (n - 1).
func (s *Stats) vary(sum, squares fixed, infinite bool) {
	n := new(big.Int).SetUint64(s.Count)
	m := new(big.Int).Mul(n, squares.mantissa)
	m.Sub(m, new(big.Int).Mul(sum.mantissa, sum.mantissa))
	spread := func(by *big.Int) Number {
		if infinite {
			return Float(math.NaN())
		}
		return Float(fixed{m, squares.scale}.over(by.Mul(by, n)))
	}
	s.Variance = spread(new(big.Int).Set(n))
	if s.Count > 1 {
		s.SampleVariance = spread(new(big.Int).Sub(n, one))
	}
}
