package node

import (
	"context"
	"slices"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

const (
	// farewellTime bounds what a leader waits before it closes the sessions of
	// a node that was evicted, so that the node learns why.
	farewellTime = 500 * time.Millisecond
	// farewellRecords is how much of the chain's end a farewell tells: a node
	// that follows the chain misses the last record or two.
	farewellRecords = 64
)

// EvictNode brings the owner's signed word to the catalogue. Whoever sends it,
// the signature decides.
func (n *Node) EvictNode(ctx context.Context, _ door.Caller, m *holov1.EvictRequest) error {
	cmd := &wire.Evict{
		Node: holo.NodeID(m.GetNode()), Admission: [32]byte(m.GetAdmission()), LoseData: m.GetLoseData(),
		OwnerSig: [64]byte(m.GetOwnerSignature()),
	}
	_, err := n.propose(ctx, cmd)
	return n.refusals.addErr(err)
}

// prepareEvict is the leader's part before an eviction is committed. First the
// evidence, because nothing is done on a stranger's word. Then the node's lease
// runs out, so that its shards have other homes before anybody stops asking it:
// in between two would serve them. Last it leaves Raft's configuration, whose
// majority must not count on a node that nobody talks to any more.
func (n *Node) prepareEvict(ctx context.Context, id wire.RequestID, m *wire.Evict) (final bool, err error) {
	if err := n.consensus.Read(ctx); err != nil {
		return false, err
	}
	alive, done := false, false
	n.catalog.read(func(c *catalog.Catalog) {
		r, _ := c.Node(m.Node)
		alive, done = r.Alive, c.Answered(id)
		err = c.CheckEvict(m)
	})
	switch {
	case done:
		return false, nil
	case err != nil:
		return true, err
	case m.Node == n.self:
		return false, n.cede(ctx)
	case alive:
		n.turns.Do(ctx, n.loop.condemn(m.Node))
		return false, holo.Refuse(holo.Unavailable, reasonSlow, "evict node %s: its lease still runs", m.Node)
	case slices.Contains(n.consensus.Voters(), m.Node):
		return false, n.consensus.Remove(ctx, m.Node)
	}
	return false, nil
}

func (l *loop) condemn(id holo.NodeID) func(holo.Time) {
	return func(now holo.Time) {
		if l.keeper != nil {
			l.keeper.Condemn(now, id)
		}
	}
}

// cede has another node lead, because this one is to be evicted and must not
// be the judge of that. Where no other votes, one is made a voter first.
func (n *Node) cede(ctx context.Context) error {
	if len(n.consensus.Voters()) < 2 {
		other, ok := n.anotherAlive()
		if !ok {
			return holo.Refuse(holo.Unavailable, reasonNoLeader, "evict node %s: it leads, and no other node is alive to take over", n.self)
		}
		if err := n.consensus.AddNonvoter(ctx, other); err != nil {
			return err
		}
		if err := n.consensus.Promote(ctx, other); err != nil {
			return err
		}
	}
	if err := n.consensus.TransferLeadership(ctx); err != nil {
		return err
	}
	return holo.Refuse(holo.Unavailable, reasonNotLeader, "node %s does not lead any more", n.self)
}

func (n *Node) anotherAlive() (id holo.NodeID, ok bool) {
	n.catalog.read(func(c *catalog.Catalog) {
		for _, r := range c.Nodes() {
			if r.Alive && r.Node != n.self {
				id, ok = r.Node, true
			}
		}
	})
	return id, ok
}

// part ends the sessions with a node that is a member no more. Every message of
// its is refused from the moment that the chain here says so (judge); the
// leader tells it why first, on a session that is there.
func (n *Node) part(id holo.NodeID) {
	n.log.Warn("node is no member any more", "event", "node.evicted", "node", id.String())
	if !n.consensus.IsLeader() || !n.group.Run(func(ctx context.Context) { n.farewell(ctx, id) }) {
		n.peers.Drop(id)
	}
}

func (n *Node) farewell(ctx context.Context, id holo.NodeID) {
	defer n.peers.Drop(id)
	ctx, cancel := within(ctx, farewellTime)
	defer cancel()
	records, _ := n.members.state()
	first := max(0, len(records)-farewellRecords)
	n.ask(ctx, id, transport.Control, &wire.Farewell{First: uint32(first), Chain: records[first:]})
}

// serveFarewell learns that this node is no member any more, if the owner says
// so: records that do not follow what is known change nothing.
func (n *Node) serveFarewell(_ context.Context, r *request) error {
	m := r.msg.(*wire.Farewell)
	n.learnMembers(&wire.CatalogFeed{First: m.First, Chain: m.Chain})
	return r.answer(&wire.Farewell{})
}

// leave ends what this node does as a member: it serves no page, and Over says
// so to whoever runs it.
func (n *Node) leave() {
	when := ""
	if at := n.removed.Load(); at != 0 {
		when = " at " + time.Unix(at, 0).UTC().Format(time.RFC3339) + ", while it was off"
	}
	n.end(holo.Refuse(holo.Denied, reasonEvicted, "node %s (%s) was removed from cluster %s by its owner%s", n.home.settings.NodeName, n.self, n.cluster, when))
}

// end has this node serve nothing any more. The cause is the first one's.
func (n *Node) end(cause error) {
	n.mu.Lock()
	over := n.mu.cause != nil
	if !over {
		n.mu.cause = cause
	}
	n.mu.Unlock()
	if over {
		return
	}
	n.log.Error("this node has no more business to run", "event", "node.over", "node", n.self.String(), "error", cause)
	n.turns.Post(n.group.Context(), func(now holo.Time) {
		n.loop.holder.Drop(now)
		n.memory.Drop()
	})
	close(n.ended)
}

// Over is closed when this node has no more business to run: it was evicted, or
// its program does not speak the version that the cluster is at.
// Why is told by Cause.
func (n *Node) Over() <-chan struct{} { return n.ended }

// Cause is why the node is over, nil while it is not.
func (n *Node) Cause() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.cause
}
