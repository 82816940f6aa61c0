package liveness

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/placement"
	"github.com/holocompute/holocompute/internal/wire"
)

const ms = holo.Millisecond

// cluster is one keeper over a real table, with a clock that the test moves.
// Commands are applied as soon as they are proposed unless the test holds
// them; rounds are verified as soon as they are asked for unless deposed.
type cluster struct {
	*testing.T
	now     holo.Time
	index   uint64
	access  uint64
	table   *placement.Table
	keeper  *Keeper
	timing  Timing
	holders map[int]*Holder
	silent  map[int]bool // nodes whose heartbeats do not arrive
	loss    *rand.Rand   // takes one heartbeat and one grant in five; nil: none
	deposed bool
	held    bool // proposals wait in kept
	kept    []wire.Message
	applied []wire.Message
	sent    []wire.Envelope
	class   holo.Class

	bytes  uint64                 // in each shard
	offers map[holo.NodeID]uint64 // of memory; of one not named: whatever is asked
	spill  uint64                 // of each
}

func id(n int) holo.NodeID { return holo.NodeID{byte(n)} }

func incarnation(n int) holo.Incarnation { return holo.Incarnation(100 * n) }

func (c *cluster) Version() uint64          { return c.index }
func (c *cluster) AccessEpoch() uint64      { return c.access }
func (c *cluster) Shards() *placement.Table { return c.table }

func (c *cluster) Bytes(holo.ShardID) uint64 { return c.bytes }

func (c *cluster) Offers(node holo.NodeID) (memory, spill uint64) {
	if m, ok := c.offers[node]; ok {
		return m, c.spill
	}
	return math.MaxInt64, 0
}

func newCluster(t *testing.T, n int, class holo.Class) *cluster {
	c := &cluster{
		T: t, now: 1e12, table: placement.NewTable(), timing: DefaultTiming(), class: class,
		holders: map[int]*Holder{}, silent: map[int]bool{},
	}
	for i := 1; i <= n; i++ {
		c.must(c.table.Admit(id(i), 256))
		c.holders[i] = NewHolder(incarnation(i), c.timing)
	}
	c.lead(1)
	c.run(100 * ms)
	c.begin()
	c.must(c.table.Create(class))
	c.run(2 * holo.Second)
	return c
}

func (c *cluster) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) begin() {
	c.index++
	c.table.Begin(c.index)
}

// lead starts a new leadership.
func (c *cluster) lead(seed uint64) {
	c.keeper = NewKeeper(c.now, c.timing, rand.New(rand.NewPCG(seed, 2)))
}

// run lets d pass in steps of 10 ms.
func (c *cluster) run(d holo.Duration) {
	for end := c.now.Add(d); c.now < end; {
		c.now = c.now.Add(10 * ms)
		c.step()
	}
}

func (c *cluster) step() {
	for n := 1; n < 10; n++ {
		if h := c.holders[n]; h != nil {
			if hb, ok := h.Due(c.now); ok && !c.silent[n] && !c.lost() {
				c.keeper.Heartbeat(c.now, id(n), hb)
			}
		}
	}
	c.keeper.Tick(c.now, c)
	r := c.keeper.Ready()
	if r.VerifyRound > 0 && !c.deposed {
		c.keeper.Verified(c.now, r.VerifyRound)
	}
	for _, env := range r.Send {
		c.sent = append(c.sent, env)
		if g, ok := env.Msg.(*wire.Grant); ok && !c.silent[int(env.To[0])] && !c.lost() {
			c.holders[int(env.To[0])].Granted(c.now, g)
		}
	}
	if c.held {
		c.kept = append(c.kept, r.Propose...)
		return
	}
	c.apply(r.Propose)
}

func (c *cluster) apply(msgs []wire.Message) {
	for _, m := range msgs {
		c.begin()
		var err error
		switch m := m.(type) {
		case *wire.NodeRegister:
			_, err = c.table.Register(m)
		case *wire.NodeDead:
			err = c.table.NodeDead(m)
		case *wire.ShardLearner:
			err = c.table.SetLearner(m)
		case *wire.ShardShrink:
			err = c.table.Shrink(m)
		case *wire.ShardPromote:
			err = c.table.Promote(m)
		case *wire.ShardTransfer:
			err = c.table.Transfer(m)
		default:
			c.Fatalf("proposed %T", m)
		}
		if err == nil {
			c.applied = append(c.applied, m)
		} else if holo.KindOf(err) != holo.Stale {
			c.Fatalf("%T: %v", m, err)
		}
	}
}

// lost decides about one message.
func (c *cluster) lost() bool { return c.loss != nil && c.loss.IntN(5) == 0 }

// deaths and births list what was applied, as node numbers.
func (c *cluster) deaths() (ns []int) {
	for _, m := range c.applied {
		if d, ok := m.(*wire.NodeDead); ok {
			ns = append(ns, int(d.Node[0]))
		}
	}
	return ns
}

func (c *cluster) wantDeaths(ns ...int) {
	c.Helper()
	if got := c.deaths(); !slices.Equal(got, ns) {
		c.Fatalf("declared dead: %v, want %v", got, ns)
	}
}

func (c *cluster) restart(n int, inc holo.Incarnation) { c.holders[n] = NewHolder(inc, c.timing) }

func (c *cluster) config(s holo.ShardID) wire.ShardConfig {
	k, _ := c.table.Get(s)
	return k
}

func (c *cluster) member(n int) wire.Member {
	inc, _ := c.table.Registered(id(n))
	return wire.Member{Node: id(n), Incarnation: inc}
}

// shardOf finds a shard whose primary is p and that b is a member of.
func (c *cluster) shardOf(p, b int) holo.ShardID {
	for k := range c.table.All() {
		if k.Primary == id(p) && k.Has(id(b)) {
			return k.Shard
		}
	}
	c.Fatalf("no shard with primary %d and member %d", p, b)
	return 0
}

// promoteLearners plays the primaries: every learner becomes synchronous at
// once.
func (c *cluster) promoteLearners() {
	for k := range c.table.All() {
		if k.Learner != (wire.Member{}) {
			by, _ := k.Member(k.Primary)
			c.keeper.Request(c.now, k.Primary, &wire.ShardPromote{Shard: k.Shard, Epoch: k.Epoch, By: by, Learner: k.Learner, Gen: k.LearnerGen})
		}
	}
}

// heal plays the primaries until nothing is left to do.
func (c *cluster) heal() {
	for range 60 {
		c.promoteLearners()
		c.obeyHints()
		c.run(100 * ms)
	}
}

// obeyHints turns the hints since the last call into requests.
func (c *cluster) obeyHints() {
	for _, env := range c.sent {
		if h, ok := env.Msg.(*wire.ShrinkHint); ok {
			c.keeper.Request(c.now, env.To, &wire.ShardShrink{Shard: h.Shard, Epoch: h.Epoch, By: c.member(int(env.To[0])), Drop: h.Drop})
		}
		if h, ok := env.Msg.(*wire.Handoff); ok {
			c.keeper.Request(c.now, env.To, &wire.ShardTransfer{Shard: h.Shard, Epoch: c.config(h.Shard).Epoch, By: c.member(int(env.To[0])), To: h.To})
		}
	}
	c.sent = nil
}

func (c *cluster) wantFull() {
	c.Helper()
	for k := range c.table.All() {
		if len(k.Members) != int(c.class) || k.Learner != (wire.Member{}) {
			c.Fatalf("shard %d has %d members and learner %v", k.Shard, len(k.Members), k.Learner)
		}
	}
}
