package liveness

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// N-05: what a draining node holds is moved, each shard with as many copies as
// before at every moment, whatever their number.
func TestDrainingNodeIsRelievedAndNoShardHasFewerCopies(t *testing.T) {
	for class := holo.Class(1); class <= 3; class++ {
		c := newCluster(t, int(class)+1, class)
		c.begin()
		c.must(c.table.Drain(id(1), true))
		before := c.table.Held(id(1))
		if before == 0 {
			t.Fatalf("%d copies: the node holds nothing", class)
		}
		most := 0
		for range 400 {
			c.promoteLearners()
			c.obeyHints()
			c.run(100 * ms)
			learners := 0
			for k := range c.table.All() {
				if len(k.Members) < int(class) || k.Lost {
					t.Fatalf("%d copies: shard %d has %d members on the way", class, k.Shard, len(k.Members))
				}
				if k.Learner != (wire.Member{}) {
					learners++
				}
			}
			most = max(most, learners)
		}
		if n := c.table.Held(id(1)); n != 0 {
			t.Errorf("%d copies: of %d shards %d are still there", class, before, n)
		}
		if most > maxMoves {
			t.Errorf("%d copies: %d shards moved at once, at most %d", class, most, maxMoves)
		}
		c.wantFull()
		c.wantDeaths()
	}
}

// A drain that is taken back leaves every shard with its copies.
func TestDrainTakenBackHalfway(t *testing.T) {
	c := newCluster(t, 3, 2)
	c.begin()
	c.must(c.table.Drain(id(2), true))
	for range 10 {
		c.promoteLearners()
		c.obeyHints()
		c.run(100 * ms)
	}
	left := c.table.Held(id(2))
	c.begin()
	c.must(c.table.Drain(id(2), false))
	c.heal()
	c.wantFull()
	if n := c.table.Held(id(2)); left == 0 || n == 0 {
		t.Errorf("it held %d shards halfway, and holds %d", left, n)
	}
}

// Who has too few copies comes before who only moves.
func TestRepairComesBeforeMoves(t *testing.T) {
	c := newCluster(t, 5, 2)
	c.silent[5], c.held = true, true
	c.run(c.timing.Patience() + 50*ms)
	c.apply(c.kept)
	c.wantDeaths(5)
	c.begin()
	c.must(c.table.Drain(id(1), true))
	c.kept = nil
	c.run(200 * ms)
	for _, m := range c.kept {
		l, ok := m.(*wire.ShardLearner)
		if k := c.config(l.Shard); ok && len(k.Members) > 1 {
			t.Fatalf("shard %d moves while others have one copy", l.Shard)
		}
	}
	if len(c.kept) == 0 {
		t.Error("nothing is repaired")
	}
}

// A dead node is not taken for one that is gone for good: what drains keeps its
// copy until there are as many without it, and is relieved when the dead node is
// back.
func TestDrainWaitsForANodeThatDied(t *testing.T) {
	c := newCluster(t, 4, 3)
	c.silent[4] = true
	c.run(c.timing.Patience() + holo.Second)
	c.begin()
	c.must(c.table.Drain(id(1), true))
	before := c.table.Held(id(1))
	step := func() { c.promoteLearners(); c.obeyHints(); c.run(100 * ms) }
	for range 200 {
		step()
		if n := c.table.Held(id(1)); n != before {
			t.Fatalf("of %d copies on the node that drains %d are left, and three have no other place", before, n)
		}
	}
	for k := range c.table.All() {
		if k.Has(id(1)) && len(k.Members) != 3 {
			t.Errorf("shard %d has %d members", k.Shard, len(k.Members))
		}
	}
	c.silent[4] = false
	for range 400 {
		step()
	}
	if n := c.table.Held(id(1)); n != 0 {
		t.Errorf("the node is back, and %d shards are still on the one that drains", n)
	}
	c.wantFull()
}
