package buffer

import (
	"testing"
	"time"
)

func TestHandOutLastsForPatience(t *testing.T) {
	p, start := newPatience(), time.Unix(1000, 0)
	k := key{1, 2}
	for _, c := range []struct {
		number uint64
		after  time.Duration
		over   bool
	}{
		{5, 0, false},
		{5, Patience - 1, false},
		{5, Patience, true},
		{6, Patience + 1, false}, // another hand-out has its own time
		{6, 2 * Patience, false},
		{6, 2*Patience + 1, true},
	} {
		if got := p.over(k, c.number, start.Add(c.after)); got != c.over {
			t.Errorf("hand-out %d after %v: over %v", c.number, c.after, got)
		}
	}
	for i := range 2 * maxWatched {
		p.over(key{3, i}, 1, start)
	}
	if n := len(p.mu.seen); n > maxWatched {
		t.Errorf("%d hand-outs are watched", n)
	}
}
