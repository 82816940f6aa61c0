package holocompute_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/holocompute/holocompute"
)

func TestWriteLeaseOverSeveralExtents(t *testing.T) {
	ctx, c := t.Context(), connect(t)
	const extent = 65536 / 8
	a, err := holocompute.Create[uint64](ctx, c, "leased", 4*extent, holocompute.ArrayOptions{Extent: extent})
	if err != nil {
		t.Fatal(err)
	}
	l, err := a.Lease(ctx, extent, 2*extent, holocompute.MaxLease)
	if err != nil {
		t.Fatal(err)
	}
	other, err := holocompute.Open[uint64](ctx, connect(t), "leased")
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Write(ctx, extent, []uint64{1}); !errors.Is(err, holocompute.ErrLocked) {
		t.Errorf("somebody else's write: %v", err)
	}
	if _, err := other.Add(ctx, extent, 1); !errors.Is(err, holocompute.ErrLocked) {
		t.Errorf("somebody else's addition: %v", err)
	}
	if _, err := other.Lease(ctx, 0, 2*extent, time.Second); !errors.Is(err, holocompute.ErrLocked) {
		t.Errorf("somebody else's lease of a part: %v", err)
	}
	if err := other.Write(ctx, 0, []uint64{1}); err != nil {
		t.Errorf("a write beside the lease, which a lease that was refused had for a moment: %v", err)
	}
	values := make([]uint64, 2*extent)
	for i := range values {
		values[i] = uint64(i) * 7
	}
	if err := a.WriteUnder(ctx, l, extent, values); err != nil {
		t.Fatal(err)
	}
	if err := a.WriteUnder(ctx, l, 2*extent, values); holocompute.KindOf(err) != holocompute.Invalid {
		t.Errorf("a write beyond the lease: %v", err)
	}
	got := make([]uint64, 2*extent)
	if err := other.Read(ctx, extent, got); err != nil || got[extent+1] != values[extent+1] {
		t.Errorf("a reader sees %d: %v", got[extent+1], err)
	}
	if err := l.Extend(ctx, time.Minute); err != nil {
		t.Error(err)
	}
	if err := l.Release(ctx); err != nil {
		t.Fatal(err)
	}
	if err := a.WriteUnder(ctx, l, extent, values[:1]); !errors.Is(err, holocompute.ErrFenced) {
		t.Errorf("a write under a lease that was released: %v", err)
	}
	if err := other.Write(ctx, extent, []uint64{1}); err != nil {
		t.Error(err)
	}
}

// Four clients count with reads and writes, each round under a lease. No round
// is lost, though leases end in the middle.
func TestReadsAndWritesUnderALeaseAreOneStep(t *testing.T) {
	ctx := t.Context()
	const clients, rounds = 4, 25
	if _, err := holocompute.Create[uint64](ctx, connect(t), "leased/counter", 8, holocompute.ArrayOptions{}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range clients {
		a, err := holocompute.Open[uint64](ctx, connect(t), "leased/counter")
		if err != nil {
			t.Fatal(err)
		}
		length := time.Duration(i+1) * 3 * time.Millisecond
		wg.Go(func() {
			for done := 0; done < rounds; {
				ok, err := countUnderLease(t, a, length)
				if err != nil {
					t.Error(err)
					return
				}
				if ok {
					done++
				} else {
					length += time.Millisecond // a busy machine needs longer
				}
			}
		})
	}
	wg.Wait()
	a, err := holocompute.Open[uint64](ctx, connect(t), "leased/counter")
	if err != nil {
		t.Fatal(err)
	}
	now := make([]uint64, 1)
	if err := a.Read(ctx, 0, now); err != nil || now[0] != clients*rounds {
		t.Errorf("%d rounds counted to %d: %v", clients*rounds, now[0], err)
	}
}

func countUnderLease(t *testing.T, a *holocompute.Array[uint64], d time.Duration) (done bool, err error) {
	ctx, v := t.Context(), make([]uint64, 1)
	l, err := a.Lease(ctx, 0, 1, d)
	if errors.Is(err, holocompute.ErrLocked) {
		return false, nil
	}
	if err == nil {
		err = a.Read(ctx, 0, v)
	}
	if err == nil {
		v[0]++
		if err = a.WriteUnder(ctx, l, 0, v); errors.Is(err, holocompute.ErrFenced) {
			return false, nil
		}
	}
	if err == nil {
		err = l.Release(ctx)
	}
	return err == nil, err
}
