package node

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
	"github.com/holocompute/holocompute/kernels"
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

	awaitCopies(t, c.nodes[0], id) // of a shard that is moved there may be one more, and none is made anew
	victim := choose(c)
	lost := c.copied(id, c.nodes[victim])
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
	awaitCopies(t, survivor, id)
	if c.wantCopiesRecorded(lost); lost == 0 {
		t.Error("the node that died held nothing")
	}
}

// awaitCopies waits until every extent of an array has all its copies.
func awaitCopies(t *testing.T, n *Node, id holo.ArrayID) {
	t.Helper()
	await(t, "all shards have two copies", func() bool {
		extents, err := n.Pages(context.Background(), door.Caller{}, id)
		short := slices.ContainsFunc(extents, func(e *holov1.Extent) bool { return e.State != "ok" || len(e.Members) != 2 })
		return err == nil && len(extents) == victimBytes>>20 && !short
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
	_, err := c.pushes(ctx, c.nodes[1], "basic", kernels.Get("basic"))
	must(t, err)
	var chain int
	c.nodes[0].catalog.read(func(cat *catalog.Catalog) { chain = len(cat.Chain()) })
	var catalogue []byte
	var epochs map[holo.ShardID]holo.Epoch
	await(t, "the nodes' agreeing on the catalogue", func() bool {
		catalogue, epochs = lasting(t, c.nodes[0])
		one, _ := lasting(t, c.nodes[1])
		two, _ := lasting(t, c.nodes[2])
		return bytes.Equal(catalogue, one) && bytes.Equal(catalogue, two)
	})
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
		sameCatalogue(t, n, catalogue, epochs)
	}
	// The memory is gone with the processes, and that is what is said: never zeros.
	err = c.nodes[1].ReadRange(ctx, holo.ArrayID(before.Id), 0, make([]byte, 8))
	wantRefused(t, err, holo.DataLost, reasonLost)
	again := c.create(c.nodes[2], "fresh", 1<<20)
	data := noise(4, 1<<20)
	must(t, c.nodes[2].WriteRange(ctx, holo.ArrayID(again.Id), 0, data))
	wantBytes(t, c.nodes[0], again.Id, 0, data)
	err = c.nodes[1].ReadRange(ctx, holo.ArrayID(before.Id), 0, make([]byte, 8))
	wantRefused(t, err, holo.DataLost, reasonLost)
}

// lasting is the bytes of the whole catalogue without what a restart itself changes:
// where nodes are and what program they run, which life of which of them holds a
// shard, what was lost with their memory, and what was said for it all. The epochs of
// the shards go beside it: they never fall.
func lasting(t *testing.T, n *Node) (rest []byte, epochs map[holo.ShardID]holo.Epoch) {
	t.Helper()
	snapshot, err := n.catalog.Snapshot()
	must(t, err)
	epochs = map[holo.ShardID]holo.Epoch{}
	for len(snapshot) > 0 {
		length := binary.LittleEndian.Uint32(snapshot)
		m, err := wire.Decode(snapshot[4 : 4+length])
		must(t, err)
		snapshot = snapshot[4+length:]
		switch m := m.(type) {
		case *wire.NodeRecord, *wire.NodeProgram, *wire.Stamps, *wire.Answered:
			continue
		case *wire.ShardTable:
			for _, s := range m.Slots {
				epochs[s.Config.Shard] = s.Config.Epoch
			}
			continue
		case *wire.CatalogHead:
			m.Version = 0
		case *wire.ArrayRecord:
			clear(m.Lost[:])
		}
		rest = wire.Append(rest, m)
	}
	return rest, epochs
}

// sameCatalogue wants a node to come to have a catalogue that all had before.
func sameCatalogue(t *testing.T, n *Node, before []byte, epochs map[holo.ShardID]holo.Epoch) {
	t.Helper()
	await(t, "the catalogue of before", func() bool {
		after, _ := lasting(t, n)
		return bytes.Equal(after, before)
	})
	_, after := lasting(t, n)
	for s, epoch := range epochs {
		if after[s] < epoch {
			t.Errorf("shard %d is in epoch %d after the restart, was in %d", s, after[s], epoch)
		}
	}
	if len(before) < 500 || len(epochs) == 0 {
		t.Errorf("only %d bytes and %d shards were compared", len(before), len(epochs))
	}
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

// Each node is stopped and started again, the next one when every page has two
// copies: all the time another node reads, and no read fails or shows other bytes.
func TestEveryNodeIsRestartedInTurnAndNoReadFails(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	a := c.create(c.nodes[0], "kept", victimBytes)
	id, data := holo.ArrayID(a.Id), noise(11, victimBytes)
	must(t, c.nodes[0].WriteRange(t.Context(), id, 0, data))
	awaitCopies(t, c.nodes[0], id)
	for i, n := range c.nodes {
		reader := c.nodes[(i+1)%len(c.nodes)]
		done, failed := make(chan struct{}), make(chan error, 1)
		go func() { failed <- readsAlike(reader, id, data, done) }()
		must(t, n.Close())
		c.nodes[i] = nil
		c.start(i)
		c.settle() // the life before is over by then, and its copies count no more
		awaitCopies(t, reader, id)
		close(done)
		must(t, <-failed)
	}
	for _, n := range c.nodes {
		wantBytes(t, n, a.Id, 0, data)
	}
}

// readsAlike reads an array again and again until done, and tells the first read
// that fails or gives other bytes.
func readsAlike(n *Node, id holo.ArrayID, want []byte, done <-chan struct{}) error {
	for got := make([]byte, len(want)); ; clear(got) {
		if err := n.ReadRange(context.Background(), id, 0, got); err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return errors.New("a read gives other bytes than were acknowledged")
		}
		select {
		case <-done:
			return nil
		default:
		}
	}
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
