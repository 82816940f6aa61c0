package liveness

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

func TestDeathIsRepairedToTheWantedCopies(t *testing.T) {
	c := newCluster(t, 4, 2)
	c.silent[4] = true
	c.run(c.timing.Patience() + holo.Second)
	c.heal()
	c.wantFull()
	for k := range c.table.All() {
		if k.Has(id(4)) {
			t.Fatalf("shard %d has the dead node", k.Shard)
		}
	}
}

func TestReturnedNodeIsUsedAgain(t *testing.T) {
	c := newCluster(t, 2, 2)
	c.silent[2] = true
	c.run(c.timing.Patience() + holo.Second)
	for k := range c.table.All() {
		if len(k.Members) != 1 || len(k.Suspended) != 1 {
			t.Fatalf("shard %d: %d members, %d suspended", k.Shard, len(k.Members), len(k.Suspended))
		}
	}
	c.silent[2] = false
	c.run(holo.Second)
	c.heal()
	c.wantFull()
}

func TestFewestCopiesAreRepairedFirst(t *testing.T) {
	c := newCluster(t, 6, 3)
	c.silent[5], c.silent[6], c.held = true, true, true
	c.run(c.timing.Patience() + 50*ms)
	c.apply(c.kept) // both at once: shards of one, two and three copies
	c.wantDeaths(5, 6)
	c.kept = nil
	c.run(200 * ms)
	count, last := map[int]int{}, 0
	for _, m := range c.kept {
		n := len(c.config(m.(*wire.ShardLearner).Shard).Members)
		if n < last {
			t.Fatalf("a shard of %d copies is repaired after one of %d", n, last)
		}
		last = n
		count[n]++
	}
	if count[1] == 0 || count[2] == 0 {
		t.Fatalf("repairs by copies left: %v", count)
	}
}

// Where the primary was lost a read may wait for the second copy, so of shards with
// as many copies those come first.
func TestShardsThatLostTheirPrimaryAreRepairedFirst(t *testing.T) {
	c := newCluster(t, 4, 2)
	homes := map[holo.ShardID]holo.NodeID{}
	for k := range c.table.All() {
		homes[k.Shard] = k.Primary
	}
	c.silent[4], c.held = true, true
	c.run(c.timing.Patience() + 50*ms)
	c.apply(c.kept)
	c.wantDeaths(4)
	c.kept = nil
	c.run(200 * ms)
	first := 0
	for _, m := range c.kept {
		if l, ok := m.(*wire.ShardLearner); ok && homes[l.Shard] == id(4) {
			first++
		} else if ok {
			t.Fatalf("shard %d is repaired after %d that lost their primary, and others did too", l.Shard, first)
		}
		if first == maxLearners/2 {
			return
		}
	}
	t.Fatalf("%d shards without their primary are repaired", first)
}

func TestLearnersAreBounded(t *testing.T) {
	c := newCluster(t, 3, 2)
	c.silent[3] = true
	c.run(c.timing.Patience() + 3*holo.Second)
	n := 0
	for k := range c.table.All() {
		if k.Learner != (wire.Member{}) {
			n++
		}
	}
	if n != maxLearners {
		t.Errorf("%d learners at work, want %d", n, maxLearners)
	}
}

func TestSlowMemberIsReplacedBeforeItIsRemoved(t *testing.T) {
	c := newCluster(t, 3, 2)
	s := c.shardOf(1, 2)
	shrink := func() {
		k := c.config(s)
		c.keeper.Request(c.now, id(1), &wire.ShardShrink{Shard: s, Epoch: k.Epoch, By: c.member(1), Drop: id(2)})
	}
	shrink()
	c.run(20 * ms)
	if k := c.config(s); k.Epoch != 1 || k.Learner.Node != id(3) {
		t.Fatalf("after the request: epoch %d, learner %s; want a learner first", k.Epoch, k.Learner.Node)
	}
	c.promoteLearners()
	c.run(20 * ms)
	if k := c.config(s); len(k.Members) != 3 {
		t.Fatalf("%d members after the promotion", len(k.Members))
	}
	c.sent = nil
	for range 70 { // the slow one is slow to the primary, not to the keeper
		c.keeper.Heartbeat(c.now, id(2), &wire.Heartbeat{Incarnation: 200})
		c.run(10 * ms)
	}
	c.obeyHints()
	c.run(3 * holo.Second)
	k := c.config(s)
	if len(k.Members) != 2 || k.Has(id(2)) || !k.Has(id(3)) {
		t.Errorf("members %v: want the slow one replaced", k.Members)
	}
}

