package node

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/protocol"
	"github.com/holocompute/holocompute/internal/wire"
)

// followEvery is how often a node that has no replica of the catalogue asks the
// leader what changed. A voter learns at once.
const followEvery = time.Second

// follow keeps what this node knows of who may do what, and its verified
// membership, up to date: from its own replica
// of the catalogue where it is a voter, else from the leader.
func (n *Node) follow(ctx context.Context) {
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		changed, behind := n.catalog.changed.Wait(), n.access.behind.Wait()
		n.followAccess(ctx)
		n.followOnce(ctx)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-behind:
		case <-ticker.C:
		}
	}
}

func (n *Node) followOnce(ctx context.Context) {
	for {
		version, chain := n.members.at()
		f := n.replicaFeed(version, chain)
		own := f != nil
		if !own {
			f = n.leaderFeed(ctx, version, chain)
		}
		if f == nil {
			return
		}
		n.learnVersion(f.Speaks)
		if more := n.learnMembers(f); !more {
			n.followTokens(ctx, f.Access, own)
			n.learnKey(ctx, f)
			return
		}
	}
}

// replicaFeed is what changed by this node's own replica; nil where it has
// none, or one that is behind what the node knows.
func (n *Node) replicaFeed(version uint64, chain int) (f *wire.CatalogFeed) {
	n.catalog.read(func(c *catalog.Catalog) {
		if len(c.Chain()) >= max(chain, 1) && c.Version() >= version {
			f = feed(c, &wire.CatalogQuery{Number: version, Cursor: uint64(chain)})
		}
	})
	return f
}

func (n *Node) leaderFeed(ctx context.Context, version uint64, chain int) *wire.CatalogFeed {
	ctx, cancel := within(ctx, attemptDeadline)
	defer cancel()
	f, err := queryOne[*wire.CatalogFeed](ctx, n, wire.CatalogQuery{What: wire.QueryFeed, Number: version, Cursor: uint64(chain)})
	if err != nil {
		n.log.Debug("membership not followed", "error", err)
		return nil
	}
	return f
}

// learnMembers takes a feed after verifying it, keeps it on disk, and ends the
// sessions of nodes that are members no more. It reports whether the feed was
// cut and there is more.
func (n *Node) learnMembers(f *wire.CatalogFeed) (more bool) {
	removed, fresh, err := n.members.extend(int(f.First), f.Chain)
	if err != nil {
		n.refusals.addErr(err)
		n.log.Error("membership chain refused", "error", err)
		return false
	}
	n.recordMembers(fresh)
	n.notePartings(fresh)
	n.learnDrains(f.Nodes)
	more = len(f.Chain) == feedRecords
	version, _ := n.members.at()
	if !more {
		n.members.locate(f.Version, f.Nodes)
	}
	for _, id := range removed {
		if id == n.self {
			n.leave()
			continue
		}
		n.part(id)
	}
	if len(f.Chain) > 0 || len(f.Nodes) > 0 && f.Version > version {
		if err := n.saveMembers(); err != nil {
			n.log.Error("membership not saved", "error", err)
		}
		n.members.changed.Fire()
	}
	return more
}

// announce tells the catalogue where this node is, what it offers and which
// versions it speaks, when that is news.
func (n *Node) announce(ctx context.Context) {
	for {
		changed := n.led.Wait()
		if n.announceOnce(ctx) == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-time.After(followEvery):
		}
	}
}

func (n *Node) announceOnce(ctx context.Context) error {
	place := wire.Place{Addresses: n.advertised()}
	place.Capacity, place.Spill = n.memory.Capacity()
	nodes, err := queryAll[*wire.NodeRecord](ctx, n, wire.CatalogQuery{What: wire.QueryNodes})
	if err != nil {
		return err
	}
	for _, r := range nodes {
		if r.Node == n.self && samePlace(&r.Place, &place) && r.Speaks == protocol.Spoken() {
			return nil
		}
	}
	_, err = n.propose(ctx, &wire.NodeAddress{Node: n.self, Place: place, Speaks: protocol.Spoken()})
	switch {
	case holo.KindOf(err) == holo.NotFound:
		n.log.Error("this node is not a member of the cluster", "error", err)
		return nil
	case holo.ReasonOf(err) == protocol.ReasonSkew:
		n.end(err)
		return nil
	}
	return err
}

func samePlace(a, b *wire.Place) bool {
	if len(a.Addresses) != len(b.Addresses) || a.Capacity != b.Capacity || a.Spill != b.Spill {
		return false
	}
	for i := range a.Addresses {
		if a.Addresses[i] != b.Addresses[i] {
			return false
		}
	}
	return true
}
