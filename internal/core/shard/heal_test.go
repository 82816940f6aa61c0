package shard

import (
	"testing"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// damage spoils a node's copy of a page.
func (s *shelf) damage(i int, id holo.PageID) {
	s.t.Helper()
	p := s.machines[i].replica(s.config.Shard).table.get(id)
	s.machines[i].Damaged(s.config.Shard, id, p.version)
	if !p.damaged || p.data != nil {
		s.t.Fatalf("node %d: page %v is not damaged", i, id)
	}
}

// spread tells the members what is committed.
func (s *shelf) spread() {
	s.tick(s.machines[0].timing.Resend)
	s.settle()
}

// A damaged copy is replaced at the primary and at a member, in memory or away,
// and whoever keeps book of pages is told of the new one.
func TestDamagedCopiesAreReplacedFromAnotherHolder(t *testing.T) {
	for _, i := range []int{0, 1} {
		for _, away := range []bool{false, true} {
			s := newShelf(t, 2, 2, DefaultLimits())
			s.submit(writeTo(1, whole(0, 7)))
			s.spread()
			if away {
				s.clear(0)
				s.clear(1)
			}
			s.damage(i, at(1, 0))
			out := s.machines[i].out.Pages
			if len(out) != 1 || !out[0].Gone {
				t.Errorf("told %+v", out)
			}
			s.tick(holo.Millisecond)
			s.settle()
			if away && !s.fetch(1-i) {
				t.Errorf("node %d does not fetch what it is asked for", 1-i)
			}
			book := 0
			for len(s.mail) > 0 {
				p := s.mail[0]
				s.mail = s.mail[1:]
				s.machines[p.to].Step(s.now, node(p.from).Node, p.msg)
				for _, c := range s.machines[p.to].out.Pages {
					if !c.Gone && p.to == i {
						book++
					}
				}
				s.drain(p.to)
			}
			s.wantPage(i, at(1, 0), 0, 7, 7, 7)
			if u := s.machines[i].Usage(); u.Away != 0 || u.Bytes != holo.PageSize {
				t.Errorf("node %d: %+v", i, u)
			}
			if away && book != 1 {
				t.Errorf("the new copy was told %d times", book)
			}
			if a := s.submit(writeTo(1, delta(0, 1, 9))); a.Err != nil {
				t.Errorf("a change of part of the healed page: %v", a.Err)
			}
		}
	}
}

// Nobody's word counts: what does not have the digest that stayed is not taken,
// and the next holder is asked.
func TestWhatHealsHasTheDigestThatStayed(t *testing.T) {
	s := newShelf(t, 3, 3, DefaultLimits())
	s.submit(writeTo(1, whole(0, 7)))
	s.spread()
	s.damage(0, at(1, 0))
	s.tick(holo.Millisecond)
	asks := 0
	for range 20 {
		for len(s.mail) > 0 {
			p := s.mail[0]
			s.mail = s.mail[1:]
			ask, ok := p.msg.(*wire.PageAsk)
			if !ok || asks > 0 {
				s.machines[p.to].Step(s.now, node(p.from).Node, p.msg)
				s.drain(p.to)
				continue
			}
			asks++ // the first that is asked lies
			lie := whole(0, 8).Data
			m := s.machines[p.to]
			give := &wire.PageGive{ShardHead: m.head(m.replica(s.config.Shard), node(0)), Page: ask.Page, Version: ask.Version, Has: true, Data: lie, Digest: digest.Of(lie)}
			s.machines[0].Step(s.now, node(p.to).Node, give)
			s.drain(0)
			if v, _ := s.read(0, at(1, 0), false); !v.Damaged {
				t.Fatal("other bytes were taken for the page")
			}
		}
		s.tick(s.machines[0].timing.Resend)
	}
	s.wantPage(0, at(1, 0), 0, 7, 7, 7)
}

// A member whose copy is damaged waits with changes of part of the page, and
// goes on when it is healed.
func TestMemberGoesOnAfterItIsHealed(t *testing.T) {
	s := newShelf(t, 2, 2, DefaultLimits())
	s.submit(writeTo(1, whole(0, 7)))
	s.spread()
	s.damage(1, at(1, 0))
	id := s.start(writeTo(1, delta(0, 5, 1)))
	s.settle()
	if _, ok := s.answers[id]; ok {
		t.Fatal("it was acknowledged, and the member has not what it changes")
	}
	s.tick(holo.Millisecond)
	s.settle()
	s.spread()
	if a, ok := s.answers[id]; !ok || a.Err != nil {
		t.Fatalf("the write that waited: %v, %+v", ok, a)
	}
	s.spread()
	s.wantPage(1, at(1, 0), 4, 7, 1, 7)
}

// Where all holders are damaged the reader is told so, and it is not promised
// that waiting helps.
func TestPageThatNobodyHasIsSaidToBeDamaged(t *testing.T) {
	s := newShelf(t, 2, 2, DefaultLimits())
	s.submit(writeTo(1, whole(0, 7)))
	s.spread()
	s.damage(0, at(1, 0))
	if err := s.machines[0].Spoilt(s.config.Shard, at(1, 0)); holo.KindOf(err) != holo.Unavailable {
		t.Errorf("while another may have it: %v", err)
	}
	s.damage(1, at(1, 0))
	s.tick(holo.Millisecond)
	s.settle()
	if err := s.machines[0].Spoilt(s.config.Shard, at(1, 0)); holo.KindOf(err) != holo.Corrupt || holo.ReasonOf(err) != "page_damaged" {
		t.Errorf("when nobody has it: %v", err)
	}
	if a := s.submit(writeTo(1, whole(0, 8))); a.Err != nil {
		t.Errorf("all of it anew: %v", a.Err)
	}
	s.wantPage(0, at(1, 0), 0, 8)
}

// Who holds no part of the shard is given no page of it.
func TestStrangersAreGivenNoPage(t *testing.T) {
	s := newShelf(t, 3, 2, DefaultLimits())
	s.submit(writeTo(1, whole(0, 7)))
	v, _ := s.read(0, at(1, 0), false)
	for epoch := range holo.Epoch(3) {
		head := wire.ShardHead{Shard: s.config.Shard, Epoch: epoch, From: node(2).Incarnation, To: node(0).Incarnation}
		s.machines[0].Step(s.now, node(2).Node, &wire.PageAsk{ShardHead: head, Page: v.Page, Version: v.Version})
		for _, e := range s.machines[0].Ready(s.now).Send {
			if _, ok := e.Msg.(*wire.PageGive); ok {
				t.Errorf("epoch %d: a stranger was answered", epoch)
			}
		}
	}
}
