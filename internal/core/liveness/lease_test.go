package liveness

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

func TestLeaseCountsFromSendingNotFromReceipt(t *testing.T) {
	timing := DefaultTiming()
	h := NewHolder(7, timing)
	hb, ok := h.Due(1000)
	if !ok || hb.Sent != 1000 || hb.Incarnation != 7 {
		t.Fatalf("first heartbeat: %v %v", hb, ok)
	}
	late := holo.Time(1000).Add(2 * holo.Second)
	until, ok := h.Granted(late, &wire.Grant{Incarnation: 7, Number: 1, Sent: 1000, TTL: timing.TTL})
	if want := holo.Time(1000).Add(timing.TTL); !ok || until != want {
		t.Fatalf("lease until %d, want %d", until, want)
	}
	if !h.Valid(until-1) || h.Valid(until) {
		t.Error("the lease does not end at its end")
	}
}

func TestHolderRefusesWhatIsNotForIt(t *testing.T) {
	timing := DefaultTiming()
	for name, g := range map[string]wire.Grant{
		"another incarnation's":       {Incarnation: 8, Sent: 1000, TTL: timing.TTL},
		"for a heartbeat not sent":    {Incarnation: 7, Sent: 9000, TTL: timing.TTL},
		"for one before the suspend":  {Incarnation: 7, Sent: 400, TTL: timing.TTL},
		"already over when it comes":  {Incarnation: 7, Sent: 1000, TTL: 0},
		"of another incarnation late": {Incarnation: 0, Sent: 1000, TTL: timing.TTL},
	} {
		h := NewHolder(7, timing)
		h.Drop(500)
		h.Granted(2000, &g)
		if h.Valid(2000) {
			t.Errorf("a grant %s gave a lease", name)
		}
	}
}

func TestGrantGivesNoMoreThanTheAgreedLease(t *testing.T) {
	timing := DefaultTiming()
	h := NewHolder(7, timing)
	until, _ := h.Granted(0, &wire.Grant{Incarnation: 7, TTL: 100 * timing.TTL})
	if until != holo.Time(timing.TTL) {
		t.Errorf("lease until %d", until)
	}
}

func TestHeartbeatEchoesTheNewestGrantAndVersion(t *testing.T) {
	h := NewHolder(7, DefaultTiming())
	h.Granted(3000, &wire.Grant{Incarnation: 7, Number: 12, Sent: 2000, ConfigVersion: 40})
	h.Granted(3000, &wire.Grant{Incarnation: 7, Number: 99, Sent: 1000, ConfigVersion: 30}) // overtaken
	hb, _ := h.Due(4000)
	if hb.LastGrant != 12 || hb.ConfigVersion != 40 {
		t.Errorf("echo %d, version %d", hb.LastGrant, hb.ConfigVersion)
	}
	if _, again := h.Due(4001); again {
		t.Error("two heartbeats at once")
	}
	h.Hurry()
	if _, ok := h.Due(4002); !ok {
		t.Error("no heartbeat for a new leader")
	}
}

func TestLivingNodesKeepTheirLeases(t *testing.T) {
	c := newCluster(t, 3, 2)
	for range 200 {
		c.run(50 * ms)
		for n, h := range c.holders {
			if !h.Valid(c.now) {
				t.Fatalf("node %d has no lease", n)
			}
		}
	}
	c.wantDeaths()
}

func TestDeposedKeeperGrantsNothing(t *testing.T) {
	c := newCluster(t, 3, 2)
	c.deposed, c.sent = true, nil
	c.run(10 * holo.Second)
	for _, env := range c.sent {
		if _, grant := env.Msg.(*wire.Grant); grant {
			t.Fatal("a grant without a verified round")
		}
	}
}

func TestRoundBeginsAfterTheHeartbeatsItReleases(t *testing.T) {
	c := newCluster(t, 2, 2)
	c.run(c.timing.TTL) // rounds at rest
	k := NewKeeper(c.now, c.timing, c.keeper.rng)
	k.Heartbeat(c.now, id(1), &wire.Heartbeat{Incarnation: 100, Sent: 1})
	k.Tick(c.now.Add(c.timing.Batch), c)
	round := k.Ready().VerifyRound
	k.Heartbeat(c.now, id(2), &wire.Heartbeat{Incarnation: 200, Sent: 1})
	k.Verified(c.now, round)
	k.Tick(c.now.Add(c.timing.Batch), c)
	var to []holo.NodeID
	for _, env := range k.Ready().Send {
		if _, ok := env.Msg.(*wire.Grant); ok {
			to = append(to, env.To)
		}
	}
	if len(to) != 1 || to[0] != id(1) {
		t.Errorf("grants for %v: the round began before node 2's heartbeat came", to)
	}
}

