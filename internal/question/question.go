// Package question says how the standard kernels are asked, and what their
// answers mean: which module and function answers a question about elements of
// a type, with which parameters and how large an accumulator, and how that is
// read.
//
// Its one idea is that sums lose nothing. The kernels add in fixed point (see
// kernels/src/std/exact.h), so an answer is the exact result rounded once, here,
// and is the same whatever the extents, the nodes and the order of work. Integers
// are not rounded at all. The package runs nothing and asks nobody; accumulators
// come from the network and are read strictly.
package question

import (
	"encoding/binary"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/kernels/std"
)

// Question is what a job has to be to answer something.
type Question struct {
	Kernel   string        // std/stats
	Module   holo.ModuleID // which alone gives answers that this package can read
	Function string        // without its prefix
	Params   []byte
	AccBytes uint64 // of a reduce; 0 for a map
}

func ask(kernel, function string, params []byte, accBytes uint64) Question {
	m, ok := std.Named(kernel)
	if !ok {
		panic("bug: there is no standard kernel " + kernel)
	}
	return Question{Kernel: kernel, Module: m.ID, Function: function, Params: params, AccBytes: accBytes}
}

// answer reads an accumulator word by word. What is wrong with it is kept until
// the end, as one error.
type answer struct {
	what string
	left []byte
	err  error
}

func newAnswer(q *Question, acc []byte) *answer {
	a := &answer{what: q.Kernel + " " + q.Function, left: acc}
	if uint64(len(acc)) != q.AccBytes {
		a.bad("it has %d bytes, want %d", len(acc), q.AccBytes)
		a.left = make([]byte, q.AccBytes)
	}
	return a
}

func (a *answer) bad(format string, args ...any) {
	if a.err == nil {
		a.err = holo.Errorf(holo.Corrupt, "read the answer of %s: "+format, append([]any{a.what}, args...)...)
	}
}

func (a *answer) word() uint64 {
	v := binary.LittleEndian.Uint64(a.left)
	a.left = a.left[8:]
	return v
}

func (a *answer) words(n int) []uint64 {
	list := make([]uint64, n)
	for i := range list {
		list[i] = a.word()
	}
	return list
}

// typed reads the word that says whose elements were added: none at all, or
// those of a type.
func (a *answer) typed(t holo.ElementType) {
	if w := a.word(); w != 0 && w != uint64(t) {
		a.bad("it is about elements of type %d, not %s", w, t)
	}
}

func (a *answer) zero() {
	if w := a.word(); w != 0 {
		a.bad("a reserved word is %d", w)
	}
}
