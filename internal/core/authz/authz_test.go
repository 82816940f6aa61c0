package authz

import (
	"fmt"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func question(name string) Question {
	return Question{Principal: holo.PrincipalID{1}, Action: holo.ActionRead, Resource: Resource{Kind: Array, Name: name}}
}

func TestHandleEndsWithItsEpochAndItsTime(t *testing.T) {
	d := Decision{Allowed: true, Epoch: 7, Until: 100}
	h := d.Handle()
	for _, c := range []struct {
		epoch uint64
		unix  int64
		holds bool
	}{{7, 100, true}, {7, 101, false}, {8, 1, false}, {6, 1, false}} {
		if h.Holds(c.epoch, c.unix) != c.holds {
			t.Errorf("at epoch %d, second %d: %v", c.epoch, c.unix, !c.holds)
		}
	}
	if (Handle{}).Holds(7, 1) {
		t.Error("the zero handle holds")
	}
}

func TestTwoRightsHoldAsLongAsBoth(t *testing.T) {
	a, b := Handle{7, 100}, Handle{7, 50}
	if h := a.Both(b); !h.Holds(7, 50) || h.Holds(7, 51) {
		t.Errorf("%+v", h)
	}
	if h := a.Both(Handle{8, 100}); h.Holds(7, 1) || h.Holds(8, 1) {
		t.Errorf("of two epochs: %+v", h)
	}
}

func TestCacheForgetsWithTheEpochAndTheTime(t *testing.T) {
	c := NewCache()
	c.Put(question("a"), Decision{Allowed: true, Epoch: 2, Until: 100})
	if d, ok := c.Get(question("a"), 2, 100); !ok || !d.Allowed {
		t.Error("a decision that holds is gone")
	}
	for _, at := range []struct {
		epoch uint64
		unix  int64
	}{{2, 101}, {3, 1}, {1, 1}} {
		if _, ok := c.Get(question("a"), at.epoch, at.unix); ok {
			t.Errorf("remembered at %+v", at)
		}
	}
	c.Put(question("b"), Decision{Allowed: true, Epoch: 3, Until: 100})
	c.Put(question("a"), Decision{Allowed: true, Epoch: 2, Until: 100}) // made before the change
	if _, ok := c.Get(question("a"), 3, 1); ok {
		t.Error("a decision of an older epoch counts in a newer one")
	}
	c.Put(question("c"), Decision{Epoch: 3, Until: Forever})
	if _, ok := c.Get(question("c"), 3, 1); ok {
		t.Error("a denial is remembered")
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := NewCache()
	for i := range 3 * MaxCached {
		c.Put(question(fmt.Sprint(i)), Decision{Allowed: true, Epoch: 1, Until: Forever})
	}
	if len(c.of) > MaxCached {
		t.Errorf("%d decisions", len(c.of))
	}
}

func BenchmarkHandle(b *testing.B) {
	h := Handle{7, 100}
	for b.Loop() {
		if !h.Holds(7, 50) {
			b.Fatal("ended")
		}
	}
}
