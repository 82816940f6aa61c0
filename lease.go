package holocompute

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
)

// MaxLease is the longest write lease.
const MaxLease = time.Minute

// Lease is the right to be the only one who writes a part of an array, for a
// while. Everybody may read it. It covers whole extents; writes of others there
// are refused as ErrLocked, fills and atomic operations by anybody as well. It
// ends with its time, by Release, and where the home of an extent changes: what
// is written under it then is refused as ErrFenced and not applied, however late
// it comes. So what was read under a lease is still so when a write under the
// same lease succeeds. It is safe for use by several goroutines.
type Lease struct {
	r            *Raw
	name         uint64
	first, count uint64
	mu           struct {
		sync.Mutex
		extents []*holov1.HeldExtent
		until   time.Time
		over    bool // released, or found to be over
	}
}

// Lease takes a write lease on all extents that hold the elements. Where
// somebody else has a part of them it is refused as ErrLocked, and nothing is
// taken.
func (r *Raw) Lease(ctx context.Context, first, count uint64, d time.Duration) (*Lease, error) {
	if err := r.inside("lease", first, count); err != nil {
		return nil, err
	}
	var name [8]byte
	rand.Read(name[:]) // never fails: the runtime stops the process instead
	l := &Lease{r: r, name: binary.LittleEndian.Uint64(name[:]) | 1, first: first, count: count}
	extents, until, err := l.hold(ctx, d)
	if err != nil {
		return nil, err
	}
	if len(extents) == 0 {
		return nil, holo.Errorf(Corrupt, "lease array %s: the answer names no extent", r.info.Name)
	}
	l.mu.extents, l.mu.until = extents, until
	return l, nil
}

// Lease takes a write lease on all extents that hold the elements.
func (a *Array[T]) Lease(ctx context.Context, first, count uint64, d time.Duration) (*Lease, error) {
	return a.raw.Lease(ctx, first, count, d)
}

// WriteUnder writes values from element first on under a write lease of this
// array.
func (a *Array[T]) WriteUnder(ctx context.Context, l *Lease, first uint64, values []T) error {
	return l.WriteBytes(ctx, first, Bytes(values))
}

// hold asks for the lease, for a longer one, or with no time for its end. The
// time is counted from before the request, so that it ends here first.
func (l *Lease) hold(ctx context.Context, d time.Duration) ([]*holov1.HeldExtent, time.Time, error) {
	if d < 0 || d > MaxLease {
		return nil, time.Time{}, holo.Errorf(Invalid, "lease array %s: for %s, want at most %s", l.r.info.Name, d, MaxLease)
	}
	asked := time.Now()
	req := &holov1.HoldRequest{Array: l.r.info.ID, First: l.first, Count: l.count, Lease: l.name, Milliseconds: uint64(d.Milliseconds())}
	what := "lease array " + l.r.info.Name
	m, err := untilKnown(ctx, func() (*holov1.HoldResponse, error) {
		return change(ctx, l.r.c.client, what, holov1connect.LeaseServiceHoldProcedure, l.r.c.leases.Hold, req)
	})
	return m.GetExtents(), asked.Add(d), err
}

// Until is when the lease ends, as far as it is known here: reading it says
// nothing, only a write under it does.
func (l *Lease) Until() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.until
}

// Extend makes the lease end so long from now. Where a part of it was over, all
// of it is, and the error is ErrFenced.
func (l *Lease) Extend(ctx context.Context, d time.Duration) error {
	if d.Milliseconds() == 0 {
		return holo.Errorf(Invalid, "lease array %s: for %s, want a millisecond at least", l.r.info.Name, d)
	}
	extents, until, err := l.hold(ctx, d)
	if err != nil {
		return err
	}
	l.mu.Lock()
	same := !l.mu.over && sameTokens(l.mu.extents, extents)
	l.mu.over = !same
	if same {
		l.mu.until = until
	}
	l.mu.Unlock()
	if !same {
		_, _, _ = l.hold(ctx, 0) // what was taken anew is not what the caller had
		return l.fenced()
	}
	return nil
}

func (l *Lease) fenced() error {
	return holo.Refuse(Conflict, reasonFenced, "lease array %s: it is over: take it anew, and read again what it was for", l.r.info.Name)
}

func sameTokens(a, b []*holov1.HeldExtent) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].GetEpoch() != b[i].GetEpoch() || a[i].GetNumber() != b[i].GetNumber() {
			return false
		}
	}
	return true
}

// Release ends the lease. Writes under it that are still under way may be
// refused.
func (l *Lease) Release(ctx context.Context) error {
	l.mu.Lock()
	l.mu.over = true
	l.mu.Unlock()
	_, _, err := l.hold(ctx, 0)
	return err
}

// WriteBytes writes whole elements from element first on, within the lease. It
// goes in pieces of at most 4 MiB, each within an extent and under its token:
// each is written whole or not at all.
func (l *Lease) WriteBytes(ctx context.Context, first uint64, b []byte) error {
	size := l.r.typ.Size()
	if uint64(len(b))%size != 0 {
		return holo.Errorf(Invalid, "write array %s: %d bytes are not whole %s elements", l.r.info.Name, len(b), l.r.typ)
	}
	if err := l.covers(first, uint64(len(b))/size); err != nil {
		return err
	}
	for len(b) > 0 {
		e, over := l.extent(first)
		if over {
			return l.fenced()
		}
		n := min(uint64(len(b)), (e.GetFirst()+e.GetCount()-first)*size, api.MaxUpload)
		if err := l.r.put(ctx, first, b[:n], holo.Token{Lease: holo.LeaseID(l.name), Epoch: holo.Epoch(e.GetEpoch()), Number: e.GetNumber()}); err != nil {
			return err
		}
		first, b = first+n/size, b[n:]
	}
	return nil
}

// covers refuses elements that are not in the lease, before any is written.
func (l *Lease) covers(first, count uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.mu.extents[len(l.mu.extents)-1]
	begin, end := l.mu.extents[0].GetFirst(), last.GetFirst()+last.GetCount()
	if first < begin || first > end || count > end-first {
		return holo.Errorf(Invalid, "write array %s under a lease: elements %d+%d, it has %d to %d", l.r.info.Name, first, count, begin, end)
	}
	return nil
}

// extent is the part of the lease that an element is in.
func (l *Lease) extent(element uint64) (e *holov1.HeldExtent, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.mu.extents {
		if element >= e.GetFirst() && element-e.GetFirst() < e.GetCount() {
			return e, l.mu.over
		}
	}
	return nil, l.mu.over
}
