package liveness

import (
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

const mib = 1 << 20

// within checks that nobody has to hold more than it offers.
func (c *cluster) within() {
	c.Helper()
	held := map[holo.NodeID]uint64{}
	for k := range c.table.All() {
		for _, m := range append(k.Members[:len(k.Members):len(k.Members)], k.Learner) {
			held[m.Node] += c.bytes
		}
	}
	for id, offers := range c.offers {
		if held[id] > offers {
			c.Fatalf("node %v offers %d MiB and holds %d", id, offers/mib, held[id]/mib)
		}
	}
}

// copies counts what there is, and what is missing of what there should be.
func (c *cluster) copies() (there, missing int) {
	c.Helper()
	for k := range c.table.All() {
		if k.Lost || len(k.Members) == 0 {
			c.Fatalf("shard %d is lost", k.Shard)
		}
		there += len(k.Members)
		missing += int(c.class) - len(k.Members)
	}
	return there, missing
}

// A node dies, and those that are left have room for a part of what it held.
func TestCopiesGoOnlyWhereThereIsRoom(t *testing.T) {
	c := newCluster(t, 4, 2)
	c.bytes, c.offers = mib, map[holo.NodeID]uint64{id(1): 140 * mib, id(2): 150 * mib, id(3): 128 * mib}
	c.silent[4] = true
	c.run(c.timing.Patience() + holo.Second)
	c.heal()
	c.within()
	there, missing := c.copies()
	cramped := c.keeper.Cramped()
	if missing == 0 || there < 140+128 || cramped.Shards != missing || cramped.Bytes != uint64(missing)*mib {
		t.Fatalf("%d copies are there, %d are missing, of which the keeper says %+v", there, missing, cramped)
	}
	c.offers = nil
	c.heal()
	c.wantFull()
	if cramped := c.keeper.Cramped(); cramped != (Cramped{}) {
		t.Errorf("nothing is missing, and the keeper says %+v", cramped)
	}
}

// Nothing is moved where there is no room for it, though that would be more even.
func TestMovesGoOnlyWhereThereIsRoom(t *testing.T) {
	c := newCluster(t, 3, 2)
	c.bytes, c.offers = mib, map[holo.NodeID]uint64{id(4): 10 * mib}
	c.join(4, 256)
	c.settle(60 * holo.Second)
	c.within()
	if copies, _ := c.share(4); copies != 10 {
		t.Errorf("node 4 has room for 10 copies and holds %d", copies)
	}
}

// A copy arrives in memory, so that a large disk alone is not enough for it.
func TestCopyMustFitIntoHalfTheMemory(t *testing.T) {
	c := newCluster(t, 3, 2)
	c.silent[3] = true
	c.bytes, c.spill = 10*mib, 1<<40
	c.offers = map[holo.NodeID]uint64{id(1): 20*mib - 2, id(2): 20*mib - 2}
	c.run(c.timing.Patience() + holo.Second)
	c.heal()
	if _, missing := c.copies(); missing == 0 || c.keeper.Cramped().Shards != missing {
		t.Errorf("%d copies are missing, %+v", missing, c.keeper.Cramped())
	}
	c.offers = map[holo.NodeID]uint64{id(1): 20 * mib, id(2): 20 * mib}
	c.heal()
	c.wantFull()
}

// Two shards want another member in one moment, and one node has room for one of
// them: what is proposed counts before it is committed, at once and beats later.
func TestLearnersThatAreChosenAtOnceFitTogether(t *testing.T) {
	c := newCluster(t, 4, 2)
	c.bytes, c.offers = mib, map[holo.NodeID]uint64{}
	for n := range 4 {
		c.offers[id(n+1)] = 0
	}
	c.offers[id(4)] = mib
	for k := range c.table.All() {
		for _, m := range k.Members {
			c.offers[m.Node] += mib
		}
	}
	c.held = true
	asked := 0
	for k := range c.table.All() {
		if asked < 4 && !k.Has(id(4)) {
			asked++
			other := k.Members[slices.IndexFunc(k.Members, func(m wire.Member) bool { return m.Node != k.Primary })].Node
			by := c.member(int(k.Primary[0]))
			c.keeper.Request(c.now, k.Primary, &wire.ShardShrink{Shard: k.Shard, Epoch: k.Epoch, By: by, Drop: other})
			if asked%2 == 0 { // two in one tick, and two when their proposals were made long ago
				c.run(2 * c.timing.Beat)
			}
		}
	}
	if len(c.kept) == 0 {
		t.Fatal("no learner was proposed")
	}
	c.apply(c.kept)
	c.within()
}
