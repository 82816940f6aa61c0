package sim

import (
	"github.com/holocompute/holocompute/internal/history"
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
	value  uint64       // to write
	expect uint64       // to compare with
	lease  holo.LeaseID // of a swap that is a read and a write under a write lease
	cached bool         // a read that may come from the cache, and asks for a lease
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

// Span is when the operation was called and answered.
func (r *record) Span() (call, done int64) {
	if r.unknown {
		return int64(r.call), history.Never
	}
	return int64(r.call), int64(r.done)
}

// Step is a page as its users may think of it. It is far simpler than what it
// judges, which is the point of it.
func (r *record) Step(s state) (state, bool) {
	return r.effect(s), r.unknown || r.agrees(s)
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

// linearizable checks one page's history. An operation whose outcome is unknown
// may take effect at any time until the end of the world.
func (w *world) linearizable(p pageIn) bool {
	var ops []*record
	for i := range w.history {
		if r := &w.history[i]; r.about(p) {
			ops = append(ops, r)
		}
	}
	return history.Linearizable(state{}, noticed(ops)) || history.Linearizable(state{}, ops)
}

// noticed leaves out the operations without an answer of which nobody was told an
// effect: they may never have happened, and an order without them explains as
// much. Where dozens are open at a time the search among all of them, each
// anywhere, does not end.
func noticed(ops []*record) (list []*record) {
	met := map[uint64]bool{0: true}
	for _, r := range ops {
		if !r.unknown && (r.kind == readOp || r.kind == swapOp || r.kind == foldOp) {
			met[r.outcome.value] = true
		}
	}
	for _, r := range ops {
		if !r.unknown || r.kind == dropOp || met[r.operation.value] || r.kind == foldOp && added(met, r.operation.value) {
			list = append(list, r)
		}
	}
	return list
}

// added reports whether two values that were met are so far apart.
func added(met map[uint64]bool, value uint64) bool {
	for v := range met {
		if met[v+value] {
			return true
		}
	}
	return false
}
