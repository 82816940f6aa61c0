package node

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// probeTime is how long an earlier process of a node has to show that it lives
// before its successor is let in: a restart after a crash costs as much, and a
// lease that nobody renews runs longer.
const probeTime = 2 * time.Second

// rival decides between two processes that hold the same node key. An honest
// restart leaves one that answers. Where both do, somebody copied the node's
// folder: the one whose incarnation the catalogue has registered goes on, else
// the one that was here first.
func (n *Node) rival(ctx context.Context, older, newer *transport.Session) bool {
	first, err := n.livesAt(ctx, older)
	if err != nil {
		return true
	}
	registered, err := n.registered(ctx, older.Peer())
	if err != nil || registered == first {
		return false
	}
	second, err := n.livesAt(ctx, newer)
	return err == nil && second == registered
}

// livesAt asks the process at the other end of a session for its incarnation.
func (n *Node) livesAt(ctx context.Context, s *transport.Session) (holo.Incarnation, error) {
	ctx, cancel := within(ctx, probeTime)
	defer cancel()
	st, err := s.Open(ctx)
	if err != nil {
		return 0, err
	}
	defer st.Close()
	stop := context.AfterFunc(ctx, st.Reset)
	defer stop()
	if err := st.WriteMessage(&wire.UsageRead{}); err != nil {
		return 0, err
	}
	msg, err := st.ReadMessage()
	if err != nil {
		return 0, err
	}
	u, ok := msg.(*wire.Usage)
	if !ok {
		return 0, n.unexpected(s.Peer(), msg)
	}
	return u.Incarnation, nil
}

// registered is the incarnation that holds the node's seat and lives.
func (n *Node) registered(ctx context.Context, id holo.NodeID) (holo.Incarnation, error) {
	ctx, cancel := within(ctx, probeTime)
	defer cancel()
	var found *wire.NodeRecord
	n.catalog.read(func(c *catalog.Catalog) {
		if r, ok := c.Node(id); ok {
			found = &r
		}
	})
	if found != nil {
		return alive(found), nil
	}
	nodes, err := queryAll[*wire.NodeRecord](ctx, n, wire.CatalogQuery{What: wire.QueryNodes})
	for _, r := range nodes {
		if r.Node == id {
			return alive(r), nil
		}
	}
	return 0, err
}

func alive(r *wire.NodeRecord) holo.Incarnation {
	if !r.Alive {
		return 0
	}
	return r.Incarnation
}
