package placement

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// world is the truth that the table knows nothing of: which processes run, and
// which writes each has in its memory. A write is acknowledged when every
// member has it and there are enough of them.
type world struct {
	t     *testing.T
	rng   *rand.Rand
	table *Table
	n     int
	// running is each node's process; a crash makes a new one, with empty
	// memory, that the table does not know until it is registered.
	running map[int]holo.Incarnation
	memory  map[wire.Member]map[holo.ShardID]map[int]bool
	acked   map[holo.ShardID][]int
	writes  int
	shards  []holo.ShardID
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), table: NewTable(), running: map[int]holo.Incarnation{},
		memory: map[wire.Member]map[holo.ShardID]map[int]bool{}, acked: map[holo.ShardID][]int{},
		shards: []holo.ShardID{holo.MakeShardID(1, 3), holo.MakeShardID(2, 0), holo.MakeShardID(2, 200), holo.MakeShardID(3, 77)},
	}
	w.n = 3 + w.rng.IntN(3)
	for i := 1; i <= w.n; i++ {
		w.running[i] = holo.Incarnation(1000 * i)
		if err := w.table.Admit(id(i), 64); err != nil {
			t.Fatal(err)
		}
		w.register(i)
	}
	for class := holo.Class(1); class <= holo.MaxClass; class++ {
		if err := w.table.Create(class); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) up(m wire.Member) bool { return w.running[int(m.Node[0])] == m.Incarnation }

func (w *world) store(m wire.Member, s holo.ShardID) map[int]bool {
	if w.memory[m] == nil {
		w.memory[m] = map[holo.ShardID]map[int]bool{}
	}
	if w.memory[m][s] == nil {
		w.memory[m][s] = map[int]bool{}
	}
	return w.memory[m][s]
}

func (w *world) register(n int) {
	s, _ := w.table.Seat(id(n))
	_, err := w.table.Register(&wire.NodeRegister{Node: id(n), Incarnation: w.running[n], Life: s.Life})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) write(s holo.ShardID) {
	c, _ := w.table.Get(s)
	if len(c.Members) < wire.MinAck(s.Class()) || !slices.ContainsFunc(c.Members, w.up) {
		return
	}
	w.writes++
	all := true
	for _, m := range c.Members { // those that run get it; acknowledged only when all have it
		if w.up(m) && (w.rng.IntN(4) > 0 || m.Node == c.Primary) {
			w.store(m, s)[w.writes] = true
		} else {
			all = false
		}
	}
	if all {
		w.acked[s] = append(w.acked[s], w.writes)
	}
}

// promote copies the primary's memory to the learner and asks for promotion,
// as the shard machine does when the learner is synchronous.
func (w *world) promote(s holo.ShardID) {
	c, _ := w.table.Get(s)
	by, ok := c.Member(c.Primary)
	if !ok || c.Learner == (wire.Member{}) || !w.up(by) || !w.up(c.Learner) {
		return
	}
	maps.Copy(w.store(c.Learner, s), w.store(by, s))
	w.try(w.table.Promote(&wire.ShardPromote{Shard: s, Epoch: c.Epoch, By: by, Learner: c.Learner, Gen: c.LearnerGen}))
}

func (w *world) try(err error) {
	if err != nil && !slices.Contains([]holo.Kind{holo.Stale, holo.Invalid, holo.Unavailable, holo.DataLost}, holo.KindOf(err)) {
		w.t.Fatal(err)
	}
}

func (w *world) step() {
	s := w.shards[w.rng.IntN(len(w.shards))]
	n := 1 + w.rng.IntN(w.n)
	c, _ := w.table.Get(s)
	by, _ := c.Member(c.Primary)
	seat, _ := w.table.Seat(id(n))
	switch w.rng.IntN(10) {
	case 0, 1, 2:
		w.write(s)
	case 3:
		if w.rng.IntN(3) == 0 {
			w.running[n] += holo.Incarnation(1)
			clear(w.memory[wire.Member{Node: id(n), Incarnation: w.running[n] - 1}])
		}
	case 4:
		if seat.Alive {
			w.try(w.table.NodeDead(&wire.NodeDead{Node: id(n), Incarnation: seat.Incarnation, Life: seat.Life}))
		}
	case 5:
		w.register(n)
	case 6:
		inc, _ := w.table.Registered(id(n))
		w.try(w.table.SetLearner(&wire.ShardLearner{Shard: s, Epoch: c.Epoch, Gen: c.LearnerGen, Learner: wire.Member{Node: id(n), Incarnation: inc}}))
	case 7:
		w.promote(s)
	case 8:
		w.try(w.table.Shrink(&wire.ShardShrink{Shard: s, Epoch: c.Epoch, By: by, Drop: id(n)}))
	case 9:
		w.try(w.table.Transfer(&wire.ShardTransfer{Shard: s, Epoch: c.Epoch, By: by, To: id(n)}))
	}
}

