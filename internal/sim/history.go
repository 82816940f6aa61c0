package sim

import (
	"fmt"
	"math"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/holocompute/holocompute/internal/holo"
)

// kind is what an operation does.
type kind byte

const (
	readOp  kind = 'r'
	writeOp kind = 'w'
	swapOp  kind = 'c'
	foldOp  kind = 'a' // adds its value
	taskOp  kind = 't' // writes a page once, whoever comes first
	sealOp  kind = 's' // makes the page's array immutable in the shard
	dropOp  kind = 'd' // deletes the page's array in the shard
)

// operation is one thing that a client wants.
type operation struct {
	id     holo.OpID
	kind   kind
	shard  holo.ShardID
	page   holo.PageID
	value  uint64 // to write
	expect uint64 // to compare with
	cached bool   // a read that may come from the cache, and asks for a lease
}

// outcome is what the client was told.
type outcome struct {
	value   uint64 // read, or what an atomic operation met
	version holo.Version
	applied bool
	dropped bool // the array is deleted
	unknown bool // no answer: it may have happened, or may yet
}

func (o outcome) bits() (n uint64) {
	for i, b := range []bool{o.applied, o.dropped, o.unknown} {
		if b {
			n |= 1 << i
		}
	}
	return n
}

// record is a line of the history.
type record struct {
	operation
	outcome
	call, done holo.Time
}

// state is what the model says of a page.
type state struct {
	value   uint64
	dropped bool
}

// model is a page as its users may think of it. It is far simpler than what it
// judges, which is the point of it.
var model = porcupine.Model{
	Init: func() any { return state{} },
	Step: func(st, in, _ any) (bool, any) {
		r := in.(*record)
		s := st.(state)
		if r.unknown {
			return true, r.effect(s)
		}
		return r.agrees(s), r.effect(s)
	},
	Equal: func(a, b any) bool { return a == b },
	DescribeOperation: func(in, _ any) string {
		r := in.(*record)
		return fmt.Sprintf("%c %v %d", r.kind, r.page, r.operation.value)
	},
}

// agrees reports whether the answer fits the state that it met.
func (r *record) agrees(s state) bool {
	switch {
	case r.kind == dropOp || r.kind == sealOp:
		return true
	case r.dropped || s.dropped:
		return r.dropped == s.dropped
	case r.kind == readOp:
		return r.outcome.value == s.value
	case r.kind == swapOp:
		return r.applied == (s.value == r.expect) && r.outcome.value == s.value
	case r.kind == foldOp:
		return r.applied && r.outcome.value == s.value
	}
	return true
}

// effect is the state that the operation leaves.
func (r *record) effect(s state) state {
	switch {
	case r.kind == dropOp:
		return state{dropped: true}
	case s.dropped || r.kind == readOp || r.kind == sealOp, r.kind == swapOp && s.value != r.expect, r.kind == taskOp && s.value != 0:
		return s
	case r.kind == foldOp:
		return state{value: s.value + r.operation.value}
	}
	return state{value: r.operation.value}
}

// pages lists the pages of a run: of each array, those of each shard.
func (w *world) pages() (ids []pageIn) {
	for a := holo.ArrayID(1); a <= arrays; a++ {
		for s := range w.o.Shards {
			for p := range w.o.Pages {
				ids = append(ids, pageIn{
					holo.MakeShardID(w.o.Copies, uint64(s)),
					holo.PageID{Array: a, Index: holo.PageIndex(s*w.o.Pages + p)},
				})
			}
		}
	}
	return ids
}

// pageIn is a page and the shard it lies in.
type pageIn struct {
	shard holo.ShardID
	page  holo.PageID
}

// about reports whether an operation concerns a page: a deletion concerns all
// of its array in its shard.
func (r *record) about(p pageIn) bool {
	return r.shard == p.shard && r.page.Array == p.page.Array && (r.kind == dropOp || r.page.Index == p.page.Index)
}

// patience bounds the search for an order of one page's history. A history that
// has one is searched in less than 0.2 s; one that has none, with additions in it
// whose outcome is unknown, could take for ever.
const patience = 10 * time.Second

// linearizable checks one page's history. An operation whose outcome is unknown
// may take effect at any time until the end of the world.
func (w *world) linearizable(p pageIn) bool {
	var ops []porcupine.Operation
	for i := range w.history {
		r := &w.history[i]
		if !r.about(p) {
			continue
		}
		done := int64(r.done)
		if r.unknown {
			done = math.MaxInt64
		}
		ops = append(ops, porcupine.Operation{ClientId: i, Input: r, Call: int64(r.call), Return: done})
	}
	return porcupine.CheckOperationsTimeout(model, ops, patience) == porcupine.Ok
}
