package tally

import (
	"math/rand/v2"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

const minute = 60 * holo.Second

// TestEveryCountIsRecordedOnceAndNoKindTwiceInAnInterval plays random events
// and looks against a list of all records.
func TestEveryCountIsRecordedOnceAndNoKindTwiceInAnInterval(t *testing.T) {
	for seed := range uint64(50) {
		chance := rand.New(rand.NewPCG(seed, 3))
		tally, now := New[int](minute), holo.Time(0)
		added, recorded, last := map[int]uint64{}, map[int]uint64{}, map[int]holo.Time{}
		for range 2000 {
			now = now.Add(holo.Duration(chance.Int64N(int64(10 * holo.Second))))
			kind := chance.IntN(5)
			tally.Owe(kind, 1)
			added[kind]++
			if chance.IntN(3) > 0 {
				continue
			}
			for kind, count := range tally.Due(now) {
				if at, before := last[kind]; before && now.Sub(at) < minute {
					t.Fatalf("seed %d: kind %d is due %d after it was", seed, kind, now.Sub(at))
				}
				last[kind], recorded[kind] = now, recorded[kind]+count
			}
			if len(tally.paid) > 5 || len(tally.owed) > 5 {
				t.Fatalf("seed %d: %d and %d kinds are held", seed, len(tally.paid), len(tally.owed))
			}
		}
		for kind, count := range tally.Rest() {
			recorded[kind] += count
		}
		for kind := range added {
			if recorded[kind] != added[kind] {
				t.Errorf("seed %d: %d of kind %d recorded, %d happened", seed, recorded[kind], kind, added[kind])
			}
		}
	}
}

// TestFirstOfAKindIsDueAtOnce, and is forgotten after its interval.
func TestFirstOfAKindIsDueAtOnce(t *testing.T) {
	tally := New[string](minute)
	tally.Owe("a", 3)
	if due := tally.Due(7); due["a"] != 3 || len(due) != 1 {
		t.Errorf("due %v, want 3 of a", due)
	}
	tally.Owe("a", 1)
	tally.Owe("b", 1)
	if due := tally.Due(holo.Time(minute)); due["b"] != 1 || len(due) != 1 {
		t.Errorf("due %v, want b alone", due)
	}
	if due := tally.Due(holo.Time(minute) + 7); due["a"] != 1 || len(due) != 1 {
		t.Errorf("due %v, want the rest of a", due)
	}
	if tally.Due(holo.Time(3 * minute)); len(tally.paid) != 0 {
		t.Errorf("%d kinds are held for nothing", len(tally.paid))
	}
}
