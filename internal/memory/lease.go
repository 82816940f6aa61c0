package memory

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

const (
	// maxHeld is how many extents one write lease has: 1 GiB at 4 MiB each.
	maxHeld = 256
	// releaseWithin bounds the release of a part of a lease that could not be had
	// whole; what is not released ends by time.
	releaseWithin = 2 * time.Second
)

// Held is an extent of a write lease.
type Held struct {
	First, Count uint64 // elements
	Token        holo.Token
}

// Hold takes, lengthens or, where life is 0, ends a write lease on all extents of
// a range of elements, each at its home. They are taken in their order, so that
// of two who want the same one gets it; who cannot have all has none.
func (n *Node) Hold(ctx context.Context, id holo.ArrayID, first, count uint64, lease holo.LeaseID, life holo.Duration) ([]Held, error) {
	a, err := n.Array(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := notBuffer(a); err != nil {
		return nil, err
	}
	if first > a.Shape.Length || count > a.Shape.Length-first {
		return nil, holo.Errorf(holo.Invalid, "lease array %s: elements %d+%d of %d", a.Name, first, count, a.Shape.Length)
	}
	from, to := first/a.Shape.Extent, (first+count-1)/a.Shape.Extent
	if to-from >= maxHeld {
		return nil, holo.Errorf(holo.Invalid, "lease array %s: %d extents, at most %d in one lease", a.Name, to-from+1, maxHeld)
	}
	var held []Held
	for e := from; e <= to; e++ {
		t, err := n.heldBy(ctx, &wire.Hold{Array: id, Run: RunOf(a, e), Lease: lease, For: life})
		if err != nil {
			n.letGo(a, lease, from, e)
			return nil, err
		}
		start := e * a.Shape.Extent
		held = append(held, Held{start, min(a.Shape.Extent, a.Shape.Length-start), t})
	}
	return held, nil
}

// letGo gives back what was taken of a lease, the part included whose answer
// did not come.
func (n *Node) letGo(a *wire.ArrayRecord, lease holo.LeaseID, from, last uint64) {
	ctx, cancel := context.WithTimeout(n.group.Context(), releaseWithin)
	defer cancel()
	for e := from; e <= last && ctx.Err() == nil; e++ {
		if _, err := n.holdOnce(ctx, &wire.Hold{Array: a.ID, Run: RunOf(a, e), Lease: lease}); err != nil {
			n.log.Debug("part of a write lease not given back: it ends by time", "array", a.Name, "extent", e, "error", err)
		}
	}
}

// heldBy asks an extent's home until there is an answer: under one name that is
// safe.
func (n *Node) heldBy(ctx context.Context, req *wire.Hold) (t holo.Token, err error) {
	err = wait.Retry(ctx, opDeadline, &n.Configs.Changed, func(ctx context.Context) error {
		t, err = n.holdOnce(ctx, req)
		return err
	})
	return t, err
}

func (n *Node) holdOnce(ctx context.Context, req *wire.Hold) (holo.Token, error) {
	home, err := n.HomeOf(ctx, req.Array, req.Run.Shard)
	if err != nil {
		return holo.Token{}, err
	}
	if home == n.self {
		return n.holdHere(ctx, req)
	}
	ctx, stop := n.whileHome(ctx, req.Run.Shard, home)
	defer stop()
	m, err := n.links.Ask(ctx, home, transport.Data, req)
	if err != nil {
		return holo.Token{}, err
	}
	held, ok := m.(*wire.Held)
	if !ok {
		return holo.Token{}, n.links.Unexpected(home, m)
	}
	return held.Token, nil
}

func (n *Node) holdHere(ctx context.Context, req *wire.Hold) (holo.Token, error) {
	var t holo.Token
	var err error
	if posted := n.turns.Do(ctx, func(now holo.Time) { t, err = n.machine.Hold(now, req) }); posted != nil {
		return holo.Token{}, posted
	}
	return t, err
}

// ServeHold answers another node about a write lease.
func (n *Node) ServeHold(ctx context.Context, r *Request) error {
	t, err := n.holdHere(ctx, r.Msg.(*wire.Hold))
	if err != nil {
		return err
	}
	return r.Answer(&wire.Held{Token: t})
}
