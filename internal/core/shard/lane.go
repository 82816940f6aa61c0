package shard

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/lane"
	"github.com/holocompute/holocompute/internal/wire"
)

// plan is what an operation on a lane would do now: it follows from the lane's
// header, as all that is ordered before leaves it, and so is made anew when that
// has changed. The primary makes it; members get the changes.
type plan struct {
	mutation wire.Mutation // with what it does in place of what it is
	header   *page         // nil: it was not in memory
	outcome  lane.Outcome
}

// More is how many pages of 64 KiB a mutation may make besides those that it
// names: what room is kept for before it is ordered.
func More(mu *wire.Mutation) int {
	if mu.Kind != wire.MutateLane {
		return 0
	}
	return lane.Spread(mu.Changes[0].Data)
}

// effect is the mutation as it changes pages.
func (q *request) effect() *wire.Mutation {
	if q.plan != nil {
		return &q.plan.mutation
	}
	return &q.mutation
}

// foresee plans an operation on a lane, where its plan is not of this moment. A
// header that is not in memory is all that it needs so far.
func (r *replica) foresee(q *request) error {
	mu := &q.mutation
	if mu.Kind != wire.MutateLane {
		return nil
	}
	head := r.latest(holo.PageID{Array: mu.Array, Index: mu.Changes[0].Page})
	if q.plan != nil && q.plan.header == head.page {
		return nil
	}
	op, err := lane.Decode(mu.Changes[0].Data)
	if err != nil {
		return err
	}
	q.plan = &plan{mutation: *mu}
	q.plan.mutation.Changes = []wire.Change{{Page: mu.Changes[0].Page, Kind: wire.PageDelta, Data: []byte{0}}}
	if !head.away {
		q.plan.header = head.page
		err = q.plan.fill(head, op)
	}
	SignMutation(&q.plan.mutation)
	return err
}

// fill turns the pieces of a step into changes. Where there are none, the change
// of the header stays, which is not applied.
func (p *plan) fill(head stored, op *lane.Op) error {
	buf := make([]byte, lane.HeaderBytes)
	head.at(buf, 0)
	out, pieces, err := lane.Step(buf, op)
	if err != nil {
		return err
	}
	p.outcome = out
	if len(pieces) == 0 {
		return nil
	}
	first := p.mutation.Changes[0].Page
	p.mutation.Changes = slices.Grow(p.mutation.Changes[:0], len(pieces))
	for _, piece := range pieces {
		c := wire.Change{Page: first + holo.PageIndex(piece.Page), Kind: wire.PageDelta, Offset: uint32(piece.Offset), Data: piece.Data}
		if piece.Data == nil {
			c.Kind = wire.PageZero
		}
		p.mutation.Changes = append(p.mutation.Changes, c)
	}
	return nil
}

// into makes the entry of it.
func (p *plan) into(n *wire.Entry) {
	n.Mutation, n.Old, n.Applied = p.mutation, p.outcome.Pack(), p.outcome.Word == lane.Done
}
