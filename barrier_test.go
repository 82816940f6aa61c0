package holocompute_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holocompute/holocompute"
)

// No party goes on before all have arrived, meeting after meeting.
func TestPartiesMeetAgainAndAgain(t *testing.T) {
	const parties, meetings = 5, 8
	var arrived [meetings]atomic.Int32
	var wg sync.WaitGroup
	for range parties {
		c := connect(t)
		wg.Go(func() {
			for i := range meetings {
				arrived[i].Add(1)
				if err := c.Barrier(t.Context(), "gate", parties, time.Minute); err != nil {
					t.Error(err)
					return
				}
				if n := arrived[i].Load(); n != parties {
					t.Errorf("a party went on when %d of %d had arrived", n, parties)
					return
				}
			}
		})
	}
	wg.Wait()
}

// One of three never comes: the first whose patience ends says so to all, also
// to those who would wait for an hour and to who comes late.
func TestBarrierBreaksForAllWhenOnePartyGivesUp(t *testing.T) {
	c, other := connect(t), connect(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // far less than the patience
	defer cancel()
	patient := make(chan error, 1)
	go func() { patient <- other.Barrier(ctx, "broken", 3, time.Hour) }()
	if err := c.Barrier(t.Context(), "broken", 3, 300*time.Millisecond); !errors.Is(err, holocompute.ErrBarrierBroken) {
		t.Fatalf("the party whose time was over: %v", err)
	}
	if err := c.Barrier(ctx, "broken", 3, time.Hour); !errors.Is(err, holocompute.ErrBarrierBroken) || ctx.Err() != nil {
		t.Fatalf("a party that came late: %v", err)
	}
	if err := <-patient; !errors.Is(err, holocompute.ErrBarrierBroken) || ctx.Err() != nil {
		t.Fatalf("the patient party: %v", err)
	}
	if err := c.ResetBarrier(t.Context(), "broken"); err != nil {
		t.Fatal(err)
	}
	if err := c.Barrier(t.Context(), "broken", 1, time.Minute); err != nil {
		t.Errorf("after the reset: %v", err)
	}
}

func TestCancelledPartyAndResetBreakTheBarrier(t *testing.T) {
	c, other := connect(t), connect(t)
	wait := func(name string) chan error {
		patient := make(chan error, 1)
		go func() { patient <- other.Barrier(t.Context(), name, 3, time.Hour) }()
		a, err := holocompute.Open[uint64](t.Context(), c, name)
		for v := []uint64{0}; v[0] == 0; err = errors.Join(err, t.Context().Err()) {
			if holocompute.KindOf(err) == holocompute.NotFound {
				a, err = holocompute.Open[uint64](t.Context(), c, name)
				continue
			}
			if err == nil {
				err = a.Read(t.Context(), 0, v)
			}
			if err != nil && holocompute.KindOf(err) != holocompute.NotFound {
				t.Fatal(err)
			}
		}
		return patient
	}
	patient := wait("cancelled")
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- c.Barrier(ctx, "cancelled", 3, time.Hour) }()
	cancel()
	if err := <-gone; err == nil {
		t.Error("a party that was cancelled met the others")
	} else if errors.Is(err, holocompute.ErrBarrierBroken) { // it had arrived
		if err := <-patient; !errors.Is(err, holocompute.ErrBarrierBroken) {
			t.Errorf("the other: %v", err)
		}
	}
	patient = wait("reset")
	if err := c.ResetBarrier(t.Context(), "reset"); err != nil {
		t.Fatal(err)
	}
	if err := <-patient; !errors.Is(err, holocompute.ErrBarrierBroken) {
		t.Errorf("who waits at a barrier that is reset: %v", err)
	}
	patient = wait("counts")
	if err := c.Barrier(t.Context(), "counts", 2, time.Hour); holocompute.ReasonOf(err) != "barrier_parties" {
		t.Errorf("a party that counts otherwise: %v", err)
	}
	if err := c.ResetBarrier(t.Context(), "counts"); err != nil {
		t.Fatal(err)
	}
	<-patient
}
