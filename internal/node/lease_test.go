package node

import (
	"context"
	"testing"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
)

// The lease dies with the home that gave it out. Its holder does not know, and
// its late write must not replace what somebody else has written since.
func TestWriteLeaseIsFencedWhenItsHomeDies(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx := context.Background()
	a := c.create(c.nodes[0], "leased", 1<<20)
	id := holo.ArrayID(a.Id)
	home, far := c.apart(id)
	take := func(name uint64) (*holov1.HoldResponse, error) {
		return far.Hold(ctx, door.Caller{}, &holov1.HoldRequest{Array: a.Id, Count: 1, Lease: name, Milliseconds: 60_000})
	}
	held, err := take(5)
	must(t, err)
	token := holo.Token{Lease: 5, Epoch: holo.Epoch(held.Extents[0].Epoch), Number: held.Extents[0].Number}
	must(t, far.memory.WriteRange(ctx, id, 0, noise(1, 8), token))
	wantRefused(t, far.WriteRange(ctx, id, 0, noise(2, 8)), holo.Conflict, "locked")
	_, err = take(6)
	wantRefused(t, err, holo.Conflict, "locked")

	for i, n := range c.nodes {
		if n == home {
			c.kill(i)
		}
	}
	await(t, "another home takes writes", func() bool { return far.WriteRange(ctx, id, 0, noise(3, 8)) == nil })
	wantRefused(t, far.memory.WriteRange(ctx, id, 0, noise(4, 8), token), holo.Conflict, "fenced")
	wantBytes(t, far, a.Id, 0, noise(3, 8))
	again, err := take(5) // the old request, late
	must(t, err)
	wantRefused(t, far.memory.WriteRange(ctx, id, 0, noise(4, 8), token), holo.Conflict, "fenced")
	token.Epoch, token.Number = holo.Epoch(again.Extents[0].Epoch), again.Extents[0].Number
	must(t, far.memory.WriteRange(ctx, id, 0, noise(5, 8), token))
}

// Who cannot have all extents of a range has none of them.
func TestWriteLeaseIsTakenWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n, ctx := c.nodes[0], context.Background()
	a := c.create(n, "whole", 4<<20)
	per := uint64(16 * holo.PageSize / 8)
	hold := func(lease, first, count, ms uint64) error {
		_, err := n.Hold(ctx, door.Caller{}, &holov1.HoldRequest{Array: a.Id, First: first, Count: count, Lease: lease, Milliseconds: ms})
		return err
	}
	must(t, hold(5, 2*per, 1, 60_000))
	wantRefused(t, hold(6, 0, 4*per, 60_000), holo.Conflict, "locked")
	must(t, n.WriteRange(ctx, holo.ArrayID(a.Id), 0, noise(1, 8)))
	must(t, hold(5, 2*per, 1, 0))
	must(t, hold(6, 0, 4*per, 60_000))
	wantRefused(t, hold(6, 0, 4*per+1, 60_000), holo.Invalid, "")
}
