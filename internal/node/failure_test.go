package node

import (
	"context"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

const victimBytes = 4 << 20

// killOne writes an array through one node, kills another, and wants every
// acknowledged byte back and new writes taken.
func killOne(t *testing.T, choose func(c *cluster) int) {
	c := newCluster(t, 3)
	ctx := context.Background()
	a := c.create(c.nodes[0], "kept", victimBytes)
	id := holo.ArrayID(a.Id)
	data := noise(2, victimBytes)
	must(t, c.nodes[0].WriteRange(ctx, id, 0, data))

	victim := choose(c)
	c.kill(victim)
	for _, n := range c.live() {
		wantBytes(t, n, a.Id, 0, data)
	}
	survivor := c.live()[0]
	for i := 0; i < 8; i++ { // writes resume when a second copy is there again
		part := noise(uint64(10+i), victimBytes/8)
		offset := uint64(i * victimBytes / 8)
		await(t, "a write is acknowledged", func() bool { return survivor.WriteRange(ctx, id, offset, part) == nil })
		copy(data[offset:], part)
	}
	for _, n := range c.live() {
		wantBytes(t, n, a.Id, 0, data)
	}
	await(t, "all shards have two copies again", func() bool {
		extents, err := survivor.Pages(ctx, door.Caller{}, id)
		return err == nil && len(extents) == 4 && extents[0].State == "ok" && extents[1].State == "ok" && extents[2].State == "ok" && extents[3].State == "ok"
	})
}

func TestAcknowledgedWritesSurviveTheDeathOfANode(t *testing.T) {
	t.Parallel()
	killOne(t, func(c *cluster) int {
		return slices.IndexFunc(c.nodes, func(n *Node) bool { return !n.consensus.IsLeader() && n != c.nodes[0] })
	})
}

func TestAcknowledgedWritesSurviveTheDeathOfTheRaftLeader(t *testing.T) {
	t.Parallel()
	killOne(t, func(c *cluster) int {
		return slices.IndexFunc(c.nodes, func(n *Node) bool { return n.consensus.IsLeader() })
	})
}

func TestRestartOfAllNodesBringsTheSameCatalogueBack(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx := context.Background()
	before := c.create(c.nodes[0], "name", 1<<20)
	must(t, c.nodes[0].WriteRange(ctx, holo.ArrayID(before.Id), 0, noise(3, 1<<20)))
	var chain int
	c.nodes[0].catalog.read(func(cat *catalog.Catalog) { chain = len(cat.Chain()) })
	for i, n := range c.nodes {
		must(t, n.Close())
		c.nodes[i] = nil
	}
	for i := range c.nodes {
		c.start(i)
	}
	c.settle()
	for _, n := range c.nodes {
		after, err := n.GetArray(ctx, door.Caller{}, "name")
		must(t, err)
		if after.Id != before.Id || after.Length != before.Length || after.Type != before.Type {
			t.Errorf("array is %v after the restart, was %v", after, before)
		}
		if _, members := n.members.at(); members != chain {
			t.Errorf("node %s knows %d membership records, want %d", n.self, members, chain)
		}
	}
	// The memory is gone with the processes, and that is what is said: never zeros.
	err := c.nodes[1].ReadRange(ctx, holo.ArrayID(before.Id), 0, make([]byte, 8))
	wantRefused(t, err, holo.DataLost, reasonLost)
	again := c.create(c.nodes[2], "fresh", 1<<20)
	data := noise(4, 1<<20)
	must(t, c.nodes[2].WriteRange(ctx, holo.ArrayID(again.Id), 0, data))
	wantBytes(t, c.nodes[0], again.Id, 0, data)
	err = c.nodes[1].ReadRange(ctx, holo.ArrayID(before.Id), 0, make([]byte, 8))
	wantRefused(t, err, holo.DataLost, reasonLost)
}

func TestRestartedNodeComesBackEmptyAndIsFilledAgain(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ctx := context.Background()
	a := c.create(c.nodes[0], "kept", victimBytes)
	data := noise(5, victimBytes)
	must(t, c.nodes[0].WriteRange(ctx, holo.ArrayID(a.Id), 0, data))
	victim := c.kill(2)
	c.start(2)
	if c.nodes[2].incarnation == victim.incarnation {
		t.Fatal("the restarted process has the incarnation of the one before")
	}
	c.settle()
	wantBytes(t, c.nodes[2], a.Id, 0, data)
	must(t, c.nodes[2].WriteRange(ctx, holo.ArrayID(a.Id), 0, data[:8]))
}

// A voter that knows of no leader is told leases and configurations by voters,
// and by whom a voter named, and not by any member that says that it leads: it
// would follow that one's Raft too.
func TestVoterWithoutALeaderBelievesNoOtherMember(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	n, voter, other := c.nodes[0], c.nodes[1].self, holo.NodeID{9}
	c.kill(1)
	c.kill(2)
	await(t, "nobody leads", func() bool { _, known := n.consensus.Leader(); return !known })
	tells := func(from holo.NodeID) (ok bool) {
		must(t, n.turns.Do(t.Context(), func(holo.Time) { ok = n.loop.mayTell(from, &wire.Grant{}) }))
		return ok
	}
	if tells(other) || !tells(voter) {
		t.Error("a member that does not vote is believed, or a voter is not")
	}
	n.vouch(holo.NodeID{8}, other)
	if tells(other) {
		t.Error("it is believed because another like it said so")
	}
	if n.vouch(voter, other); !tells(other) {
		t.Error("a voter's word does not count")
	}
}
