package scrub

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

// shelf is pages that lie in memory, and how often each was looked at. What Check
// and Pages answer can be made to fail.
type shelf struct {
	of     map[holo.ShardID][]Page
	order  []holo.ShardID
	looked map[holo.PageID]int
	listed int // times that the shards were
	bytes  int // that a page takes
	fails  error
	most   int // pages that can be looked at before it fails
}

// newShelf has so many pages in each of some shards.
func newShelf(shards, pages int) *shelf {
	s := &shelf{of: map[holo.ShardID][]Page{}, looked: map[holo.PageID]int{}, bytes: holo.PageSize}
	for i := range shards {
		id := holo.MakeShardID(2, uint64(i))
		s.order = append(s.order, id)
		for k := range pages {
			s.of[id] = append(s.of[id], Page{Shard: id, ID: holo.PageID{Array: 1, Index: holo.PageIndex(i*pages + k)}})
		}
	}
	return s
}

// Shards implements Source.
func (s *shelf) Shards(ctx context.Context) ([]holo.ShardID, error) {
	s.listed++
	return s.order, ctx.Err()
}

// Pages implements Source.
func (s *shelf) Pages(_ context.Context, id holo.ShardID) ([]Page, error) { return s.of[id], nil }

// Check implements Source.
func (s *shelf) Check(ctx context.Context, p Page) (int, error) {
	if s.fails != nil && len(s.looked) >= s.most {
		return 0, s.fails
	}
	s.looked[p.ID]++
	return s.bytes, ctx.Err()
}

// scrubFor runs for a time of synctest's clock and waits for its end.
func scrubFor(t *testing.T, s *shelf, rate uint64, d time.Duration) State {
	t.Helper()
	var b Book
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	began := time.Now()
	Run(ctx, s, rate, &b)
	if took := time.Since(began); took > d {
		t.Errorf("it went on for %s after its end", took-d)
	}
	return b.State()
}

// A round takes as long as its pages need at the rate, and looks at each once.
func TestRoundLooksAtEveryPageOnceAndKeepsToTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, pages, rounds = 1 << 20, 4 * 40, 3
		s := newShelf(4, pages/4)
		period := time.Duration(pages*holo.PageSize+stride) * time.Second / rate // and the pause at its end
		st := scrubFor(t, s, rate, rounds*period-time.Millisecond)               // in the pause that ends the last
		if st.Rounds != rounds-1 || st.Period != period || st.Bytes != rounds*pages*holo.PageSize {
			t.Errorf("%d rounds of %s are over, %d bytes; want %d of %s, %d bytes", st.Rounds, st.Period, st.Bytes, rounds-1, period, rounds*pages*holo.PageSize)
		}
		for id, n := range s.looked {
			if n != rounds {
				t.Errorf("page %v was looked at %d times in %d rounds", id, n, rounds)
			}
		}
		if len(s.looked) != pages {
			t.Errorf("%d of %d pages were looked at", len(s.looked), pages)
		}
	})
}

// At no time has more been read than the rate allows, and one stride.
func TestNothingIsReadAheadOfTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, seconds := range []int{1, 2, 5, 30} {
			s := newShelf(2, 1000)
			got := scrubFor(t, s, LeastRate, time.Duration(seconds)*time.Second).Bytes
			if most := uint64(seconds*LeastRate + stride); got > most {
				t.Errorf("%d bytes in %d s, at most %d", got, seconds, most)
			}
		}
	})
}

// Where nothing lies the shards are asked for now and then, and no oftener.
func TestEmptyNodeIsNotAskedWithoutPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(0, 0)
		st := scrubFor(t, s, DefaultRate, 10*time.Second)
		if want := 10 * DefaultRate / stride; s.listed < want-1 || s.listed > want+1 || st.Rounds == 0 {
			t.Errorf("asked %d times in 10 s, want about %d; %d rounds", s.listed, want, st.Rounds)
		}
	})
}

// A round that broke off is none, and a source that is closing ends the work.
func TestRoundThatBrokeOffDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(1, 100)
		s.fails, s.most = errors.New("the node is closing"), 37
		st := scrubFor(t, s, DefaultRate, time.Hour)
		if st.Rounds != 0 || st.Bytes != 37*holo.PageSize || s.listed != 1 {
			t.Errorf("%d rounds, %d bytes, asked %d times", st.Rounds, st.Bytes, s.listed)
		}
	})
}

// Pages that were gone before they were looked at cost no time.
func TestPagesThatAreGoneCostNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(1, 10_000)
		s.bytes = 0
		if st := scrubFor(t, s, LeastRate, 20*time.Second); st.Rounds != 2 || st.Bytes != 0 {
			t.Errorf("%d rounds of the pause alone, %d bytes; want 2 and none", st.Rounds, st.Bytes)
		}
	})
}
