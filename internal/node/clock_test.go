package node

import (
	"context"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
)

// A processor that others had between two readings of clocks is no suspension.
func TestBusyMachineIsNotTakenForASuspendedOne(t *testing.T) {
	const ms, slept = holo.Millisecond, 7 * holo.Second
	now, gaps := holo.Duration(0), []holo.Duration{300 * ms, 0, 450 * ms, 200 * ms, 1 * ms}
	got := between(func() (before, boot, after holo.Duration) {
		before = now
		now += gaps[0]
		boot = now + slept
		now += gaps[0]
		gaps = append(gaps[1:], 0)
		return before, boot, now
	})
	if got != slept {
		t.Errorf("asleep for %v, want %v", got, slept)
	}
}

func TestStandstillIsNoticedOnce(t *testing.T) {
	c := newClock()
	for _, look := range []struct {
		at   holo.Duration
		want bool
	}{
		{10 * holo.Second, false}, // the first look says nothing about what was before
		{11 * holo.Second, false},
		{11*holo.Second + standstill, false},
		{12*holo.Second + 2*standstill, true},
		{12*holo.Second + 2*standstill, false},
	} {
		if got := c.stoodStill(holo.Time(look.at)); got != look.want {
			t.Errorf("at %v: %v", look.at, got)
		}
	}
}

// A process that was stopped believes in sessions that the others have given up.
func TestNodeThatStoodStillMakesItsSessionsAnew(t *testing.T) {
	c := newCluster(t, 2)
	n, peer := c.nodes[1], c.nodes[0].Self()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	st, err := n.peers.Open(ctx, peer, transport.Data)
	must(t, err)
	st.Close()
	before := n.peers.Best(peer, transport.Data)
	must(t, n.turns.Do(ctx, func(now holo.Time) { n.clock.seen = now.Add(-2 * standstill) }))
	for n.peers.Best(peer, transport.Data) == before {
		must(t, n.turns.Do(ctx, func(holo.Time) {}))
	}
}
