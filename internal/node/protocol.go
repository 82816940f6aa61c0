package node

import (
	"context"
	"slices"

	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/core/liveness"
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// classOf keeps what others wait for from queueing behind pages: promises and
// acknowledgements go with the leases, and pages on a connection of their own.
func classOf(m wire.Message) transport.Class {
	switch m.(type) {
	case *wire.Repl, *wire.Recon, *wire.Snap, *wire.PageGive:
		return transport.Data
	}
	return transport.Control
}

// send gives an envelope to the links, or straight to this node's own machines.
func (l *loop) send(e wire.Envelope, class transport.Class) {
	if e.To == l.n.self {
		l.receive(l.n.clock.now(), e.To, e.Msg)
		return
	}
	if class == transport.Data {
		l.n.outboxes.send(e.To, e.Msg)
		return
	}
	l.n.peers.Send(e.To, class, e.Msg)
}

// sendShard sends what a replica tells another.
func (l *loop) sendShard(e wire.Envelope) { l.send(e, classOf(e.Msg)) }

// receive is the input of every protocol message, from a peer or from this
// node itself.
func (l *loop) receive(now holo.Time, from holo.NodeID, msg wire.Message) {
	if !l.mayTell(from, msg) {
		l.n.refusals.add(reasonNotLeader)
		return
	}
	switch m := msg.(type) {
	case *wire.Heartbeat:
		if l.keeper != nil {
			l.keeper.Heartbeat(now, from, m)
		}
	case *wire.ShardShrink, *wire.ShardPromote, *wire.ShardTransfer:
		if l.keeper != nil {
			l.keeper.Request(now, from, m)
		}
	case *wire.Grant:
		l.granted(now, from, m)
	default:
		l.n.memory.Receive(now, from, m)
	}
}

// mayTell refuses leases and configurations from a member that Raft says does
// not keep them. While a voter knows of no leader, it listens to the voters, and
// to whom a voter named: a grant lets its sender lead the Raft here, and nobody
// does that on their own word. A node that is no voter cannot tell, and believes
// whom it asked: the members are who could have been asked.
func (l *loop) mayTell(from holo.NodeID, msg wire.Message) bool {
	switch msg.(type) {
	case *wire.Grant, *wire.ConfigPush, *wire.Handoff, *wire.ShrinkHint:
	default:
		return true
	}
	if leader, known := l.n.consensus.Leader(); known {
		return leader == from
	}
	voters := l.n.consensus.Voters()
	return !slices.Contains(voters, l.n.self) || slices.Contains(voters, from) || l.n.vouched() == from
}

// granted applies a lease and the configurations that go with it, together.
func (l *loop) granted(now holo.Time, from holo.NodeID, g *wire.Grant) {
	until, ok := l.holder.Granted(now, g)
	if !ok {
		return
	}
	l.n.ledBy(from)
	l.n.consensus.Expect(from)
	l.n.memory.Granted(now, until, g.Configs)
	l.n.access.leased(until, l.holder.AccessEpoch())
}

// toLeader sends a request to whoever keeps the leases. The machine asks again
// when nothing comes of it.
func (l *loop) toLeader(msg wire.Message) {
	for _, id := range l.leaders() {
		l.send(wire.Envelope{To: id, Msg: msg}, transport.Control)
	}
}

// leaders is whom to ask: the leader when one is known, else every member,
// because whoever leads answers and nobody else does. Where the lease is half
// over, whoever was believed to lead has not answered twice.
func (l *loop) leaders() []holo.NodeID {
	if id, ok := l.n.consensus.Leader(); ok {
		return []holo.NodeID{id}
	}
	fresh := l.holder.Valid(l.n.clock.now().Add(liveness.DefaultTiming().TTL / 2))
	if id, ok := l.n.leader(); ok && fresh {
		return []holo.NodeID{id}
	}
	return l.n.members.ids()
}

// serveControl hands a protocol message to the loop.
func (n *Node) serveControl(ctx context.Context, r *request) error {
	n.turns.Post(ctx, func(now holo.Time) { n.loop.receive(now, r.from, r.msg) })
	return nil
}

// serveShard hands a message between replicas to the loop, after its content
// was checked against its digests: what fails is counted and dropped, and sent
// again by its protocol.
func (n *Node) serveShard(ctx context.Context, r *request) error {
	if err := shard.Verify(r.msg); err != nil {
		n.log.Warn("corrupt replication refused", "peer", r.from.String(), "error", err)
		return n.blame(r.from, err)
	}
	if err := n.memory.Admit(ctx, r.msg); err != nil {
		return err
	}
	n.turns.Post(ctx, func(now holo.Time) {
		n.loop.receive(now, r.from, r.msg)
		if shard.Copies(r.msg) {
			r.frame.Free()
		}
	})
	return nil
}

// watchHomes tells the runner when shards have other homes, and when a node is
// gone.
func (n *Node) watchHomes(ctx context.Context) {
	alive := map[holo.NodeID]bool{}
	for {
		configs, catalogue := n.memory.Configs.Changed.Wait(), n.catalog.changed.Wait()
		n.runner.HomesChanged()
		n.reportDead(alive)
		select {
		case <-ctx.Done():
			return
		case <-configs:
		case <-catalogue:
		}
	}
}

// reportDead compares who is alive by this node's replica of the catalogue with
// who was. A node without a replica learns of deaths by the homes that move.
func (n *Node) reportDead(alive map[holo.NodeID]bool) {
	var nodes []wire.NodeRecord
	n.catalog.read(func(c *catalog.Catalog) { nodes = c.Nodes() })
	for _, r := range nodes {
		if alive[r.Node] && !r.Alive {
			n.runner.NodeLost(r.Node)
		}
		alive[r.Node] = r.Alive
	}
}
