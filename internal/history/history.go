// Package history tells whether what clients were told of one shared thing has
// an order that explains it: linearizability. It hides porcupine.
package history

import (
	"math"
	"time"

	"github.com/anishathalye/porcupine"
)

// Never is the end of an operation that was not answered: it may take effect at
// any time, or not at all.
const Never = math.MaxInt64

// Op is an operation on a thing whose state is S.
type Op[S any] interface {
	// Span is when it was called and when it was answered; Never for not.
	Span() (call, done int64)
	// Step is the state that it leaves, and whether what it was told fits the
	// state that it met.
	Step(S) (S, bool)
}

// Patience bounds the search for an order. A history that has one is searched in
// less than 0.2 s; one that has none could take for ever.
const Patience = 10 * time.Second

// Linearizable reports whether the operations have an order, within Patience.
func Linearizable[S comparable, O Op[S]](begin S, ops []O) bool {
	model := porcupine.Model{
		Init: func() any { return begin },
		Step: func(st, in, _ any) (bool, any) {
			next, ok := in.(O).Step(st.(S))
			return ok, next
		},
		Equal: func(a, b any) bool { return a == b },
	}
	list := make([]porcupine.Operation, len(ops))
	for i, o := range ops {
		call, done := o.Span()
		list[i] = porcupine.Operation{ClientId: i, Input: o, Call: call, Return: done}
	}
	return porcupine.CheckOperationsTimeout(model, list, Patience) == porcupine.Ok
}
