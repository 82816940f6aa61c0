package placement

import (
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// bench is a table under test with n registered nodes; node i has incarnation
// 100*i at first.
type bench struct {
	*testing.T
	*Table
}

func newBench(t *testing.T, n int, class holo.Class) bench {
	b := bench{t, NewTable()}
	b.Begin(1)
	for i := 1; i <= n; i++ {
		b.must(b.Admit(id(i), 256))
		b.register(i, 100*i)
	}
	b.must(b.Create(class))
	return b
}

func (b bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b bench) lifeOf(n int) uint64 {
	s, _ := b.Seat(id(n))
	return s.Life
}

func (b bench) register(n, inc int) []holo.ShardID {
	b.Helper()
	lost, err := b.Register(&wire.NodeRegister{Node: id(n), Incarnation: holo.Incarnation(inc), Life: b.lifeOf(n)})
	b.must(err)
	return lost
}

func (b bench) die(n int) {
	b.Helper()
	inc, _ := b.Registered(id(n))
	b.must(b.NodeDead(&wire.NodeDead{Node: id(n), Incarnation: inc, Life: b.lifeOf(n)}))
}

func (b bench) member(n int) wire.Member {
	inc, _ := b.Registered(id(n))
	return wire.Member{Node: id(n), Incarnation: inc}
}

// set gives a shard a configuration to start a story from; the first member is
// the primary.
func (b bench) set(shard holo.ShardID, members ...int) {
	c, _ := b.Get(shard)
	c.Members = nil
	for _, n := range members {
		c.Members = append(c.Members, b.member(n))
	}
	c.Primary = id(members[0])
	b.put(c)
}

func (b bench) get(shard holo.ShardID) wire.ShardConfig {
	c, _ := b.Get(shard)
	b.must(b.Check(&c))
	return c
}

func nodes(ms []wire.Member) (ns []int) {
	for _, m := range ms {
		ns = append(ns, int(m.Node[0]))
	}
	return ns
}

func (b bench) want(shard holo.ShardID, epoch holo.Epoch, primary int, members, suspended []int) {
	b.Helper()
	c := b.get(shard)
	if c.Epoch != epoch || c.Primary != id(primary) || !slices.Equal(nodes(c.Members), members) || !slices.Equal(nodes(c.Suspended), suspended) {
		b.Fatalf("shard %d: epoch %d primary %d members %v suspended %v; want %d %d %v %v",
			shard, c.Epoch, c.Primary[0], nodes(c.Members), nodes(c.Suspended), epoch, primary, members, suspended)
	}
}

// s2 is a shard of two copies, s1 and s3 of one and of three.
var s1, s2, s3 = holo.MakeShardID(1, 7), holo.MakeShardID(2, 7), holo.MakeShardID(3, 7)

func TestDeadPrimaryIsFollowedByAMemberAndSuspendedBelowMinAck(t *testing.T) {
	b := newBench(t, 3, 2)
	b.set(s2, 1, 2)
	b.die(1)
	b.want(s2, 2, 2, []int{2}, []int{1})
}

func TestDeadMemberOfThreeIsNotSuspended(t *testing.T) {
	b := newBench(t, 3, 3)
	b.set(s3, 1, 2, 3)
	b.die(3)
	b.want(s3, 2, 1, []int{1, 2}, nil)
	b.die(2)
	b.want(s3, 3, 1, []int{1}, []int{2})
}

func TestSoleMemberWhoseLeaseRanOutStaysWhenNobodyElseHoldsTheData(t *testing.T) {
	b := newBench(t, 1, 1)
	b.die(1)
	b.want(s1, 1, 1, []int{1}, nil)
	b.register(1, 100) // the same life: its memory is there
	b.want(s1, 1, 1, []int{1}, nil)
}

func TestSuspendedNodeReturnsWhenTheSoleMemberIsDead(t *testing.T) {
	b := newBench(t, 2, 2)
	b.set(s2, 1, 2)
	b.die(2)
	b.die(1) // nobody to turn to: 2 is dead as well
	b.want(s2, 2, 1, []int{1}, []int{2})
	b.register(2, 200)
	b.want(s2, 3, 2, []int{2}, []int{1})
}

func TestLivingSuspendedNodeFollowsAtOnce(t *testing.T) {
	b := newBench(t, 2, 2)
	b.set(s2, 1, 2)
	b.die(2)
	b.register(2, 200)
	b.want(s2, 2, 1, []int{1}, []int{2})
	b.die(1)
	b.want(s2, 3, 2, []int{2}, []int{1})
}

func TestLostMemoryFallsBackToSuspendedEvenADeadOne(t *testing.T) {
	b := newBench(t, 2, 2)
	b.set(s2, 1, 2)
	b.die(2)
	if lost := b.register(1, 101); len(lost) != 0 {
		t.Fatalf("shards %v lost though node 2 holds every acknowledged write", lost)
	}
	b.want(s2, 3, 2, []int{2}, nil) // 1 is empty: not suspended
}

func TestLostOnlyWhenNobodyCanHoldTheData(t *testing.T) {
	b := newBench(t, 2, 2)
	b.set(s2, 1, 2)
	b.die(2)
	if lost := b.register(2, 201); slices.Contains(lost, s2) {
		t.Fatal("lost though node 1 holds it")
	}
	b.want(s2, 2, 1, []int{1}, nil) // 2 came back empty: no longer suspended
	lost := b.register(1, 101)
	if !slices.Contains(lost, s2) {
		t.Fatal("not lost though both memories are gone")
	}
	if c := b.get(s2); !c.Lost || c.Epoch != 3 {
		t.Errorf("lost %v at epoch %d", c.Lost, c.Epoch)
	}
	b.must(b.Recover(s2))
	if c := b.get(s2); c.Lost || c.Epoch != 4 || len(c.Members) != 2 {
		t.Errorf("after recovery: lost %v epoch %d members %v", c.Lost, c.Epoch, nodes(c.Members))
	}
}

func TestNewIncarnationLeavesEveryConfiguration(t *testing.T) {
	b := newBench(t, 3, 2)
	b.set(s2, 1, 2)
	b.must(b.SetLearner(&wire.ShardLearner{Shard: s2, Epoch: 1, Learner: b.member(3)}))
	b.register(3, 301)
	if c := b.get(s2); c.Learner != (wire.Member{}) || c.LearnerGen != 2 {
		t.Errorf("learner %v of generation %d after its restart", c.Learner, c.LearnerGen)
	}
	b.register(1, 101)
	b.want(s2, 2, 2, []int{2}, nil)
}

func TestRetiredIncarnationNeverReturns(t *testing.T) {
	b := newBench(t, 1, 1)
	b.register(1, 101)
	_, err := b.Register(&wire.NodeRegister{Node: id(1), Incarnation: 100, Life: b.lifeOf(1)})
	if holo.ReasonOf(err) != ReasonStaleLife {
		t.Errorf("the dead incarnation was registered again: %v", err)
	}
}

func TestDelayedDeathOfAnEarlierLifeIsRefused(t *testing.T) {
	b := newBench(t, 2, 2)
	life := b.lifeOf(1)
	b.die(1)
	b.register(1, 100)
	err := b.NodeDead(&wire.NodeDead{Node: id(1), Incarnation: 100, Life: life})
	if holo.ReasonOf(err) != ReasonStaleLife {
		t.Errorf("a node that came back was buried by an old command: %v", err)
	}
}

func TestPromotionClearsSuspended(t *testing.T) {
	b := newBench(t, 3, 2)
	b.set(s2, 1, 2)
	b.die(2)
	b.must(b.SetLearner(&wire.ShardLearner{Shard: s2, Epoch: 2, Learner: b.member(3)}))
	b.must(b.Promote(&wire.ShardPromote{Shard: s2, Epoch: 2, By: b.member(1), Learner: b.member(3), Gen: 1}))
	b.want(s2, 3, 1, []int{1, 3}, nil)
	if c := b.get(s2); c.Learner != (wire.Member{}) {
		t.Error("the learner is a member and still the learner")
	}
}

func TestSuspendedLearnerThatBecomesSoleMemberIsNoLearner(t *testing.T) {
	b := newBench(t, 2, 2)
	b.set(s2, 1, 2)
	b.die(2)
	b.register(2, 200)
	b.must(b.SetLearner(&wire.ShardLearner{Shard: s2, Epoch: 2, Learner: b.member(2)}))
	b.die(1)
	b.want(s2, 3, 2, []int{2}, []int{1})
	if c := b.get(s2); c.Learner != (wire.Member{}) || c.LearnerGen != 2 {
		t.Errorf("learner %v of generation %d", c.Learner, c.LearnerGen)
	}
}

func TestRefusals(t *testing.T) {
	b := newBench(t, 4, 2)
	b.set(s2, 1, 2)
	b.must(b.SetLearner(&wire.ShardLearner{Shard: s2, Epoch: 1, Learner: b.member(3)}))
	promote := wire.ShardPromote{Shard: s2, Epoch: 1, By: b.member(1), Learner: b.member(3), Gen: 1}
	with := func(change func(*wire.ShardPromote)) error {
		p := promote
		change(&p)
		return b.Promote(&p)
	}
	for name, c := range map[string]struct {
		err    error
		reason string
	}{
		"promote at a stale epoch":            {with(func(p *wire.ShardPromote) { p.Epoch = 2 }), ReasonStaleEpoch},
		"promote an older generation":         {with(func(p *wire.ShardPromote) { p.Gen = 0 }), ReasonStaleEpoch},
		"promote another incarnation":         {with(func(p *wire.ShardPromote) { p.Learner.Incarnation++ }), ReasonStaleEpoch},
		"promote by a backup":                 {with(func(p *wire.ShardPromote) { p.By = b.member(2) }), ReasonStaleLife},
		"promote by the primary's former":     {with(func(p *wire.ShardPromote) { p.By.Incarnation++ }), ReasonStaleLife},
		"learner of an old generation":        {b.SetLearner(&wire.ShardLearner{Shard: s2, Epoch: 1, Gen: 0, Learner: b.member(4)}), ReasonStaleEpoch},
		"learner of another incarnation":      {b.SetLearner(&wire.ShardLearner{Shard: s2, Epoch: 1, Gen: 1, Learner: wire.Member{Node: id(4), Incarnation: 9}}), ReasonStaleLife},
		"shrink below two":                    {b.Shrink(&wire.ShardShrink{Shard: s2, Epoch: 1, By: b.member(1), Drop: id(2)}), ReasonFloor},
		"shrink the primary":                  {b.Shrink(&wire.ShardShrink{Shard: s2, Epoch: 1, By: b.member(1), Drop: id(1)}), ReasonNotMember},
		"shrink by a backup":                  {b.Shrink(&wire.ShardShrink{Shard: s2, Epoch: 1, By: b.member(2), Drop: id(1)}), ReasonStaleLife},
		"transfer to a node that is no copy":  {b.Transfer(&wire.ShardTransfer{Shard: s2, Epoch: 1, By: b.member(1), To: id(4)}), ReasonNotMember},
		"register under a stale life":         {second(b.Register(&wire.NodeRegister{Node: id(1), Incarnation: 7, Life: 0})), ReasonStaleLife},
		"bury under another incarnation":      {b.NodeDead(&wire.NodeDead{Node: id(1), Incarnation: 7, Life: b.lifeOf(1)}), ReasonStaleLife},
		"create with one node alive of class": {NewTable().Create(2), ReasonFloor},
	} {
		if holo.ReasonOf(c.err) != c.reason {
			t.Errorf("%s: %v, want reason %s", name, c.err, c.reason)
		}
	}
	b.want(s2, 1, 1, []int{1, 2}, nil)
}

func second[T any](_ T, err error) error { return err }

func TestReplaceThenDropAndTransfer(t *testing.T) {
	b := newBench(t, 3, 2)
	b.set(s2, 1, 2)
	b.must(b.SetLearner(&wire.ShardLearner{Shard: s2, Epoch: 1, Learner: b.member(3)}))
	b.must(b.Promote(&wire.ShardPromote{Shard: s2, Epoch: 1, By: b.member(1), Learner: b.member(3), Gen: 1}))
	b.must(b.Shrink(&wire.ShardShrink{Shard: s2, Epoch: 2, By: b.member(1), Drop: id(2)}))
	b.want(s2, 3, 1, []int{1, 3}, nil)
	b.must(b.Transfer(&wire.ShardTransfer{Shard: s2, Epoch: 3, By: b.member(1), To: id(3)}))
	b.want(s2, 4, 3, []int{1, 3}, nil)
}

func TestChangedSinceTellsWhatChanged(t *testing.T) {
	b := newBench(t, 3, 2)
	if n := len(b.ChangedSince(0)); n != holo.ShardCount {
		t.Fatalf("%d shards changed since the beginning", n)
	}
	b.set(s2, 1, 2)
	b.Begin(9)
	if n := len(b.ChangedSince(1)); n != 0 {
		t.Fatalf("%d shards changed by nothing", n)
	}
	b.must(b.Transfer(&wire.ShardTransfer{Shard: s2, Epoch: 1, By: b.member(1), To: id(2)}))
	cs := b.ChangedSince(8)
	if len(cs) != 1 || cs[0].Shard != s2 || len(b.ChangedSince(9)) != 0 {
		t.Errorf("changed since 8: %v", cs)
	}
}

// An array lies on consecutive shards; every run of them must be spread fairly,
// or one node of three fills up before the others.
func TestEveryRunOfShardsIsSpreadFairly(t *testing.T) {
	for seed := range 8 {
		tab := NewTable()
		total := uint64(0)
		weights := []uint64{256, 256, 512}
		for i, w := range weights {
			n := id(i + 1)
			n[31] = byte(seed)
			if err := tab.Admit(n, w); err != nil {
				t.Fatal(err)
			}
			if _, err := tab.Register(&wire.NodeRegister{Node: n, Incarnation: 1}); err != nil {
				t.Fatal(err)
			}
			total += w
		}
		for class := holo.Class(1); class <= 2; class++ {
			if err := tab.Create(class); err != nil {
				t.Fatal(err)
			}
			for start := range holo.ShardCount {
				checkRun(t, tab, class, start, 80, weights, total)
			}
		}
	}
}

func checkRun(t *testing.T, tab *Table, class holo.Class, start, length int, weights []uint64, total uint64) {
	t.Helper()
	copies, primaries := map[byte]int{}, map[byte]int{}
	for n := start; n < start+length; n++ {
		c, _ := tab.Get(holo.MakeShardID(class, uint64(n)))
		primaries[c.Primary[0]]++
		for _, m := range c.Members {
			copies[m.Node[0]]++
		}
	}
	for i, w := range weights {
		fair := float64(length) * float64(class) * float64(w) / float64(total)
		if got := float64(copies[byte(i+1)]); got > fair+5 {
			t.Fatalf("class %d, shards %d to %d: node %d holds %v copies, fair are %.1f", class, start, start+length, i+1, got, fair)
		}
		fair = float64(length) * float64(w) / float64(total)
		if got := float64(primaries[byte(i+1)]); got > fair+6 {
			t.Fatalf("class %d, shards %d to %d: node %d is primary of %v, fair are %.1f", class, start, start+length, i+1, got, fair)
		}
	}
}
