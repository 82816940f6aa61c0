package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/core/liveness"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/protocol"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

const (
	// statusPatience is how long the status waits for a leader of the catalogue,
	// once the lease that the last one gave is over, before it tells what this node
	// knows by itself: who looks then looks because something is wrong.
	statusPatience = time.Second
	// firstLeader is how long a node that begins may take to find its leader.
	firstLeader = 4 * time.Second
)

// patience is how long a leader's answer is waited for. Where one has given a
// lease there is one, which may be slow, or the lease outlives it and another is
// elected meanwhile.
func (n *Node) patience() time.Duration {
	now := n.clock.now()
	until := max(holo.Time(n.access.lease.Load()), holo.Time(firstLeader))
	return time.Duration(max(until.Sub(now), 0)) + statusPatience
}

// leaderless says since when nobody has led, as far as is known here. A lease
// counts from when it was asked for.
func (n *Node) leaderless() string {
	now, heard := n.clock.now(), holo.Time(n.access.lease.Load())
	if heard == 0 {
		return fmt.Sprintf("has answered since this node started, %s ago", time.Duration(now).Round(time.Second))
	}
	silent := now.Sub(heard.Add(-liveness.DefaultTiming().TTL))
	return fmt.Sprintf("has answered for %s", time.Duration(silent).Round(time.Second))
}

// Status tells how the cluster is, as its leader and its nodes say now; where
// nobody leads, as this node last knew it. That is when it is asked for most.
func (n *Node) Status(ctx context.Context, _ door.Caller) (*holov1.StatusResponse, error) {
	patient, cancel := within(ctx, n.patience())
	defer cancel()
	out, err := n.statusNow(patient)
	if err != nil && ctx.Err() == nil && (wait.Again(err) || patient.Err() != nil) {
		out, err = n.statusAlone(ctx), nil
	}
	if err == nil {
		n.isolation(ctx, out)
		n.withPosture(out)
		out.Scrub = n.scrubbing()
		out.Protocol, out.Speaks = uint32(n.Protocol()), versionsOut(protocol.Spoken())
	}
	return out, err
}

// statusAlone is the status without the catalogue. No node has a lease in it:
// leases are what the leader knows.
func (n *Node) statusAlone(ctx context.Context) *holov1.StatusResponse {
	nodes := n.members.ids()
	out := &holov1.StatusResponse{
		Cluster: n.cluster.String(), Node: n.self.Hex(), Suite: n.suite(), DefaultCopies: uint32(min(len(nodes), 2)),
		Listen: n.addrs(), Refusals: n.refusals.all(), Shards: shardHealth(n.memory.Configs.All()),
		Warnings: []string{"No leader of the catalogue " + n.leaderless() + ": arrays cannot be opened or changed until more than half of the voters run. This is what the node on this machine knew last."},
	}
	out.Warnings = append(append(out.Warnings, n.auditWarning()...), n.linkWarnings()...)
	out.MinAck = uint32(wire.MinAck(holo.Class(max(out.DefaultCopies, 1))))
	voters := n.consensus.Voters()
	for _, v := range voters {
		out.Voters = append(out.Voters, &holov1.Voter{Id: v.Hex()})
	}
	out.Nodes = n.nodesAlone(ctx, nodes, voters)
	return out
}

// nodesAlone describes the nodes without the catalogue: who answers now is active.
// That a session with a node is open says nothing, it outlives the node for a while.
func (n *Node) nodesAlone(ctx context.Context, nodes, voters []holo.NodeID) (out []*holov1.Node) {
	for _, id := range nodes {
		o := &holov1.Node{Id: id.Hex(), Name: n.members.name(id), State: "unreachable", Voter: slices.Contains(voters, id)}
		o.Address, _ = n.members.address(id)
		if id == n.self {
			o.CapacityBytes = n.config.MemoryBytes
			_, o.SpillBytes = n.memory.Capacity()
		}
		out = append(out, o)
	}
	wait.Parallel(ctx, len(nodes), len(nodes), func(ctx context.Context, i int) error {
		if u, err := n.usageOf(ctx, &wire.NodeRecord{Node: nodes[i], Alive: true}); err == nil {
			out[i].State, out[i].Incarnation = "active", uint64(u.Incarnation)
			holds(out[i], u)
		}
		return nil
	})
	return out
}

