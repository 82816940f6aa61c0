package shard

import (
	"encoding/binary"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// group is a few machines and perfect links between them.
type group struct {
	t        *testing.T
	now      holo.Time
	machines []*Machine
	config   wire.ShardConfig
	mail     []posted
	proposed []wire.Message
	answers  map[uint64]Answer
	last     uint64
	wants    map[int][]Want
}

type posted struct {
	from, to int
	msg      wire.Message
}

func node(i int) wire.Member {
	m := wire.Member{Incarnation: holo.Incarnation(i + 1)}
	binary.BigEndian.PutUint64(m.Node[:], uint64(i+1))
	return m
}

func index(id holo.NodeID) int { return int(binary.BigEndian.Uint64(id[:])) - 1 }

// newGroup makes nodes, of which the first few are the members of one shard of
// a class; the first is its primary and has a lease of 10 s.
func newGroup(t *testing.T, class holo.Class, nodes, members int, limits Limits) *group {
	t.Helper()
	return newGroupOf(t, class, nodes, members, Options{Timing: DefaultTiming(), Limits: limits})
}

func newGroupOf(t *testing.T, class holo.Class, nodes, members int, o Options) *group {
	t.Helper()
	g := &group{t: t, now: holo.Time(holo.Second), answers: map[uint64]Answer{}, wants: map[int][]Want{}}
	g.config = wire.ShardConfig{Shard: holo.MakeShardID(class, 0), Epoch: 1, Primary: node(0).Node}
	for i := range nodes {
		o.Self = node(i)
		g.machines = append(g.machines, New(o))
		if i < members {
			g.config.Members = append(g.config.Members, node(i))
		}
	}
	g.configure()
	g.settle()
	return g
}

// configure tells everybody the configuration, and gives the first a lease.
func (g *group) configure() {
	for i, m := range g.machines {
		m.Configure(g.now, []wire.ShardConfig{g.config})
		g.drain(i)
	}
	g.machines[0].Grant(g.now, g.now.Add(10*holo.Second), nil)
}

func (g *group) drain(i int) {
	r := g.machines[i].Ready(g.now)
	for _, e := range r.Send {
		g.mail = append(g.mail, posted{i, index(e.To), e.Msg})
	}
	g.proposed = append(g.proposed, r.Propose...)
	for _, a := range r.Answers {
		g.answers[a.ID] = a
	}
	g.wants[i] = append(g.wants[i], r.Wants...)
}

// settle delivers until nothing is left to deliver.
func (g *group) settle() {
	for range 10000 {
		if len(g.mail) == 0 {
			return
		}
		p := g.mail[0]
		g.mail = g.mail[1:]
		if p.to < len(g.machines) {
			g.machines[p.to].Step(g.now, node(p.from).Node, p.msg)
			g.drain(p.to)
		}
	}
	g.t.Fatal("messages go round without end")
}

// tick lets a span of time pass at once.
func (g *group) tick(d holo.Duration) {
	g.now = g.now.Add(d)
	for i, m := range g.machines {
		m.Tick(g.now)
		g.drain(i)
	}
}

// submit gives a mutation to the primary and delivers everything.
func (g *group) submit(mu wire.Mutation) Answer {
	id := g.start(mu)
	g.settle()
	return g.answers[id]
}

func (g *group) start(mu wire.Mutation) uint64 {
	g.last++
	if mu.Op == (holo.OpID{}) {
		mu.Op = holo.OpID{Session: 9, Num: g.last}
	}
	SignMutation(&mu)
	g.machines[0].Submit(g.now, g.last, g.config.Shard, mu)
	g.drain(0)
	return g.last
}

func (g *group) read(i int, id holo.PageID, sealed bool) (View, error) {
	m := g.machines[i]
	rd, err := m.BeginRead(g.now, ReadRequest{Shard: g.config.Shard, Pages: []holo.PageID{id}, Sealed: sealed})
	if err == nil {
		err = m.FinishRead(g.now, rd)
	}
	if err != nil {
		return View{}, err
	}
	return rd.Pages[0], nil
}

// bytesAt reads some bytes of a page at the primary.
func (g *group) bytesAt(id holo.PageID, offset, n int) []byte {
	g.t.Helper()
	v, err := g.read(0, id, false)
	if err != nil {
		g.t.Fatal(err)
	}
	buf := make([]byte, holo.PageSize)
	v.Bytes(buf)
	return buf[offset : offset+n]
}

func writeTo(a holo.ArrayID, changes ...wire.Change) wire.Mutation {
	return wire.Mutation{Kind: wire.MutateWrite, Array: a, Changes: changes}
}

func fill(p holo.PageIndex, pattern ...byte) wire.Change {
	return wire.Change{Page: p, Kind: wire.PageFill, Data: pattern}
}

func delta(p holo.PageIndex, offset uint32, data ...byte) wire.Change {
	return wire.Change{Page: p, Kind: wire.PageDelta, Offset: offset, Data: data}
}

func whole(p holo.PageIndex, b byte) wire.Change {
	data := make([]byte, holo.PageSize)
	for i := range data {
		data[i] = b
	}
	return wire.Change{Page: p, Kind: wire.PageData, Data: data}
}

func at(a holo.ArrayID, p holo.PageIndex) holo.PageID { return holo.PageID{Array: a, Index: p} }
