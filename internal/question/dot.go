package question

import (
	"math"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/kernels/std"
)

// Product is the sum of the products of two arrays' elements.
type Product struct {
	Count uint64 `json:"count"` // products that are numbers
	NaNs  uint64 `json:"nans"`  // those that are not, and are left out
	Sum   Number `json:"sum"`   // exact for integers, rounded once to an f64 for floats
	Root  Number `json:"-"`     // of an array with itself: the exact square root, rounded once
}

// Dot asks about two arrays of type t, or twice the same.
func Dot(t holo.ElementType) Question {
	return ask(std.Dot, "dot", nil, uint64(64+8*productDigits(t)))
}

// ReadDot reads the answer.
func (q *Question) ReadDot(t holo.ElementType, acc []byte) (Product, error) {
	a := newAnswer(q, acc)
	a.typed(t)
	p := Product{Count: a.word(), NaNs: a.word()}
	above, below := a.word(), a.word()
	for range 3 {
		a.zero()
	}
	sum := a.fixed(productDigits(t), 2*scaleOf(t))
	p.Sum = sum.number(t, above, below)
	p.Root = Float(sum.root())
	if f, is := infinite(above, below); is {
		p.Root = Float(math.Sqrt(f))
	}
	return p, a.err
}