func TestGrantOnlyForTheRegisteredIncarnationAndAViewAsNew(t *testing.T) {
	c := newCluster(t, 1, 1)
	for name, b := range map[string]beat{
		"another incarnation": {id(1), wire.Heartbeat{Incarnation: 101}},
		"a stranger":          {id(9), wire.Heartbeat{Incarnation: 100}},
		"a newer catalogue":   {id(1), wire.Heartbeat{Incarnation: 100, ConfigVersion: c.index + 1}},
	} {
		if c.keeper.mayGrant(c, b) {
			t.Errorf("a grant to %s", name)
		}
	}
	if !c.keeper.mayGrant(c, beat{id(1), wire.Heartbeat{Incarnation: 100, ConfigVersion: c.index}}) {
		t.Error("no grant to whom it belongs")
	}
}

func TestGrantCarriesWhatChangedSinceTheVersionNamed(t *testing.T) {
	c := newCluster(t, 2, 2)
	before := c.index
	s := c.shardOf(1, 2)
	c.apply([]wire.Message{&wire.ShardTransfer{Shard: s, Epoch: c.config(s).Epoch, By: c.member(1), To: id(2)}})
	c.sent = nil
	c.keeper.grant(c, beat{id(2), wire.Heartbeat{Incarnation: 200, ConfigVersion: before}})
	g := c.keeper.Ready().Send[0].Msg.(*wire.Grant)
	if len(g.Configs) != 1 || g.Configs[0].Shard != s || g.ConfigVersion != c.index || g.TTL != c.timing.TTL {
		t.Errorf("grant %+v", g)
	}
}

func TestNodeIsDeadAfterALeaseAndTheClockErrorNotBefore(t *testing.T) {
	c := newCluster(t, 3, 2)
	c.silent[3] = true
	heard, _ := c.keeper.Heard(id(3), 300)
	for c.now <= heard.Add(c.timing.Patience()) {
		c.wantDeaths()
		c.run(10 * ms)
	}
	c.run(20 * ms)
	c.wantDeaths(3)
	if until := c.holders[3].Until(); until >= heard.Add(c.timing.Patience()) {
		t.Errorf("declared dead while it held a lease until %d", until)
	}
}

func TestNewKeeperWaitsAFullLease(t *testing.T) {
	c := newCluster(t, 3, 2)
	c.silent[3] = true
	c.run(2 * holo.Second)
	c.lead(2)
	began := c.now
	for c.now <= began.Add(c.timing.Patience()) {
		c.wantDeaths()
		c.run(10 * ms)
	}
	c.run(20 * ms)
	c.wantDeaths(3)
}

func TestKeeperThatStoodStillDeclaresNobodyDead(t *testing.T) {
	c := newCluster(t, 3, 2)
	c.now = c.now.Add(60 * holo.Second)
	c.keeper.Tick(c.now, c)
	if r := c.keeper.Ready(); len(r.Propose) > 0 {
		t.Fatalf("after a pause of its own it proposed %T", r.Propose[0])
	}
	c.run(10 * holo.Second)
	c.wantDeaths()
}

func TestNoLeaseOnceADeathIsProposed(t *testing.T) {
	c := newCluster(t, 3, 2)
	c.held, c.silent[3] = true, true
	c.run(c.timing.Patience() + holo.Second)
	if len(c.kept) == 0 {
		t.Fatal("no death proposed")
	}
	c.silent[3], c.sent = false, nil // it is heard again, and Raft is slow
	c.run(5 * holo.Second)
	for _, env := range c.sent {
		if _, grant := env.Msg.(*wire.Grant); grant && env.To == id(3) {
			t.Fatal("a lease for a node whose death may be committed at any time")
		}
	}
	c.held = false
	c.apply(c.kept)
	c.run(2 * holo.Second)
	c.wantDeaths(3)
	if _, alive := c.table.Registered(id(3)); !alive || !c.holders[3].Valid(c.now) {
		t.Error("after its death was committed it did not come back")
	}
}

