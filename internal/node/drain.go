package node

import (
	"context"
	"fmt"
	"sync"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// drains is which nodes drain, as far as this node knows.
type drains struct {
	mu   sync.Mutex
	on   map[holo.NodeID]bool
	done map[holo.NodeID]bool // recorded here as holding nothing any more
}

func newDrains() *drains { return &drains{on: map[holo.NodeID]bool{}, done: map[holo.NodeID]bool{}} }

func (d *drains) has(id holo.NodeID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.on[id]
}

// learn notes a node's state and reports whether it is news.
func (d *drains) learn(id holo.NodeID, on bool) (news bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.on[id] == on {
		return false
	}
	d.on[id] = on
	delete(d.done, id)
	return true
}

// finish reports, once for each drain, that it is over.
func (d *drains) finish(id holo.NodeID) (news bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done[id] {
		return false
	}
	d.done[id] = true
	return true
}

// SetDrain has a node give away what it holds, or hold things again. A grant may
// name the nodes at which it is good, so it is asked of the node that is to
// drain.
func (n *Node) SetDrain(ctx context.Context, c door.Caller, m *holov1.SetDrainRequest) error {
	node := holo.NodeID(m.GetNode())
	if node != n.self {
		return holo.Refuse(holo.Conflict, reasonElsewhere, "drain node %s: ask that node, and not node %s", node, n.self)
	}
	_, err := n.propose(ctx, n.asked(c))
	return err
}

// takesWork refuses new jobs while this node drains.
func (n *Node) takesWork() error {
	if n.drains.has(n.self) {
		return holo.Refuse(holo.Unavailable, reasonDraining, "submit job: node %s drains, it takes no new work: ask another", n.self)
	}
	return nil
}

// learnDrains records what the catalogue has come to say of who drains.
func (n *Node) learnDrains(nodes []wire.NodeRecord) {
	for i := range nodes {
		r := &nodes[i]
		if !n.drains.learn(r.Node, r.Draining) {
			continue
		}
		event := "node.drain.start"
		if !r.Draining {
			event = "node.drain.end"
		}
		n.reportDrain(event, r)
	}
}

func (n *Node) reportDrain(event string, r *wire.NodeRecord) {
	n.log.Info("drain", "event", event, "node", r.Node.String(), "name", r.Name)
	if err := n.audit.Report(n.ownEvent(event, fmt.Sprintf("node %s %s", r.Node.Hex(), r.Name))); err != nil {
		n.log.Error("drain not recorded", "event", event, "error", err)
	}
}

// drained records, at the leader, which nodes have come to hold nothing.
func (d *leadership) drained() {
	var done []wire.NodeRecord
	d.n.catalog.read(func(c *catalog.Catalog) {
		for _, r := range c.Nodes() {
			if r.Draining && r.Held == 0 {
				done = append(done, r)
			}
		}
	})
	for i := range done {
		if d.n.drains.finish(done[i].Node) {
			d.n.reportDrain("node.drain.done", &done[i])
		}
	}
}

// drainWarning says whether a node that drains may be switched off.
func drainWarning(r *wire.NodeRecord, needed bool) string {
	switch {
	case r.Held > 0:
		return fmt.Sprintf("Node %s (%s) drains: %d shards are still there. Do not switch it off yet.", r.Name, r.Node, r.Held)
	case needed:
		return fmt.Sprintf("Node %s (%s) holds nothing any more, but without its vote all shared state stops. Do not switch it off: holo node remove %s", r.Name, r.Node, r.Name)
	}
	return fmt.Sprintf("Node %s (%s) is drained: it holds nothing and can be switched off.", r.Name, r.Node)
}