// threeMembers makes a shard of three members out of one of two.
func threeMembers(c *cluster) holo.ShardID {
	s := c.shardOf(1, 2)
	c.apply([]wire.Message{&wire.ShardLearner{Shard: s, Epoch: 1, Learner: c.member(3)}})
	c.apply([]wire.Message{&wire.ShardPromote{Shard: s, Epoch: 1, By: c.member(1), Learner: c.member(3), Gen: 1}})
	c.run(20 * ms)
	return s
}

func TestDropWaitsForARoundTripOfEveryRemainingMember(t *testing.T) {
	c := newCluster(t, 3, 2)
	s := threeMembers(c)
	c.silent[3] = true
	c.run(c.timing.Beat) // node 3 may have died already
	c.keeper.Request(c.now, id(1), &wire.ShardShrink{Shard: s, Epoch: 2, By: c.member(1), Drop: id(2)})
	// A heartbeat that node 3 sent before it died arrives after the request.
	hb, _ := NewHolder(300, c.timing).Due(c.now)
	hb.LastGrant = c.keeper.base + c.keeper.grants
	c.keeper.Heartbeat(c.now, id(3), hb)
	c.run(2 * holo.Second)
	if k := c.config(s); k.Epoch != 2 {
		t.Fatalf("node 2 was dropped on the word of a heartbeat: members %v", k.Members)
	}
	c.silent[3] = false
	c.run(2 * holo.Second)
	if k := c.config(s); k.Epoch != 3 || k.Has(id(2)) {
		t.Errorf("epoch %d, members %v: the round trip is complete, the drop is due", k.Epoch, k.Members)
	}
}

func TestEchoOfAnotherKeepersGrantCountsForNothing(t *testing.T) {
	c := newCluster(t, 3, 2)
	s := threeMembers(c)
	c.lead(77)
	c.silent[3] = true
	c.run(700 * ms)
	c.keeper.Request(c.now, id(1), &wire.ShardShrink{Shard: s, Epoch: 2, By: c.member(1), Drop: id(2)})
	for _, number := range []uint64{1, c.keeper.base - 1, c.keeper.base + 1_000_000, 1<<64 - 1} {
		c.keeper.Heartbeat(c.now, id(3), &wire.Heartbeat{Incarnation: 300, Sent: 1, LastGrant: number})
	}
	c.run(holo.Second)
	if k := c.config(s); k.Epoch != 2 {
		t.Fatalf("node 2 was dropped on another keeper's round trip: members %v", k.Members)
	}
}

func TestSuperfluousMemberIsTrimmed(t *testing.T) {
	c := newCluster(t, 3, 2)
	s := threeMembers(c)
	c.heal()
	if k := c.config(s); len(k.Members) != 2 || k.Primary != id(1) {
		t.Errorf("members %v, primary %s", k.Members, k.Primary)
	}
}

