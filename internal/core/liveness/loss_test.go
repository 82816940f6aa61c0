package liveness

import (
	"math/rand/v2"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Nine nodes for a minute, ten times: with one heartbeat for each beat several of
// them would be called dead.
func TestNobodyIsCalledDeadWhereAFifthOfAllMessagesIsLost(t *testing.T) {
	for seed := range uint64(10) {
		c := newCluster(t, 9, 2)
		c.loss = rand.New(rand.NewPCG(seed, 20))
		for range 6000 {
			c.run(10 * ms)
			for n, h := range c.holders {
				if !h.Valid(c.now) {
					t.Fatalf("seed %d: node %d is without a lease", seed, n)
				}
			}
		}
		c.wantDeaths()
	}
}

// The loss hides no death either.
func TestAKilledNodeIsDeadInTimeWhereAFifthOfAllMessagesIsLost(t *testing.T) {
	for seed := range uint64(10) {
		c := newCluster(t, 9, 2)
		c.loss = rand.New(rand.NewPCG(seed, 20))
		c.run(10 * holo.Second)
		c.silent[3] = true
		c.run(10 * holo.Second)
		c.wantDeaths(3)
	}
}

// The copies of a node that died are made anew, and none on a node that missed two
// heartbeats and may be dead as well.
func TestSuspectedNodeIsGivenNoCopies(t *testing.T) {
	c := newCluster(t, 5, 2)
	c.silent[4] = true
	c.run(3 * c.timing.Beat)
	c.silent[5] = true
	c.run(c.timing.Patience() - c.timing.Beat)
	c.wantDeaths(4)
	learners := 0
	for k := range c.table.All() {
		if k.Learner == (wire.Member{}) {
			continue
		}
		learners++
		if k.Learner.Node == id(5) {
			t.Fatalf("shard %d is to be copied to a node that is suspected", k.Shard)
		}
	}
	if learners == 0 {
		t.Fatal("no copies are made anew")
	}
}
