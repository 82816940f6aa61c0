package door

import (
	"cmp"
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// Limits of sessions.
const (
	proveWithin = 10 * time.Second // from Begin to Prove
	idleAfter   = 15 * time.Minute // a session that makes no call ends
	liveFor     = 12 * time.Hour   // however busy it is
	maxPending  = 128              // begun, not proven; the oldest gives way
	maxProven   = 1024             // one more is refused
)

type sessionID [api.SessionSize]byte

type session struct {
	id        sessionID
	principal holo.PrincipalID
	nonce     [api.SessionSize]byte
	began     time.Time
	used      time.Time
}

func (s *session) over(now time.Time) bool {
	return now.Sub(s.began) > liveFor || now.Sub(s.used) > idleAfter
}

// sessions is the table of who has proven what. A session is begun for a named
// principal with a fresh nonce, gets one try at the proof, and from then on its
// 32 random bytes name it in every call.
type sessions struct {
	identity Identity
	now      func() time.Time
	mu       struct {
		sync.Mutex
		pending map[sessionID]*session
		proven  map[sessionID]*session
	}
}

func newSessions(identity Identity, now func() time.Time) *sessions {
	t := &sessions{identity: identity, now: now}
	t.mu.pending = map[sessionID]*session{}
	t.mu.proven = map[sessionID]*session{}
	return t
}

// begin draws a session and a nonce for a principal that the cluster knows.
func (t *sessions) begin(ctx context.Context, p holo.PrincipalID) (*session, error) {
	if err := key.CheckPublic(p); err != nil {
		return nil, holo.Refuse(holo.Denied, "unknown_principal", "open session: %w", err)
	}
	if err := t.identity.Known(ctx, p); err != nil {
		return nil, err
	}
	now := t.now()
	s := &session{principal: p, began: now, used: now}
	rand.Read(s.id[:])
	rand.Read(s.nonce[:])
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.mu.pending, func(_ sessionID, s *session) bool { return now.Sub(s.began) > proveWithin })
	if len(t.mu.pending) >= maxPending {
		oldest := slices.MinFunc(slices.Collect(maps.Values(t.mu.pending)), func(a, b *session) int {
			return cmp.Or(a.began.Compare(b.began), slices.Compare(a.id[:], b.id[:]))
		})
		delete(t.mu.pending, oldest.id)
	}
	t.mu.pending[s.id] = s
	return s, nil
}

// prove checks the signature over the nonce. Whatever the outcome, the nonce
// is used up.
func (t *sessions) prove(id, signature []byte) (holo.PrincipalID, error) {
	s := t.takePending(id)
	if s == nil {
		return holo.PrincipalID{}, holo.Refuse(holo.Denied, "no_session", "prove session: it was not begun, or more than %s ago", proveWithin)
	}
	proof := api.SessionProof(t.identity.Cluster(), t.identity.Self(), s.id[:], s.nonce[:])
	if !key.Verify(s.principal, proof, signature) {
		return holo.PrincipalID{}, holo.Refuse(holo.Denied, "bad_signature", "prove session: the signature is not that of the key %s", s.principal)
	}
	return s.principal, t.keep(s)
}

func (t *sessions) takePending(id []byte) *session {
	if len(id) != api.SessionSize {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.mu.pending[sessionID(id)]
	delete(t.mu.pending, sessionID(id))
	if s == nil || t.now().Sub(s.began) > proveWithin {
		return nil
	}
	return s
}

func (t *sessions) keep(s *session) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	maps.DeleteFunc(t.mu.proven, func(_ sessionID, s *session) bool { return s.over(now) })
	if len(t.mu.proven) >= maxProven {
		return holo.Refuse(holo.Exhausted, "too_many_sessions", "prove session: %d are open already", maxProven)
	}
	t.mu.proven[s.id] = s
	return nil
}

// find is the caller behind a Holo-Session header.
func (t *sessions) find(header string) (Caller, error) {
	id, err := api.DecodeSession(header)
	if err != nil {
		return Caller{}, holo.Refuse(holo.Denied, "no_session", "the call names no session")
	}
	p, ok := t.touch(sessionID(id))
	if !ok {
		return Caller{}, holo.Refuse(holo.Denied, "no_session", "the session is not open, or has expired")
	}
	return Caller{Principal: p, Session: sessionID(id)}, nil
}

func (t *sessions) touch(id sessionID) (holo.PrincipalID, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, now := t.mu.proven[id], t.now()
	if s == nil {
		return holo.PrincipalID{}, false
	}
	if s.over(now) {
		delete(t.mu.proven, id)
		return holo.PrincipalID{}, false
	}
	s.used = now
	return s.principal, true
}
