package shard

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// shelf is a disk: it has all that ever went away.
type shelf struct {
	*group
	bytes map[PageChange][]byte
}

func newShelf(t *testing.T, nodes, members int, l Limits) *shelf {
	t.Helper()
	g := newGroupOf(t, 2, nodes, members, Options{Timing: DefaultTiming(), Limits: l, Track: true})
	return &shelf{g, map[PageChange][]byte{}}
}

// clear has every page of a node that is in memory go away.
func (s *shelf) clear(i int) {
	s.t.Helper()
	m, n := s.machines[i], 0
	for id, p := range m.replica(s.config.Shard).table.pages {
		v, ok := m.Committed(s.config.Shard, id, p.version)
		if !ok || v.Away {
			continue
		}
		s.bytes[PageChange{Shard: s.config.Shard, Page: id, Version: v.Version}] = v.Data
		m.Hashed(s.config.Shard, id, v.Version, v.Sum())
		m.Away(s.config.Shard, id, v.Version)
		n++
	}
	if n == 0 {
		s.t.Fatalf("node %d has no page that could go away", i)
	}
}

// fetch gives a node what it wants, and reports whether it wanted anything.
func (s *shelf) fetch(i int) bool {
	s.t.Helper()
	list := s.wants[i]
	s.wants[i] = nil
	for _, w := range list {
		if len(w.Pages) == 0 {
			s.t.Fatal("a want of nothing")
		}
		for _, p := range w.Pages {
			if data, there := s.bytes[p]; there {
				s.machines[i].Back(w.Shard, p.Page, p.Version, data)
			}
		}
		s.machines[i].Resume(s.now, w.Shard)
		s.drain(i)
	}
	return len(list) > 0
}

// wantPage holds a node's committed page against bytes.
func (s *shelf) wantPage(i int, id holo.PageID, offset int, want ...byte) {
	s.t.Helper()
	p := s.machines[i].replica(s.config.Shard).table.get(id)
	if p.away {
		s.t.Fatalf("node %d: page %v is away", i, id)
	}
	got := make([]byte, len(want))
	p.at(got, uint32(offset))
	if !bytes.Equal(got, want) {
		s.t.Errorf("node %d: page %v at %d is %d, want %d", i, id, offset, got, want)
	}
}

func TestMemberTakesAChangeOfAPageThatIsAwayWhenItIsBack(t *testing.T) {
	s := newShelf(t, 2, 2, DefaultLimits())
	s.submit(writeTo(1, whole(0, 7), whole(1, 8)))
	s.tick(holo.Second) // the member learns that it is committed
	s.settle()
	s.clear(1)
	id := s.start(writeTo(1, delta(0, 5, 70), delta(1, 6, 80)))
	s.settle()
	if _, done := s.answers[id]; done {
		t.Fatal("the write is acknowledged, and the member cannot have it")
	}
	if len(s.wants[1]) != 1 || len(s.wants[1][0].Pages) != 2 {
		t.Fatalf("the member wants %+v", s.wants[1])
	}
	s.fetch(1)
	s.settle()
	if a, done := s.answers[id]; !done || a.Err != nil {
		t.Fatalf("after the pages are back: %+v", a)
	}
	s.tick(holo.Second)
	s.settle()
	for i := range 2 {
		s.wantPage(i, at(1, 0), 4, 7, 70, 7)
		s.wantPage(i, at(1, 1), 5, 8, 80, 8)
	}
}

func TestHomeOrdersAChangeOfAPageThatIsAwayWhenItIsBack(t *testing.T) {
	s := newShelf(t, 2, 2, DefaultLimits())
	s.submit(writeTo(1, whole(0, 1), whole(1, 2)))
	s.clear(0)
	first := s.start(writeTo(1, delta(0, 0, 9)))
	fold := s.start(wire.Mutation{Kind: wire.MutateFold, Array: 1, Fold: holo.FoldAdd, Element: holo.U8, Changes: []wire.Change{{Page: 0, Kind: wire.PageDelta, Offset: 0, Data: []byte{3}}}})
	other := s.start(writeTo(1, whole(1, 5))) // all of another page: it waits for nothing
	s.settle()
	if _, done := s.answers[first]; done {
		t.Fatal("a change of a page that is away is acknowledged")
	}
	if a, done := s.answers[other]; !done || a.Err != nil {
		t.Errorf("a whole page waits for another: %+v", a)
	}
	s.fetch(0)
	s.settle()
	if a := s.answers[fold]; a.Err != nil || a.Old != 9 {
		t.Errorf("the fold: %+v", a)
	}
	s.wantPage(0, at(1, 0), 0, 12, 1)
}

// copyTo makes node 2 a learner and carries its transfer to the end, clearing
// the home's memory again and again; between is called once in the middle.
func (s *shelf) copyTo(between func()) {
	s.t.Helper()
	s.config.Learner, s.config.LearnerGen = node(2), 1
	s.configure()
	for round := range 200 {
		s.tick(20 * holo.Millisecond)
		s.settle()
		s.fetch(0)
		if round == 2 && between != nil {
			between()
		}
		for _, p := range s.proposed {
			if _, ok := p.(*wire.ShardPromote); ok {
				return
			}
		}
	}
	s.t.Fatal("the learner is not proposed")
}

func smallChunks() Limits {
	l := DefaultLimits()
	l.ChunkBytes, l.ChunkWindow = 2*holo.PageSize, 1
	return l
}

