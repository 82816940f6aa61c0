package liveness

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// left is what Uneven says of the cluster's shards.
func (c *cluster) left() (copies, leads int) {
	var all []wire.ShardConfig
	for k := range c.table.All() {
		all = append(all, *k)
	}
	return Uneven(c.table.Open(), all, c)
}

// Who asks gets what is a little uneven evened out to the end, and without that
// nobody touches it.
func TestEveningOutThatIsAskedForGoesToTheEnd(t *testing.T) {
	for class := holo.Class(1); class <= 2; class++ {
		c := newCluster(t, 4, class)
		copies, leads := c.left()
		if copies+leads == 0 {
			t.Fatalf("%d copies: the placement is even already", class)
		}
		c.settle(c.timing.Settle + holo.Second)
		if again, _ := c.left(); again != copies {
			t.Fatalf("%d copies: %d moves were left, and %d are when nobody asked", class, copies, again)
		}
		c.applied = nil
		c.keeper.EvenOut(c.now)
		c.settle(20 * holo.Second)
		c.wantFull()
		if copies, leads := c.left(); copies+leads != 0 {
			t.Errorf("%d copies: %d copies and %d leads are left to move", class, copies, leads)
		}
		moved := 0
		for _, m := range c.applied {
			if _, ok := m.(*wire.ShardPromote); ok {
				moved++
			}
		}
		if moved != copies {
			t.Errorf("%d copies: %d were to be moved, and %d were", class, copies, moved)
		}
	}
}

// Who asks does not wait for the nodes that are there to settle; those that come
// later have to.
func TestEveningOutThatIsAskedForTakesWhoIsThere(t *testing.T) {
	c := newCluster(t, 3, 2)
	c.join(4, 256)
	c.run(holo.Second)
	c.keeper.EvenOut(c.now)
	c.join(5, 256)
	c.run(holo.Second)
	c.settle(c.timing.Settle - 3*holo.Second)
	if copies, _ := c.share(4); copies < 8 {
		t.Errorf("before it is settled the node that was there has %d copies", copies)
	}
	if copies, _ := c.share(5); copies != 0 {
		t.Errorf("before it is settled the node that came later has %d copies", copies)
	}
	c.settle(c.timing.Settle + 40*holo.Second)
	c.wantFull()
	if copies, leads := c.left(); copies+leads != 0 {
		t.Errorf("%d copies and %d leads are left to move", copies, leads)
	}
}

// However often somebody asks, what moves keeps to the rate.
func TestEveningOutThatIsAskedForKeepsToItsRate(t *testing.T) {
	c := newCluster(t, 3, 2)
	c.bytes, c.keeper.timing.MoveRate = 4<<20, 8<<20
	c.join(4, 256)
	c.run(holo.Second)
	began := c.now
	for range 100 {
		c.keeper.EvenOut(c.now)
		c.settle(200 * ms)
		copies, _ := c.share(4)
		if most := 2*int(c.now.Sub(began)/holo.Second) + 3; copies > most {
			t.Fatalf("%d copies of 4 MiB are moved in %v at 8 MiB a second, at most %d", copies, c.now.Sub(began), most)
		}
	}
	if copies, _ := c.share(4); copies < 20 {
		t.Errorf("after 20 s at two a second %d copies are moved", copies)
	}
}

// What no move can make more even is not counted: three copies on three nodes
// cannot follow the weights, though the leads can, and a node alone has nobody to
// give to.
func TestUnevenCountsOnlyWhatCanBeMoved(t *testing.T) {
	c := newCluster(t, 3, 3)
	c.must(c.table.Admit(id(1), 4096))
	if copies, leads := c.left(); copies != 0 || leads < holo.ShardCount/3 {
		t.Errorf("%d copies and %d leads are left to move, want none and most of two nodes'", copies, leads)
	}
	c = newCluster(t, 1, 1)
	if copies, leads := c.left(); copies+leads != 0 {
		t.Errorf("on one node %d copies and %d leads are left to move", copies, leads)
	}
}

// Who has no room is passed by: the next is given its share, and nothing is said to
// be left that nobody can take.
func TestEveningOutPassesByWhoHasNoRoom(t *testing.T) {
	c := newCluster(t, 3, 2)
	c.bytes = mib
	c.offers = map[holo.NodeID]uint64{id(4): mib / 2}
	c.join(4, 256)
	c.join(5, 256)
	c.run(holo.Second)
	if copies, _ := c.left(); copies < 100 {
		t.Fatalf("%d copies are to be moved, want those of a node that came", copies)
	}
	c.keeper.EvenOut(c.now)
	c.settle(40 * holo.Second)
	c.wantFull()
	c.within()
	if none, _ := c.share(4); none != 0 {
		t.Errorf("the node without room has %d copies", none)
	}
	if copies, _ := c.share(5); copies < 2*holo.ShardCount/4 {
		t.Errorf("the other one has %d copies, want a quarter of all", copies)
	}
	if copies, leads := c.left(); copies+leads != 0 {
		t.Errorf("%d copies and %d leads are left to move", copies, leads)
	}
}
