package liveness

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// join adds a node of a weight, which registers at once.
func (c *cluster) join(n int, weight uint64) {
	c.begin()
	c.must(c.table.Admit(id(n), weight))
	c.holders[n] = NewHolder(incarnation(n), c.timing)
}

// share counts the copies and the leads of a node.
func (c *cluster) share(n int) (copies, leads int) {
	for k := range c.table.All() {
		if k.Has(id(n)) {
			copies++
		}
		if k.Primary == id(n) {
			leads++
		}
	}
	return copies, leads
}

// settle plays the primaries for a time, and looks at every step that no shard
// has fewer copies than its class says and that few are under way.
func (c *cluster) settle(d holo.Duration) {
	c.Helper()
	for end := c.now.Add(d); c.now < end; {
		c.promoteLearners()
		c.obeyHints()
		c.run(100 * ms)
		learners := 0
		for k := range c.table.All() {
			if len(k.Members) < int(c.class) || k.Lost {
				c.Fatalf("shard %d has %d members on the way", k.Shard, len(k.Members))
			}
			if k.Learner != (wire.Member{}) {
				learners++
			}
		}
		if learners > maxMoves {
			c.Fatalf("%d shards move at once, at most %d", learners, maxMoves)
		}
	}
}

// near wants a share within an eighth.
func (c *cluster) near(what string, n, got, want int) {
	c.Helper()
	if got < want-want/8-1 || got > want+want/8+1 {
		c.Errorf("%d copies: node %d has %d %s, want about %d", c.class, n, got, what, want)
	}
}

// A node that joins comes to hold its share and to lead its share, by the weights
// of the nodes, whatever the number of copies, and no shard has fewer copies on
// the way.
func TestNodeThatJoinsComesToHoldItsShare(t *testing.T) {
	for class := holo.Class(1); class <= 3; class++ {
		c := newCluster(t, 3, class)
		c.join(4, 128) // half as big as the others
		c.settle(c.timing.Settle + 60*holo.Second)
		c.wantFull()
		for n, parts := range []int{0, 2, 2, 2, 1} {
			if n > 0 && class < 3 { // three copies on four nodes cannot follow the weights
				copies, leads := c.share(n)
				c.near("copies", n, copies, int(class)*holo.ShardCount*parts/7)
				c.near("leads", n, leads, holo.ShardCount*parts/7)
			}
		}
		if copies, leads := c.share(4); copies == 0 || leads == 0 {
			t.Errorf("%d copies: the new node holds %d and leads %d", class, copies, leads)
		}
		c.applied, c.sent = nil, nil
		c.settle(20 * holo.Second)
		if len(c.applied) != 0 {
			t.Errorf("%d copies: what is even is changed %d times: %T", class, len(c.applied), c.applied[0])
		}
		c.wantDeaths()
	}
}

// A node that is back after its death holds and leads what it did.
func TestReturnedNodeComesToHoldItsShare(t *testing.T) {
	c := newCluster(t, 3, 2)
	c.silent[3] = true
	c.run(c.timing.Patience() + holo.Second)
	c.heal()
	if copies, _ := c.share(3); copies != 0 {
		t.Fatalf("a dead node has %d copies", copies)
	}
	c.silent[3] = false
	c.restart(3, 301)
	c.run(holo.Second)
	c.settle(c.timing.Settle + 40*holo.Second)
	c.wantFull()
	copies, leads := c.share(3)
	c.near("copies", 3, copies, 2*holo.ShardCount/3)
	c.near("leads", 3, leads, holo.ShardCount/3)
}

// A node that is used again after a drain holds its share again.
func TestUndrainedNodeComesToHoldItsShare(t *testing.T) {
	c := newCluster(t, 3, 2)
	c.begin()
	c.must(c.table.Drain(id(1), true))
	c.settle(40 * holo.Second)
	if n := c.table.Held(id(1)); n != 0 {
		t.Fatalf("%d shards are still there", n)
	}
	c.begin()
	c.must(c.table.Drain(id(1), false))
	c.settle(40 * holo.Second)
	c.wantFull()
	copies, leads := c.share(1)
	c.near("copies", 1, copies, 2*holo.ShardCount/3)
	c.near("leads", 1, leads, holo.ShardCount/3)
}

// A node that comes and goes is left alone, and so is what chance made a little
// uneven.
func TestNothingIsMovedWithoutNeed(t *testing.T) {
	c := newCluster(t, 4, 2)
	c.applied = nil
	c.settle(2 * c.timing.Settle)
	if len(c.applied) != 0 {
		t.Errorf("a new cluster is changed %d times: %T", len(c.applied), c.applied[0])
	}
	c.join(5, 256)
	c.run(holo.Second)
	for range 4 {
		c.settle(c.timing.Settle - 4*holo.Second)
		if copies, _ := c.share(5); copies != 0 {
			t.Fatalf("a node that comes and goes got %d copies", copies)
		}
		c.silent[5] = true
		c.run(c.timing.Patience() + holo.Second)
		c.silent[5] = false
		c.restart(5, c.member(5).Incarnation+1)
		c.run(holo.Second)
	}
}

// While a move is under way its node dies: the shard is repaired as any other, and
// no move stays behind.
func TestMoveEndsWhenItsNodeDies(t *testing.T) {
	c := newCluster(t, 3, 2)
	c.join(4, 256)
	c.settle(c.timing.Settle + 2*holo.Second)
	if len(c.keeper.moves) == 0 {
		t.Fatal("nothing is under way")
	}
	c.silent[4] = true
	c.run(c.timing.Patience() + holo.Second)
	c.heal()
	c.heal()
	c.wantFull()
	c.settle(learnerLeases*c.timing.TTL + holo.Second)
	if len(c.keeper.moves) != 0 {
		t.Errorf("%d moves stay behind", len(c.keeper.moves))
	}
	c.wantDeaths(4)
}

// What is moved only to even things out keeps to a rate, by the keeper's time; what
// repairs does not wait for it.
func TestEveningOutKeepsToItsRate(t *testing.T) {
	c := newCluster(t, 3, 2)
	c.bytes, c.keeper.timing.MoveRate = 4<<20, 8<<20
	c.join(4, 256)
	c.settle(c.timing.Settle)
	began := c.now
	for range 40 {
		c.settle(holo.Second)
		copies, _ := c.share(4)
		if most := 2*int(c.now.Sub(began)/holo.Second) + 3; copies > most {
			t.Fatalf("%d copies of 4 MiB are moved in %v at 8 MiB a second, at most %d", copies, c.now.Sub(began), most)
		}
	}
	if copies, _ := c.share(4); copies < 40 {
		t.Errorf("after 40 s at two a second %d copies are moved", copies)
	}
	c.silent[3] = true
	c.run(c.timing.Patience() + holo.Second)
	c.heal()
	c.wantFull()
}