func TestLearnerGetsPagesThatAreAway(t *testing.T) {
	s := newShelf(t, 3, 2, smallChunks())
	for p := range holo.PageIndex(9) {
		s.submit(writeTo(1, whole(p, byte(p+1))))
	}
	s.clear(0)
	s.copyTo(nil)
	for p := range holo.PageIndex(9) {
		s.wantPage(2, at(1, p), 100, byte(p+1))
	}
}

// A page that was frozen for a transfer, went away and was then replaced cannot
// be had any more: the transfer begins anew.
func TestTransferBeginsAnewWhenAPageOfItIsGone(t *testing.T) {
	s := newShelf(t, 3, 2, smallChunks())
	for p := range holo.PageIndex(9) {
		s.submit(writeTo(1, whole(p, byte(p+1))))
	}
	s.clear(0)
	s.copyTo(func() {
		for p := range holo.PageIndex(9) {
			s.start(writeTo(1, whole(p, byte(p+101))))
			s.settle()
			for i := range s.bytes {
				if i.Page == at(1, p) {
					delete(s.bytes, i) // as the disk forgets what is replaced
				}
			}
		}
		s.clear(0)
	})
	s.tick(holo.Second)
	s.settle()
	for p := range holo.PageIndex(9) {
		s.wantPage(2, at(1, p), 100, byte(p+101))
	}
}

func TestPageThatIsAwayIsShownWithItsDigestAndCounted(t *testing.T) {
	s := newShelf(t, 2, 2, DefaultLimits())
	s.submit(writeTo(1, whole(0, 7)))
	s.clear(0)
	v, err := s.read(0, at(1, 0), false)
	if err != nil || !v.Away || v.Data != nil || v.Sum() != digest.Of(bytes.Repeat([]byte{7}, holo.PageSize)) {
		t.Errorf("view %+v, %v", v, err)
	}
	if u := s.machines[0].Usage(); u.Bytes != holo.PageSize || u.Away != holo.PageSize {
		t.Errorf("usage %+v", u)
	}
	s.machines[0].Back(s.config.Shard, at(1, 0), holo.Version{Epoch: 1, Seq: 99}, make([]byte, holo.PageSize)) // of another version
	if v, _ := s.read(0, at(1, 0), false); !v.Away {
		t.Error("another version's bytes were taken")
	}
	s.submit(writeTo(1, fill(0, 0)))
	if u := s.machines[0].Usage(); u.Away != 0 || u.Bytes != 1 {
		t.Errorf("after the page was replaced: %+v", u)
	}
}

func TestChangeOfADamagedPageIsRefused(t *testing.T) {
	s := &shelf{newGroupOf(t, 1, 1, 1, Options{Timing: DefaultTiming(), Limits: DefaultLimits(), Track: true}), map[PageChange][]byte{}}
	s.submit(writeTo(1, whole(0, 7)))
	s.clear(0)
	v, _ := s.read(0, at(1, 0), false)
	s.machines[0].Damaged(s.config.Shard, v.Page, v.Version)
	if a := s.submit(writeTo(1, delta(0, 5, 1))); holo.KindOf(a.Err) != holo.Corrupt || holo.ReasonOf(a.Err) != "page_damaged" {
		t.Errorf("a change of part of it: %v", a.Err)
	}
	if a := s.submit(writeTo(1, whole(0, 8))); a.Err != nil {
		t.Errorf("all of it anew: %v", a.Err)
	}
	s.wantPage(0, at(1, 0), 0, 8)
}

// TestWhatComesAndGoesIsTold: whoever keeps the book of the pages by what it is
// told has them all and no other.
func TestWhatComesAndGoesIsTold(t *testing.T) {
	s := newShelf(t, 2, 2, DefaultLimits())
	book := map[holo.PageID]holo.Version{}
	read := func() {
		for _, c := range s.machines[0].Ready(s.now).Pages {
			if c.Gone {
				delete(book, c.Page)
			} else {
				book[c.Page] = c.Version
			}
		}
	}
	check := func(when string) {
		t.Helper()
		n := 0
		for id, p := range s.machines[0].replica(s.config.Shard).table.pages {
			if p.kind == wire.PageData {
				if n++; book[id] != p.version {
					t.Errorf("%s: page %v is at %v, the book says %v", when, id, p.version, book[id])
				}
			}
		}
		if n != len(book) {
			t.Errorf("%s: %d pages, %d in the book", when, n, len(book))
		}
	}
	for i, mu := range []wire.Mutation{
		writeTo(1, whole(0, 1), whole(1, 2), fill(2, 3)), writeTo(2, whole(0, 4)), writeTo(1, fill(0, 1)), writeTo(1, delta(2, 9, 9)),
		writeTo(1, whole(1, 3)), {Kind: wire.MutateDrop, Array: 1},
	} {
		mu.Op = holo.OpID{Session: 1, Num: uint64(i + 1)}
		SignMutation(&mu)
		s.machines[0].Submit(s.now, uint64(i+1), s.config.Shard, mu)
		out := s.machines[0].Ready(s.now)
		s.machines[0].out.Pages = out.Pages
		for _, e := range out.Send {
			s.machines[1].Step(s.now, node(0).Node, e.Msg)
			for _, back := range s.machines[1].Ready(s.now).Send {
				s.machines[0].Step(s.now, node(1).Node, back.Msg)
			}
		}
		read()
		check(fmt.Sprintf("step %d", i))
	}
	s.config.Epoch, s.config.Lost, s.config.Members = 2, true, nil
	s.machines[0].Configure(s.now, []wire.ShardConfig{s.config})
	read()
	check("lost")
	if len(book) != 0 {
		t.Errorf("%d pages are left", len(book))
	}
}