// holds puts into a node's description what it holds.
func holds(o *holov1.Node, u *wire.Usage) {
	o.ResidentBytes, o.SpilledBytes = u.Resident, u.Spilled
	o.CachedBytes, o.CacheHits, o.CacheMisses = u.Cached, u.CacheHits, u.CacheMisses
}

func (n *Node) statusNow(ctx context.Context) (*holov1.StatusResponse, error) {
	h, err := queryOne[*wire.Health](ctx, n, wire.CatalogQuery{What: wire.QueryHealth})
	if err != nil {
		return nil, err
	}
	// After the leases, so that who has one is seen to be alive.
	nodes, err := queryAll[*wire.NodeRecord](ctx, n, wire.CatalogQuery{What: wire.QueryNodes})
	if err != nil {
		return nil, err
	}
	configs, err := n.shardConfigs(ctx)
	if err != nil {
		return nil, err
	}
	out := &holov1.StatusResponse{
		Cluster: n.cluster.String(), Node: n.self.Hex(), Leader: h.Leader.Hex(), CatalogIndex: h.Version,
		Suite: n.suite(), DefaultCopies: uint32(min(len(nodes), 2)), Listen: n.addrs(), Refusals: n.refusals.all(),
		Shards: shardHealth(configs),
	}
	out.MinAck = uint32(wire.MinAck(holo.Class(max(out.DefaultCopies, 1))))
	for _, v := range h.Voters {
		out.Voters = append(out.Voters, &holov1.Voter{Id: v.Hex(), Leader: v == h.Leader})
	}
	out.Nodes = n.nodesOut(ctx, nodes, h, configs)
	programs, err := n.programs(ctx)
	if err != nil {
		return nil, err
	}
	for i, r := range nodes {
		out.Nodes[i].Program = programs[r.Node]
	}
	out.Warnings = slices.Concat(n.auditWarning(), warnings(nodes, h, out.Shards), versionWarnings(n.Protocol(), nodes), n.linkWarnings())
	if gone := emptied(out.Nodes, configs); gone > 0 {
		out.Shards.Full -= gone
		out.Shards.UnderReplicated += gone
		out.Warnings = append(out.Warnings, fmt.Sprintf("A node was restarted a moment ago and came back empty: %d shards lack its copies. Restart no other node before all shards are whole.", gone))
	}
	if away := unattended(nodes, configs); away > 0 {
		out.Shards.Full -= away // each has all its copies, and nobody can reach them
		out.Shards.RefusingWrites += away
		out.Warnings = append(out.Warnings, fmt.Sprintf("%d shards are held by dead nodes alone: what lies there can neither be read nor written until they return, and is lost if their memory is.", away))
	}
	return out, nil
}

// nodesOut describes the nodes, asking each for what it holds.
func (n *Node) nodesOut(ctx context.Context, nodes []*wire.NodeRecord, h *wire.Health, configs map[holo.ShardID]wire.ShardConfig) []*holov1.Node {
	out := make([]*holov1.Node, len(nodes))
	wait.Parallel(ctx, len(nodes), len(nodes), func(ctx context.Context, i int) error {
		r := nodes[i]
		o := &holov1.Node{
			Id: r.Node.Hex(), Name: r.Name, State: lifeOf(r), Voter: slices.Contains(h.Voters, r.Node),
			Lease: slices.Contains(h.Leased, r.Node), CapacityBytes: r.Place.Capacity, SpillBytes: r.Place.Spill, Incarnation: uint64(r.Incarnation),
			Speaks: versionsOut(r.Speaks),
		}
		if len(r.Place.Addresses) > 0 {
			o.Address = r.Place.Addresses[0]
		}
		for _, c := range configs {
			if c.Primary == r.Node {
				o.Primaries++
			}
			if c.Has(r.Node) {
				o.Members++
			}
		}
		u, err := n.usageOf(ctx, r)
		o.State = stateNow(r, u, err)
		if err == nil {
			o.Lease = o.Lease && o.State != stateRestarting // it is that of the process before, whose pages are gone
			holds(o, u)
		}
		out[i] = o
		return nil
	})
	return out
}

