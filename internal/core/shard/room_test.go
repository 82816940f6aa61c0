package shard

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

func (g *group) usage(i int) Usage { return g.machines[i].Usage() }

// A member whose memory is full takes no entry that adds to it, and says nothing
// that counts: the write waits, and the primary asks for another member. What
// replaces a page that is there goes on.
func TestMemberWithoutRoomTakesNothingMore(t *testing.T) {
	limits := DefaultLimits()
	g := newGroup(t, 2, 3, 2, limits)
	g.machines[1].SetCapacity(2 * holo.PageSize)
	for i := range holo.PageIndex(2) {
		if a := g.submit(writeTo(1, whole(i, 1))); a.Err != nil {
			t.Fatal(a.Err)
		}
	}
	if a := g.submit(writeTo(1, whole(1, 7))); a.Err != nil || g.bytesAt(at(1, 1), 0, 1)[0] != 7 {
		t.Fatalf("a page in place of another: %+v", a)
	}
	id := g.start(writeTo(1, whole(2, 1)))
	g.settle()
	for range 20 {
		g.tick(50 * holo.Millisecond)
		g.settle()
	}
	if a, answered := g.answers[id]; answered {
		t.Fatalf("a member has no room for the page, and the write is answered: %+v", a)
	}
	if u := g.usage(1); u.Bytes+u.Tail != 2*holo.PageSize {
		t.Errorf("the member holds %+v", u)
	}
	asked := false
	for _, p := range g.proposed {
		s, ok := p.(*wire.ShardShrink)
		asked = asked || ok && s.Drop == node(1).Node
	}
	if !asked {
		t.Error("the primary does not ask for another member")
	}
	g.machines[1].SetCapacity(3 * holo.PageSize)
	for range 20 {
		g.tick(200 * holo.Millisecond)
		g.settle()
	}
	if a := g.answers[id]; a.Err != nil || a.Version == (holo.Version{}) {
		t.Errorf("there is room again: %+v", a)
	}
}

// learnerOf gives the third node a copy to learn of so many pages.
func learnerOf(t *testing.T, pages int, limits Limits) *group {
	t.Helper()
	g := newGroup(t, 2, 3, 2, limits)
	for i := range holo.PageIndex(pages) {
		if a := g.submit(writeTo(1, whole(i, 1))); a.Err != nil {
			t.Fatal(a.Err)
		}
	}
	g.config.Learner, g.config.LearnerGen = node(2), 1
	return g
}

func (g *group) live(d holo.Duration) {
	for range int(d / (50 * holo.Millisecond)) {
		g.tick(50 * holo.Millisecond)
		g.settle()
	}
}

// A learner counts what arrives against its memory before it holds all of it.
func TestLearnerWithoutRoomHoldsNoMoreThanItsMemory(t *testing.T) {
	limits := DefaultLimits()
	limits.ChunkBytes = holo.PageSize
	g := learnerOf(t, 6, limits)
	g.machines[2].SetCapacity(4 * holo.PageSize)
	g.configure()
	g.live(3 * holo.Second)
	if u := g.usage(2); u.Arriving != 4*holo.PageSize || u.Bytes != 0 {
		t.Errorf("in the memory of four pages: %+v", u)
	}
	g.machines[2].SetCapacity(6 * holo.PageSize)
	g.live(5 * holo.Second)
	if u := g.usage(2); u.Arriving != 0 || u.Bytes != 6*holo.PageSize {
		t.Errorf("in the memory of six pages: %+v", u)
	}
}

// Of copies that arrive together no more is held than the limit, but for the
// oldest, which goes on; when nobody sends the rest of it, the next does.
func TestCopiesArriveOneAfterTheOther(t *testing.T) {
	m := New(Options{Self: node(2), Timing: DefaultTiming(), Limits: Limits{Arriving: 2 * holo.PageSize}})
	now := holo.Time(holo.Second)
	config := func(shard uint64, gen uint64) wire.ShardConfig {
		return wire.ShardConfig{Shard: holo.MakeShardID(2, shard), Epoch: 1, Primary: node(0).Node, Members: []wire.Member{node(0), node(1)}, Learner: node(2), LearnerGen: gen}
	}
	chunk := func(shard uint64, index uint32) *wire.Snap {
		c := whole(holo.PageIndex(index), 1)
		return &wire.Snap{ShardHead: wire.ShardHead{Shard: holo.MakeShardID(2, shard), Epoch: 1, From: node(0).Incarnation, To: node(2).Incarnation}, Gen: 1,
			Transfer: wire.Transfer{Started: 1, Stream: 1, Commit: 9, Seq: 9, Index: index, Images: []wire.PageImage{{Page: at(1, holo.PageIndex(index)), Version: holo.Version{Epoch: 1, Seq: 1}, Kind: wire.PageData, Data: c.Data}}}}
	}
	m.Configure(now, []wire.ShardConfig{config(0, 1), config(1, 1)})
	for index := range uint32(4) {
		m.Step(now, node(0).Node, chunk(0, index))
		m.Step(now, node(0).Node, chunk(1, index))
	}
	in := func(shard uint64) int { return m.replicas[holo.MakeShardID(2, shard)].incoming.bytes / holo.PageSize }
	if in(0) != 4 || in(1) != 1 {
		t.Fatalf("of the oldest copy %d pages are there, of the other %d", in(0), in(1))
	}
	m.Configure(now, []wire.ShardConfig{{Shard: holo.MakeShardID(2, 0), Epoch: 1, Primary: node(0).Node, Members: config(0, 1).Members, LearnerGen: 2}})
	for index := range uint32(4) {
		m.Step(now, node(0).Node, chunk(1, index))
	}
	if u := m.Usage(); in(1) != 4 || u.Arriving != 4*holo.PageSize {
		t.Errorf("with the oldest gone %d pages of the other are there: %+v", in(1), u)
	}
}

// What is kept of a shard that was left gives way to what is needed.
func TestShardThatWasLeftGivesWay(t *testing.T) {
	limits := DefaultLimits()
	g := newGroup(t, 2, 2, 2, limits)
	g.submit(writeTo(1, whole(0, 1)))
	m := g.machines[1]
	m.SetCapacity(holo.PageSize)
	other := wire.ShardConfig{Shard: holo.MakeShardID(2, 1), Epoch: 1, Primary: node(1).Node, Members: []wire.Member{node(1), node(0)}}
	m.Grant(g.now, g.now.Add(holo.Second), []wire.ShardConfig{other})
	g.machines[0].Configure(g.now, []wire.ShardConfig{other})
	g.drain(1)
	g.settle()
	write := func(id uint64) error {
		mu := writeTo(2, whole(0, 1))
		mu.Op.Num = id
		SignMutation(&mu)
		m.Submit(g.now, id, other.Shard, mu)
		g.drain(1)
		g.settle()
		return g.answers[id].Err
	}
	if err := write(100); holo.ReasonOf(err) != ReasonMemory {
		t.Fatalf("the only page of memory is used, and a write gets %v", err)
	}
	left := g.config
	left.Epoch, left.Members = 2, []wire.Member{node(0)}
	m.Configure(g.now, []wire.ShardConfig{left})
	if err := write(101); err != nil {
		t.Fatalf("the only page of memory is of a shard that was left: %v", err)
	}
	if u := g.usage(1); u.Bytes != holo.PageSize {
		t.Errorf("%+v", u)
	}
}
