package transport

import (
	"context"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

// After a failed dial nobody dials again for firstBackOff, twice that after
// the next, up to lastBackOff: a node that comes back is found within a second
// even if it does not dial itself.
const (
	firstBackOff = 50 * time.Millisecond
	lastBackOff  = time.Second
)

// A session is replaced by a new one, with fresh keys from a fresh ML-KEM, when
// it is sessionLife old or the pre-shared key changed. What is under way on the old one has retireTime to
// come to its end.
const (
	sessionLife = 24 * time.Hour
	retireTime  = time.Minute
)

// retire ends a session in favour of another: one whose time is over when what
// is under way had time to end, or the pool is closed.
func (p *Peers) retire(s, successor *Session) {
	if s.worn() && s.instance == successor.instance && p.group.run(func(ctx context.Context) { s.expire(ctx) }) {
		return
	}
	s.Close("replaced by a newer one")
}

func (s *Session) expire(ctx context.Context) {
	timer := time.NewTimer(retireTime)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-s.Done():
	}
	s.Close("replaced after its time")
}

// slot is the place of one peer and class in the pool, guarded by the pool.
type slot struct {
	peer     holo.NodeID
	sessions [2]*Session   // which the peer dialled, which we dialled
	newest   int           // index of the younger one
	dialling bool          // one dial at a time
	changed  chan struct{} // closed when a session comes or a dial ends
	queue    *queue        // nil until the first Send

	failures int // dials in a row that made no session
	failedAt string
	notUntil time.Time
	lastErr  error
}

// put keeps a session.
func (s *slot) put(session *Session) {
	i := 0
	if session.Initiator() {
		i = 1
	}
	s.sessions[i], s.newest = session, i
	s.failures = 0
	s.tell()
}

func (s *slot) remove(session *Session) {
	for i := range s.sessions {
		if s.sessions[i] == session {
			s.sessions[i] = nil
		}
	}
}

// best is the newest session that has not ended.
func (s *slot) best() *Session {
	for _, i := range [2]int{s.newest, 1 - s.newest} {
		if session := s.sessions[i]; session != nil && !isDone(session) {
			return session
		}
	}
	return nil
}

func (s *slot) live() []*Session {
	var open []*Session
	for _, session := range s.sessions {
		if session != nil && !isDone(session) {
			open = append(open, session)
		}
	}
	return open
}

// mayDial refuses while the last failure is recent, unless the peer has moved.
func (s *slot) mayDial(now time.Time, addr string) error {
	if s.failures == 0 || addr != s.failedAt || !now.Before(s.notUntil) {
		return nil
	}
	return holo.Refuse(holo.Unavailable, ReasonBackOff, "connect to %s: waiting after %d failures: %w", s.peer, s.failures, s.lastErr)
}

// dialled notes how a dial ended and wakes who waited for it.
func (s *slot) dialled(now time.Time, addr string, err error) {
	s.dialling = false
	if err != nil {
		s.notUntil = now.Add(min(lastBackOff, firstBackOff<<min(s.failures, 10)))
		s.failures++
		s.failedAt, s.lastErr = addr, err
	}
	s.tell()
}

func (s *slot) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func isDone(s *Session) bool {
	select {
	case <-s.Done():
		return true
	default:
		return false
	}
}