func (n *Node) usageOf(ctx context.Context, r *wire.NodeRecord) (*wire.Usage, error) {
	if r.Node == n.self {
		return n.memory.Usage(ctx)
	}
	if !r.Alive {
		return nil, holo.Refuse(holo.Unavailable, reasonUnreachable, "node %s is dead", r.Node)
	}
	ctx, cancel := within(ctx, attemptDeadline/4)
	defer cancel()
	m, err := n.ask(ctx, r.Node, transport.Control, &wire.UsageRead{})
	if err != nil {
		return nil, err
	}
	u, ok := m.(*wire.Usage)
	if !ok {
		return nil, n.unexpected(r.Node, m)
	}
	return u, nil
}

// serveUsage answers a UsageRead.
func (n *Node) serveUsage(ctx context.Context, r *request) error {
	u, err := n.memory.Usage(ctx)
	if err != nil {
		return err
	}
	return r.answer(u)
}

// health is what this node knows as the leader, beyond the catalogue.
func (n *Node) health() []wire.Message {
	h := &wire.Health{Leader: n.self, Voters: n.consensus.Voters()}
	n.catalog.read(func(c *catalog.Catalog) { h.Version = c.Version() })
	n.turns.Do(n.group.Context(), func(now holo.Time) {
		if n.loop.keeper == nil {
			return
		}
		cramped := n.loop.keeper.Cramped()
		h.Cramped, h.CrampedBytes = uint64(cramped.Shards), cramped.Bytes
		n.catalog.view(func(v liveness.View) {
			for _, s := range v.Shards().Seats() {
				heard, ok := n.loop.keeper.Heard(s.Node, s.Incarnation)
				if s.Alive && ok && now.Sub(heard) < liveness.DefaultTiming().TTL {
					h.Leased = append(h.Leased, s.Node)
				}
			}
		})
	})
	return []wire.Message{h}
}

// suite is the Noise protocol in force with the peers, or what this node would
// ask for while it has none.
func (n *Node) suite() string {
	for _, id := range n.members.ids() {
		for _, s := range n.peers.Sessions(id) {
			return s.Protocol()
		}
	}
	return ""
}

func shardHealth(configs map[holo.ShardID]wire.ShardConfig) *holov1.ShardHealth {
	h := &holov1.ShardHealth{Total: uint32(len(configs))}
	for _, c := range configs {
		switch health(&c) {
		case "ok":
			h.Full++
		case "under_replicated":
			h.UnderReplicated++
		case "refusing_writes":
			h.RefusingWrites++
		case "lost":
			h.Lost++
		}
	}
	return h
}

// lives is in which life each node answers now, of those that do.
func (n *Node) lives(ctx context.Context) (map[holo.NodeID]holo.Incarnation, error) {
	nodes, err := queryAll[*wire.NodeRecord](ctx, n, wire.CatalogQuery{What: wire.QueryNodes})
	if err != nil {
		return nil, err
	}
	usages := make([]*wire.Usage, len(nodes))
	wait.Parallel(ctx, len(nodes), len(nodes), func(ctx context.Context, i int) error {
		if u, err := n.usageOf(ctx, nodes[i]); err == nil {
			usages[i] = u
		}
		return nil
	})
	lives := map[holo.NodeID]holo.Incarnation{}
	for i, u := range usages {
		if u != nil {
			lives[nodes[i].Node] = u.Incarnation
		}
	}
	return lives, nil
}

const (
	// stateRestarting is a node's that answers in another life than the one whose copies
	// the catalogue still counts: for as long as that one's lease may run.
	stateRestarting = "restarting"
	// stateSuspect is a node's that does not answer, though its lease may run: it is
	// dead a lease later, or slow.
	stateSuspect = "suspect"
)