// check compares each shard before and after a step.
func (w *world) check(before map[holo.ShardID]wire.ShardConfig) {
	for _, s := range w.shards {
		old, c := before[s], w.config(s)
		if err := w.table.Check(&c); err != nil {
			w.t.Fatal(err)
		}
		w.checkOrder(&old, &c)
		for _, m := range slices.Concat(c.Members, c.Suspended) {
			for _, write := range w.acked[s] {
				if w.up(m) && !w.store(m, s)[write] {
					w.t.Fatalf("I5: shard %d epoch %d: holder %d lacks acknowledged write %d", s, c.Epoch, m.Node[0], write)
				}
			}
		}
		if c.Lost && !old.Lost {
			for _, m := range slices.Concat(old.Members, old.Suspended) {
				if w.up(m) {
					w.t.Fatalf("shard %d is lost though holder %d still runs", s, m.Node[0])
				}
			}
			delete(w.acked, s) // lost, and said so
			if err := w.table.Recover(s); err != nil && w.table.Alive() != nil {
				w.t.Fatal(err)
			}
		}
		sole := len(c.Members) == 1 && !w.table.living(c.Members[0])
		if sole && slices.ContainsFunc(c.Suspended, w.table.living) {
			w.t.Fatalf("shard %d waits for a dead node though a suspended one lives", s)
		}
	}
}

// checkOrder is I1 and I4.
func (w *world) checkOrder(old, c *wire.ShardConfig) {
	if c.Epoch == old.Epoch {
		if c.Primary != old.Primary || !slices.Equal(c.Members, old.Members) || c.LearnerGen < old.LearnerGen {
			w.t.Fatalf("I1: shard %d has two configurations of epoch %d", c.Shard, c.Epoch)
		}
		return
	}
	if c.Epoch != old.Epoch+1 {
		w.t.Fatalf("shard %d went from epoch %d to %d in one step", c.Shard, old.Epoch, c.Epoch)
	}
	within := true
	for _, m := range c.Members {
		within = within && (slices.Contains(old.Members, m) || m == old.Learner)
	}
	back := len(old.Members) == 1 && len(c.Members) == 1 && slices.Contains(old.Suspended, c.Members[0])
	if !within && !back && !old.Lost {
		w.t.Fatalf("I4: shard %d epoch %d: members %v of %v", c.Shard, c.Epoch, nodes(c.Members), nodes(old.Members))
	}
}

func (w *world) config(s holo.ShardID) wire.ShardConfig {
	c, _ := w.table.Get(s)
	return c
}

func TestRandomTransitionsKeepEveryAcknowledgedWrite(t *testing.T) {
	transitions, acked := uint64(0), 0
	for seed := range uint64(150) {
		w := newWorld(t, seed)
		for step := range uint64(400) {
			w.table.Begin(step + 1)
			before := map[holo.ShardID]wire.ShardConfig{}
			for _, s := range w.shards {
				before[s] = w.config(s)
			}
			w.step()
			w.check(before)
		}
		for _, s := range w.shards {
			transitions += uint64(w.config(s).Epoch)
			acked += len(w.acked[s])
		}
		back, err := FromRecord(w.table.Record())
		if err != nil || !slices.Equal(wire.Encode(back.Record()), wire.Encode(w.table.Record())) {
			t.Fatalf("seed %d: the table does not survive its record: %v", seed, err)
		}
	}
	if transitions < 5000 || acked < 1000 {
		t.Fatalf("%d transitions and %d writes: the test would pass for the wrong reason", transitions, acked)
	}
}
