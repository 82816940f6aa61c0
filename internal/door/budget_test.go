package door

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
)

// hold makes writes at the offset wait, and gives what lets them go on.
func (m *memory) hold(offset uint64) (release func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := make(chan struct{})
	m.waitAt = map[uint64]chan struct{}{offset: c}
	return sync.OnceFunc(func() { close(c) })
}

// waits gives how many writes have begun to wait.
func (m *memory) waits() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.waiting
}

// A write waits for as long as its shard has too few copies. Many that wait keep
// neither their user's other transfers nor those of others from being done.
func TestWritesThatWaitKeepNobodyElseWaiting(t *testing.T) {
	r := newRig(t)
	u, other := r.user(), r.user()
	const size, many = 64 << 10, 60
	id := holo.ArrayID(u.create("a", 2<<20, 0).GetId())
	release := r.backend.hold(0)
	var stuck sync.WaitGroup
	defer stuck.Wait()
	defer release()
	for range many {
		stuck.Go(func() {
			if status, reason := u.put(api.DataPath(id, 0, size/2), noise(size), nil); status != http.StatusNoContent {
				t.Errorf("a write that waited: %d %s", status, reason)
			}
		})
	}
	eventually(t, "all writes wait", func() bool { return r.backend.waits() == many })
	for name, c := range map[string]*user{"the same user": u, "another user": other} {
		if status, reason := c.put(api.DataPath(id, 1<<20, size/2), noise(size), nil); status != http.StatusNoContent {
			t.Errorf("a write of %s: %d %s", name, status, reason)
		}
		if status, _, err := c.get(api.DataPath(id, 1<<20, size/2)); status != http.StatusOK || err != nil {
			t.Errorf("a read of %s: %d %v", name, status, err)
		}
	}
}

// Large writes of one user that wait hold 8 MiB and leave 24 to the others.
func TestOneUserHoldsNoMoreThanItsShareOfTheBytes(t *testing.T) {
	r := newRig(t)
	u, other := r.user(), r.user()
	id := holo.ArrayID(u.create("a", 4<<20, 0).GetId())
	release := r.backend.hold(0)
	var stuck sync.WaitGroup
	defer stuck.Wait()
	defer release()
	const most = eachBytes / api.MaxUpload
	for range 2 * most {
		stuck.Go(func() { u.put(api.DataPath(id, 0, api.MaxUpload/2), noise(api.MaxUpload), nil) })
	}
	eventually(t, "the share is used up", func() bool { return r.backend.waits() == most })
	if status, reason := other.put(api.DataPath(id, 3<<20, 1000), noise(2000), nil); status != http.StatusNoContent {
		t.Errorf("a write of another user: %d %s", status, reason)
	}
	if n := r.backend.waits(); n != most {
		t.Errorf("%d bodies of 4 MiB are held, want %d", n, most)
	}
}

// A transfer that is given up while it waits for its turn costs nothing.
func TestTransfersThatAreGivenUpHoldNothing(t *testing.T) {
	b := newBudget(3*leastHeld, 2*leastHeld)
	one, two := holo.PrincipalID{1}, holo.PrincipalID{2}
	release, err := b.take(context.Background(), one, 100*leastHeld) // counts as all that one may hold
	if err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	for p, n := range map[holo.PrincipalID]uint64{one: 1, two: 2 * leastHeld} {
		if _, err := b.take(over, p, n); holo.KindOf(err) != holo.Cancelled {
			t.Errorf("a transfer that is over: %v", err)
		}
	}
	release()
	for _, p := range []holo.PrincipalID{one, two} {
		if release, err = b.take(context.Background(), p, 2*leastHeld); err != nil {
			t.Fatal(err)
		}
		release()
	}
	if len(b.mu.of) != 0 {
		t.Errorf("%d shares are left of nobody", len(b.mu.of))
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}