// stateNow is a node's state in the light of what it answers itself.
func stateNow(r *wire.NodeRecord, u *wire.Usage, err error) string {
	switch {
	case r.Alive && err != nil:
		return stateSuspect
	case r.Alive && u.Incarnation != r.Incarnation:
		return stateRestarting
	}
	return lifeOf(r)
}

// emptied counts the shards whose copies are complete, and one of them was lost in
// a restart that the catalogue has not noticed yet.
func emptied(nodes []*holov1.Node, configs map[holo.ShardID]wire.ShardConfig) (count uint32) {
	restarting := map[string]bool{}
	for _, o := range nodes {
		restarting[o.GetId()] = o.GetState() == stateRestarting
	}
	for _, c := range configs {
		gone := slices.ContainsFunc(c.Members, func(m wire.Member) bool { return restarting[m.Node.Hex()] })
		if health(&c) == "ok" && gone {
			count++
		}
	}
	return count
}

// unattended counts the shards whose copies are complete and all on dead nodes,
// as those of one copy are.
func unattended(nodes []*wire.NodeRecord, configs map[holo.ShardID]wire.ShardConfig) (count uint32) {
	dead := map[holo.NodeID]bool{}
	for _, r := range nodes {
		dead[r.Node] = !r.Alive
	}
	for _, c := range configs {
		alive := slices.ContainsFunc(c.Members, func(m wire.Member) bool { return !dead[m.Node] })
		if health(&c) == "ok" && !alive {
			count++
		}
	}
	return count
}

// warnings say in sentences what the loss of a node would mean now.
func warnings(nodes []*wire.NodeRecord, h *wire.Health, shards *holov1.ShardHealth) []string {
	var out []string
	alive := 0
	for _, r := range nodes {
		if r.Alive {
			alive++
		}
	}
	switch {
	case len(nodes) == 1:
		out = append(out, "The cluster has one node: nothing in memory survives its loss or restart. `holo array checkpoint` keeps an array in a file.")
	case len(h.Voters) == 1:
		out = append(out, fmt.Sprintf("The catalogue has one voter, node %s: while it is down, all shared state stops.", h.Voters[0]))
		out = append(out, "With two nodes, the loss of the other leaves data readable, and writes of two copies refused until it returns.")
	case len(h.Voters) == 2:
		out = append(out, "The catalogue has two voters: while either is down, all shared state stops.")
	case alive <= len(h.Voters)/2+1 && alive < len(nodes):
		out = append(out, fmt.Sprintf("%d of %d nodes are alive: the loss of one more voter stops all shared state.", alive, len(nodes)))
	}
	for _, r := range nodes {
		if !r.Alive {
			out = append(out, fmt.Sprintf("Node %s (%s) is dead or has not registered.", r.Name, r.Node))
		}
		if r.Draining {
			out = append(out, drainWarning(r, newVoting(h.Leader, h.Voters, nodes).needs(r.Node)))
		}
	}
	if h.Cramped > 0 {
		out = append(out, fmt.Sprintf("%d shards want one more copy, and no node has room for it: %.1f MiB are missing. Add a node, start one with more --memory or a --spill directory, or delete arrays.",
			h.Cramped, float64(h.CrampedBytes)/(1<<20)))
	}
	if shards.RefusingWrites > 0 {
		out = append(out, fmt.Sprintf("%d shards have too few copies and refuse writes.", shards.RefusingWrites))
	}
	if shards.Lost > 0 {
		out = append(out, fmt.Sprintf("%d shards are lost: every node that held them is gone.", shards.Lost))
	}
	return out
}

// health says in one word what a configuration promises.
func health(c *wire.ShardConfig) string {
	class := c.Shard.Class()
	switch n := len(c.Members); {
	case c.Lost:
		return "lost"
	case n < wire.MinAck(class):
		return "refusing_writes"
	case n < int(class):
		return "under_replicated"
	}
	return "ok"
}
