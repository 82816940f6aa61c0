package node

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

const (
	// maxHeld is how many extents one write lease has: 1 GiB at 4 MiB each.
	maxHeld = 256
	// releaseWithin bounds the release of a part of a lease that could not be had
	// whole; what is not released ends by time.
	releaseWithin = 2 * time.Second
)

// Hold takes, lengthens or ends a write lease on all extents of a range, each at
// its home. They are taken in their order, so that of two who want the same one
// gets it; who cannot have all has none.
func (n *Node) Hold(ctx context.Context, _ door.Caller, m *holov1.HoldRequest) (*holov1.HoldResponse, error) {
	id := holo.ArrayID(m.GetArray())
	a, err := n.array(ctx, id)
	if err != nil {
		return nil, err
	}
	first, count := m.GetFirst(), m.GetCount()
	if first > a.Shape.Length || count > a.Shape.Length-first {
		return nil, holo.Errorf(holo.Invalid, "lease array %s: elements %d+%d of %d", a.Name, first, count, a.Shape.Length)
	}
	from, to := first/a.Shape.Extent, (first+count-1)/a.Shape.Extent
	if to-from >= maxHeld {
		return nil, holo.Errorf(holo.Invalid, "lease array %s: %d extents, at most %d in one lease", a.Name, to-from+1, maxHeld)
	}
	out := &holov1.HoldResponse{}
	for e := from; e <= to; e++ {
		req := &wire.Hold{Array: id, Run: runOf(a, e), Lease: holo.LeaseID(m.GetLease()), For: holo.Duration(m.GetMilliseconds()) * holo.Millisecond}
		t, err := n.heldBy(ctx, req)
		if err != nil {
			n.letGo(a, holo.LeaseID(m.GetLease()), from, e)
			return nil, err
		}
		if req.For > 0 {
			start := e * a.Shape.Extent
			out.Extents = append(out.Extents, &holov1.HeldExtent{First: start, Count: min(a.Shape.Extent, a.Shape.Length-start), Epoch: uint64(t.Epoch), Number: t.Number})
		}
	}
	return out, nil
}

// letGo gives back what was taken of a lease, the part included whose answer
// did not come.
func (n *Node) letGo(a *wire.ArrayRecord, lease holo.LeaseID, from, last uint64) {
	ctx, cancel := context.WithTimeout(n.group.ctx, releaseWithin)
	defer cancel()
	for e := from; e <= last && ctx.Err() == nil; e++ {
		if _, err := n.holdOnce(ctx, &wire.Hold{Array: a.ID, Run: runOf(a, e), Lease: lease}); err != nil {
			n.log.Debug("part of a write lease not given back: it ends by time", "array", a.Name, "extent", e, "error", err)
		}
	}
}

// heldBy asks an extent's home until there is an answer: under one name that is
// safe.
func (n *Node) heldBy(ctx context.Context, req *wire.Hold) (t holo.Token, err error) {
	err = retry(ctx, opDeadline, &n.configs.changed, func(ctx context.Context) error {
		t, err = n.holdOnce(ctx, req)
		return err
	})
	return t, err
}

func (n *Node) holdOnce(ctx context.Context, req *wire.Hold) (holo.Token, error) {
	home, err := n.homeOf(ctx, req.Array, req.Run.Shard)
	if err != nil {
		return holo.Token{}, err
	}
	if home == n.self {
		return n.holdHere(ctx, req)
	}
	ctx, stop := n.whileHome(ctx, req.Run.Shard, home)
	defer stop()
	m, err := n.ask(ctx, home, transport.Data, req)
	if err != nil {
		return holo.Token{}, err
	}
	held, ok := m.(*wire.Held)
	if !ok {
		return holo.Token{}, n.unexpected(home, m)
	}
	return held.Token, nil
}

func (n *Node) holdHere(ctx context.Context, req *wire.Hold) (holo.Token, error) {
	var t holo.Token
	var err error
	if posted := n.loop.do(ctx, func(now holo.Time) { t, err = n.loop.machine.Hold(now, req) }); posted != nil {
		return holo.Token{}, posted
	}
	return t, err
}

// serveHold answers another node about a write lease.
func (n *Node) serveHold(ctx context.Context, r *request) error {
	t, err := n.holdHere(ctx, r.msg.(*wire.Hold))
	if err != nil {
		return err
	}
	return r.answer(&wire.Held{Token: t})
}
