package door

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/holocompute/holocompute/internal/holo"
)

// budget bounds the bytes that the transfers of one direction hold at once: all of
// them together, and those of one principal, so that transfers that wait (for a
// shard that has lost a copy, say) keep neither their principal's small ones nor
// anybody else's waiting.
type budget struct {
	bytes, each int64
	within      time.Duration // how long a transfer waits for its turn
	all         *semaphore.Weighted
	mu          struct {
		sync.Mutex
		of map[holo.PrincipalID]*share
	}
}

// share is what one principal may hold. It is there while somebody uses it.
type share struct {
	free  *semaphore.Weighted
	users int
}

// leastHeld is what a transfer costs besides its bytes.
const leastHeld = 4 << 10

// turnWithin is how long a transfer waits for others to end before its client is
// told to ask again.
const turnWithin = 30 * time.Second

var errBusy = holo.Refuse(holo.Unavailable, "busy", "other transfers hold all the bytes there are for them: try again")

func newBudget(bytes, each int64) *budget {
	b := &budget{bytes: bytes, each: each, within: turnWithin, all: semaphore.NewWeighted(bytes)}
	b.mu.of = map[holo.PrincipalID]*share{}
	return b
}

// take waits until the principal may hold n bytes more, at most each of them, and
// gives what returns them. It does not wait for ever.
func (b *budget) take(ctx context.Context, p holo.PrincipalID, n uint64) (release func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.within, errBusy)
	defer cancel()
	weight := int64(min(max(n, leastHeld), uint64(b.each)))
	s := b.enter(p)
	if err := s.free.Acquire(ctx, weight); err != nil {
		b.leave(p, s)
		return nil, waiting(ctx, err)
	}
	if err := b.all.Acquire(ctx, weight); err != nil {
		s.free.Release(weight)
		b.leave(p, s)
		return nil, waiting(ctx, err)
	}
	return func() {
		b.all.Release(weight)
		s.free.Release(weight)
		b.leave(p, s)
	}, nil
}

func waiting(ctx context.Context, err error) error {
	if context.Cause(ctx) == errBusy {
		return errBusy
	}
	return holo.Errorf(holo.Cancelled, "wait for a transfer to end: %w", err)
}

func (b *budget) enter(p holo.PrincipalID) *share {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.mu.of[p]
	if s == nil {
		s = &share{free: semaphore.NewWeighted(b.each)}
		b.mu.of[p] = s
	}
	s.users++
	return s
}

func (b *budget) leave(p holo.PrincipalID, s *share) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.users--; s.users == 0 {
		delete(b.mu.of, p)
	}
}
