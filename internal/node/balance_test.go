package node

import (
	"context"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

func (c *cluster) balance(by *Node) *holov1.BalanceResponse {
	c.t.Helper()
	b, err := by.Balance(context.Background(), door.Caller{})
	must(c.t, err)
	return b
}

// tip has a few shards handed from one node to another.
func (c *cluster) tip(from, to *Node, count int) {
	c.t.Helper()
	lead := c.nodes[slices.IndexFunc(c.nodes, func(n *Node) bool { return n.consensus.IsLeader() })]
	var shards []holo.ShardID
	lead.catalog.read(func(cat *catalog.Catalog) {
		for s := range cat.Shards().All() {
			if s.Primary == from.self && s.Has(to.self) && len(shards) < count {
				shards = append(shards, s.Shard)
			}
		}
	})
	must(c.t, lead.turns.Do(context.Background(), func(holo.Time) {
		for _, s := range shards {
			lead.loop.send(wire.Envelope{To: from.self, Msg: &wire.Handoff{Shard: s, To: to.self}}, transport.Control)
		}
	}))
}

// What is a little uneven stays so until somebody asks, any node; then it is
// evened out as far as whole shards allow, and nothing is lost.
func TestRebalanceGoesToTheEnd(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx := context.Background()
	i := slices.IndexFunc(c.nodes, func(n *Node) bool { return !n.consensus.IsLeader() })
	by := c.nodes[i]
	a := c.create(by, "twice", 4<<20)
	data := noise(9, 4<<20)
	must(t, by.WriteRange(ctx, holo.ArrayID(a.Id), 0, data))
	c.tip(c.nodes[0], c.nodes[1], 8) // 93 and 77 leads: less than a quarter
	await(t, "the leads to be uneven", func() bool { b := c.balance(by); return len(b.Shares) == 3 && b.Leads >= 6 })
	await(t, "the cluster to know the command", func() bool { return by.Protocol() >= wire.Since(&wire.Rebalance{}) })
	ask := &holov1.StartBalanceRequest{}
	must(t, by.StartBalance(ctx, door.Ask(by, c.owner(), holov1connect.BalanceServiceStartProcedure, ask)))
	await(t, "no move to be left", func() bool { b := c.balance(by); return b.Copies+b.Leads == 0 })
	for _, s := range c.balance(by).Shares {
		if want := uint32(2 * holo.ShardCount / 3); s.Copies < want || s.Copies > want+1 {
			t.Errorf("node %s has %d copies, want %d or one more", s.Name, s.Copies, want)
		}
	}
	for _, n := range c.nodes {
		wantBytes(t, n, a.Id, 0, data)
	}
}

// What comes before evening out is told, and who takes on nothing has no share.
func TestBalanceTellsWhatComesFirst(t *testing.T) {
	id := func(n byte) holo.NodeID { return holo.NodeID{n} }
	config := func(primary byte, members ...byte) wire.ShardConfig {
		c := wire.ShardConfig{Shard: holo.MakeShardID(2, 0), Primary: id(primary)}
		for _, m := range members {
			c.Members = append(c.Members, wire.Member{Node: id(m), Incarnation: 1})
		}
		return c
	}
	node := func(n byte, draining bool, held uint32) *wire.NodeRecord {
		return &wire.NodeRecord{Node: id(n), Name: string('a' + rune(n)), Alive: true, Draining: draining, Held: held, Place: wire.Place{Capacity: 64 << 20, Spill: 64 << 20}}
	}
	for _, c := range []struct {
		what    string
		nodes   []*wire.NodeRecord
		configs []wire.ShardConfig
		shares  int
		waits   string
	}{
		{"even", []*wire.NodeRecord{node(1, false, 0), node(2, false, 0)}, []wire.ShardConfig{config(1, 1, 2)}, 2, ""},
		{"a copy is missing", []*wire.NodeRecord{node(1, false, 0), node(2, false, 0)}, []wire.ShardConfig{config(1, 1)}, 2, "1 shards lack copies: those are made first"},
		{"a node drains", []*wire.NodeRecord{node(1, false, 0), node(2, false, 0), node(3, true, 1)}, []wire.ShardConfig{config(1, 1, 3)}, 2, "node d drains: what it holds is moved first"},
		{"a node is drained", []*wire.NodeRecord{node(1, false, 0), node(2, false, 0), node(3, true, 0)}, []wire.ShardConfig{config(1, 1, 2)}, 2, ""},
	} {
		b := balanceOf(c.nodes, c.configs, nil)
		if b.Waits != c.waits || len(b.Shares) != c.shares || b.Shares[0].OffersBytes != 128<<20 {
			t.Errorf("%s: %v", c.what, b)
		}
	}
}

// What a node has no room for is not told as a move that is left.
func TestBalanceCountsNoMoveWithoutRoom(t *testing.T) {
	var configs []wire.ShardConfig
	bytes := map[holo.ShardID]uint64{}
	for i := range uint64(8) {
		s := holo.MakeShardID(1, i)
		configs = append(configs, wire.ShardConfig{Shard: s, Primary: holo.NodeID{1}, Members: []wire.Member{{Node: holo.NodeID{1}, Incarnation: 1}}})
		bytes[s] = 16 << 20
	}
	nodes := []*wire.NodeRecord{{Node: holo.NodeID{1}, Alive: true}, {Node: holo.NodeID{2}, Alive: true}}
	for _, n := range nodes {
		n.Place.Capacity = 128 << 20
	}
	for memory, want := range map[uint64]uint32{128 << 20: 4, 31 << 20: 0} { // a copy that arrives is in half of the memory
		nodes[1].Place.Capacity, nodes[1].Place.Spill = memory, 128<<20-memory
		if b := balanceOf(nodes, configs, bytes); b.Copies != want {
			t.Errorf("to a node of %d MiB of memory %d copies of 16 MiB are to be moved, want %d", memory>>20, b.Copies, want)
		}
	}
}

// Nor does a node that does not vote, whose replica knows no arrays: it would wait
// for such moves to the end of its patience.
func TestNodeThatDoesNotVoteKnowsWhatShardsTake(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	leader, other := c.nodes[0], c.nodes[1]
	c.create(other, "one", 2<<20)
	c.create(other, "two", 1<<20+holo.PageSize)
	var configs []wire.ShardConfig
	leader.catalog.read(func(cat *catalog.Catalog) {
		for s := range cat.Shards().All() {
			configs = append(configs, *s)
		}
	})
	want, err := leader.bytesOf(t.Context(), configs)
	must(t, err)
	got, err := other.bytesOf(t.Context(), configs)
	must(t, err)
	sum := uint64(0)
	for _, s := range configs {
		if sum += got[s.Shard]; got[s.Shard] != want[s.Shard] {
			t.Errorf("shard %d takes %d bytes, %d by who does not vote", s.Shard, want[s.Shard], got[s.Shard])
		}
	}
	if sum != 3<<20+holo.PageSize {
		t.Errorf("all shards take %d bytes", sum)
	}
}