func TestNewIncarnationWaitsForTheOldLease(t *testing.T) {
	c := newCluster(t, 3, 2)
	heard, _ := c.keeper.Heard(id(3), 300)
	c.restart(3, 301)
	for c.now <= heard.Add(c.timing.Patience()) {
		if inc, _ := c.table.Registered(id(3)); inc != 300 {
			t.Fatalf("incarnation %d registered while 300 may hold a lease", inc)
		}
		c.run(10 * ms)
	}
	c.run(1 * holo.Second)
	if inc, alive := c.table.Registered(id(3)); inc != 301 || !alive {
		t.Fatalf("incarnation %d, alive %v", inc, alive)
	}
	for k := range c.table.All() {
		if k.Has(id(3)) {
			t.Fatalf("shard %d still has the restarted node as a member", k.Shard)
		}
	}
	c.run(holo.Second)
	if !c.holders[3].Valid(c.now) {
		t.Error("the new incarnation got no lease")
	}
}

func TestFirstIncarnationRegistersAtOnce(t *testing.T) {
	c := newCluster(t, 2, 2)
	c.must(c.table.Admit(id(3), 256))
	c.restart(3, 300)
	c.run(100 * ms)
	if inc, alive := c.table.Registered(id(3)); inc != 300 || !alive {
		t.Errorf("incarnation %d, alive %v", inc, alive)
	}
}

func TestGhostOfADeadIncarnationUnseatsNobody(t *testing.T) {
	c := newCluster(t, 2, 2)
	c.restart(2, 201)
	c.run(c.timing.Patience() + 2*holo.Second)
	c.silent[2] = true
	for range 600 { // its former life's heartbeats keep arriving, and the new one is silent
		c.keeper.Heartbeat(c.now, id(2), &wire.Heartbeat{Incarnation: 200})
		c.run(10 * ms)
	}
	if inc, _ := c.table.Registered(id(2)); inc != 201 {
		t.Errorf("incarnation %d registered from beyond the grave", inc)
	}
}

func TestSecondProcessWithTheSameKeyFencesTheFirst(t *testing.T) {
	c := newCluster(t, 2, 2)
	clone := NewHolder(999, c.timing)
	beat := func() {
		if hb, ok := clone.Due(c.now); ok {
			c.keeper.Heartbeat(c.now, id(2), hb)
		}
	}
	for range 500 {
		beat()
		c.run(10 * ms)
	}
	if inc, _ := c.table.Registered(id(2)); inc != 200 {
		t.Fatalf("incarnation %d took the seat of a living one", inc)
	}
	c.silent[2] = true
	for range 500 {
		beat()
		c.run(10 * ms)
	}
	c.silent[2] = false
	c.run(5 * holo.Second)
	if inc, _ := c.table.Registered(id(2)); inc != 999 {
		t.Errorf("incarnation %d, want the clone's", inc)
	}
	if c.holders[2].Valid(c.now) {
		t.Error("the first process holds a lease again")
	}
}

func TestCondemnedNodeLosesItsLeaseAndThenItsPlace(t *testing.T) {
	c := newCluster(t, 3, 2)
	c.keeper.Condemn(c.now, id(3))
	c.run(2 * holo.Second)
	c.wantDeaths() // its lease may still run
	last := c.holders[3].Until()
	c.run(c.timing.Patience())
	c.wantDeaths(3)
	if until := c.holders[3].Until(); until != last || c.holders[3].Valid(c.now) {
		t.Errorf("a lease was granted to the condemned node: until %d, was %d", until, last)
	}
	for k := range c.table.All() {
		if k.Primary == id(3) {
			t.Fatalf("shard %d still has the condemned node as its home", k.Shard)
		}
	}
	c.run(4 * c.timing.TTL) // nobody evicted it after all
	if _, alive := c.table.Registered(id(3)); !alive {
		t.Error("it is not heard again")
	}
}

// A lease tells how new a node's knowledge of who may do what must be, and
// what it told is not forgotten when a late answer tells less.
func TestLeaseTellsTheAccessEpoch(t *testing.T) {
	c := newCluster(t, 3, 2)
	c.access = 5
	c.run(2 * holo.Second)
	for n, h := range c.holders {
		if h.AccessEpoch() != 5 {
			t.Errorf("node %d was told epoch %d", n, h.AccessEpoch())
		}
	}
	h := NewHolder(7, c.timing)
	h.Granted(2000, &wire.Grant{Incarnation: 7, Sent: 1000, TTL: c.timing.TTL, AccessEpoch: 9})
	h.Granted(2001, &wire.Grant{Incarnation: 7, Sent: 900, TTL: c.timing.TTL, AccessEpoch: 8})
	if h.AccessEpoch() != 9 {
		t.Errorf("epoch %d after a late answer, want 9", h.AccessEpoch())
	}
}