func TestRequestsOfOthersThanThePrimaryAreRefused(t *testing.T) {
	c := newCluster(t, 3, 3)
	s := c.shardOf(1, 2)
	stale := c.member(1)
	stale.Incarnation++
	for name, r := range map[string]request{
		"a backup":             {id(2), &wire.ShardShrink{Shard: s, Epoch: 1, By: c.member(2), Drop: id(3)}},
		"a backup as another":  {id(2), &wire.ShardShrink{Shard: s, Epoch: 1, By: c.member(1), Drop: id(3)}},
		"another incarnation":  {id(1), &wire.ShardShrink{Shard: s, Epoch: 1, By: stale, Drop: id(3)}},
		"a stale epoch":        {id(1), &wire.ShardShrink{Shard: s, Epoch: 9, By: c.member(1), Drop: id(3)}},
		"the primary itself":   {id(1), &wire.ShardShrink{Shard: s, Epoch: 1, By: c.member(1), Drop: id(1)}},
		"an absent learner":    {id(1), &wire.ShardPromote{Shard: s, Epoch: 1, By: c.member(1), Learner: c.member(3), Gen: 4}},
		"a target not member":  {id(1), &wire.ShardTransfer{Shard: s, Epoch: 1, By: c.member(1), To: id(9)}},
		"a shard that is none": {id(1), &wire.ShardTransfer{Shard: 3, Epoch: 1, By: c.member(1), To: id(2)}},
	} {
		c.applied = nil
		c.keeper.Request(c.now, r.from, r.msg)
		c.run(2 * holo.Second)
		if len(c.applied) > 0 {
			t.Errorf("a request of %s was granted: %T", name, c.applied[0])
		}
	}
	c.keeper.Request(c.now, id(1), &wire.ShardTransfer{Shard: s, Epoch: 1, By: c.member(1), To: id(2)})
	c.run(20 * ms)
	if k := c.config(s); k.Primary != id(2) {
		t.Error("the primary's own request was refused")
	}
}

func TestStaleRequestIsAnsweredWithTheConfiguration(t *testing.T) {
	c := newCluster(t, 2, 2)
	s := c.shardOf(1, 2)
	c.sent = nil
	c.keeper.Request(c.now, id(2), &wire.ShardTransfer{Shard: s, Epoch: 7, By: c.member(2), To: id(1)})
	c.step()
	for _, env := range c.sent {
		if p, ok := env.Msg.(*wire.ConfigPush); ok && env.To == id(2) && len(p.Configs) == 1 && p.Configs[0].Shard == s {
			return
		}
	}
	t.Error("who asks with a stale epoch is not told the new one")
}

func TestChangesArePushedToTheLiving(t *testing.T) {
	c := newCluster(t, 3, 2)
	c.silent[3] = true
	c.run(c.timing.Patience() + holo.Second)
	c.sent = nil
	s := c.shardOf(1, 2)
	c.apply([]wire.Message{&wire.ShardTransfer{Shard: s, Epoch: c.config(s).Epoch, By: c.member(1), To: id(2)}})
	c.step()
	told := map[holo.NodeID]bool{}
	for _, env := range c.sent {
		if _, ok := env.Msg.(*wire.ConfigPush); ok {
			told[env.To] = true
		}
	}
	if !told[id(1)] || !told[id(2)] || told[id(3)] {
		t.Errorf("told: %v", told)
	}
}

func TestStuckLearnerGivesWay(t *testing.T) {
	c := newCluster(t, 4, 2)
	c.silent[4] = true
	c.run(c.timing.Patience() + holo.Second)
	for k := range c.table.All() {
		if k.Learner == (wire.Member{}) || len(k.Members) != 1 {
			continue
		}
		s, first := k.Shard, k.Learner.Node
		for c.config(s).Learner.Node == first && c.now < holo.Time(1e12).Add(300*holo.Second) {
			c.run(holo.Second)
		}
		if k := c.config(s); k.Learner.Node == first || k.Learner == (wire.Member{}) {
			t.Fatalf("shard %d: learner %s for ever", s, first)
		}
		return
	}
	t.Fatal("no shard is being repaired")
}

// What a learner's copy lacks nobody else may have any more. Where no other node
// can take its place, it begins anew.
func TestStuckLearnerBeginsAnewWhereNobodyElseIs(t *testing.T) {
	c := newCluster(t, 3, 2)
	c.silent[3] = true
	c.run(c.timing.Patience() + holo.Second)
	for k := range c.table.All() {
		if k.Learner == (wire.Member{}) || len(k.Members) != 1 {
			continue
		}
		s, first := k.Shard, k.LearnerGen
		c.run(learnerLeases*c.timing.TTL + holo.Second)
		if k := c.config(s); k.LearnerGen == first || k.Learner.Node == k.Primary || k.Learner == (wire.Member{}) {
			t.Fatalf("shard %d: learner %s of generation %d for ever", s, k.Learner.Node, k.LearnerGen)
		}
		return
	}
	t.Fatal("no shard is being repaired")
}
