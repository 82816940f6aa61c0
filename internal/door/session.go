package door

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/token"
)

// Limits of sessions.
const (
	proveWithin = 10 * time.Second // from Begin to Prove
	idleAfter   = 15 * time.Minute // a session that makes no call ends
	liveFor     = 12 * time.Hour   // however busy it is
	maxPending  = 128              // begun, not proven; the oldest gives way
	maxProven   = 1024             // one more is refused
	maxOfKey    = 64               // of one key; its idlest gives way
)

type sessionID [api.SessionSize]byte

// session is who has proven what. What opened it is either the principal's own
// key or a token; end ends it, with the calls that are under way in it.
type session struct {
	id        sessionID
	key       holo.PrincipalID // what was proven, and signs
	principal holo.PrincipalID // whose rights apply
	grant     *token.Grant     // nil: the principal's own key opened it
	chain     string           // the text of the token
	via       Peer             // the end of the only link on which it is one; zero: the local socket
	nonce     [api.SessionSize]byte
	began     time.Time
	used      time.Time
	calls     int             // under way
	ctx       context.Context // done when it has ended; its cause says why
	end       context.CancelCauseFunc
}

func (s *session) over(now time.Time) bool {
	return now.Sub(s.began) > liveFor || s.calls == 0 && now.Sub(s.used) > idleAfter
}

// sessions is the table of who has proven what. A session is begun for a named
// principal with a fresh nonce, gets one try at the proof, and from then on its
// 32 random bytes name it in every call, on the link on which it was begun and
// on no other connection.
type sessions struct {
	identity identity
	now      func() time.Time
	mu       struct {
		sync.Mutex
		pending map[sessionID]*session
		proven  map[sessionID]*session
	}
}

// identity is what sessions are judged by.
type identity interface {
	Identity
	Verifier
}

func newSessions(by identity, now func() time.Time) *sessions {
	t := &sessions{identity: by, now: now}
	t.mu.pending = map[sessionID]*session{}
	t.mu.proven = map[sessionID]*session{}
	return t
}

// begin draws a session and a nonce for a principal that the cluster knows, or
// for a client that says it will present a token. On a link it can only be the
// one whose key the handshake has proven.
func (t *sessions) begin(ctx context.Context, p holo.PrincipalID, withToken bool, via Peer) (*session, error) {
	if via.remote() && p != via.Key {
		return nil, holo.Refuse(holo.Denied, reasonOtherKey, "open session: the link was made with the key %s, not %s", via.Key, p)
	}
	if err := key.CheckPublic(p); err != nil {
		return nil, holo.Refuse(holo.Denied, "unknown_principal", "open session: %w", err)
	}
	if !withToken {
		if err := t.identity.Known(ctx, p); err != nil {
			return nil, err
		}
	}
	now := t.now()
	s := &session{key: p, principal: p, via: via, began: now, used: now}
	rand.Read(s.id[:])
	api.BindSession((*[api.SessionSize]byte)(&s.id), t.identity.Cluster(), t.identity.Self())
	rand.Read(s.nonce[:])
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.mu.pending, func(_ sessionID, s *session) bool {
		return now.Sub(s.began) > proveWithin || via.remote() && s.via == via // a link begins one at a time: links push nobody out
	})
	if len(t.mu.pending) >= maxPending {
		oldest := slices.MinFunc(slices.Collect(maps.Values(t.mu.pending)), func(a, b *session) int {
			return cmp.Or(a.began.Compare(b.began), slices.Compare(a.id[:], b.id[:]))
		})
		delete(t.mu.pending, oldest.id)
	}
	t.mu.pending[s.id] = s
	return s, nil
}

// prove checks the signature over the nonce, and the token if there is one.
// Whatever the outcome, the nonce is used up.
func (t *sessions) prove(ctx context.Context, id, signature []byte, chain string, via Peer) (*session, error) {
	s := t.takePending(id)
	if s == nil || s.via != via {
		return nil, holo.Refuse(holo.Denied, "no_session", "prove session: it was not begun, or more than %s ago", proveWithin)
	}
	prove := t.own
	if chain != "" {
		prove = func(ctx context.Context, s *session, signature []byte) error {
			return t.present(ctx, s, signature, chain)
		}
	}
	if err := prove(ctx, s, signature); err != nil {
		return nil, err
	}
	s.ctx, s.end = context.WithCancelCause(context.Background())
	return s, t.keep(s)
}

// own makes a begun session that of the key that proves itself.
func (t *sessions) own(ctx context.Context, s *session, signature []byte) error {
	proof := api.SessionProof(t.identity.Cluster(), t.identity.Self(), s.id[:], s.nonce[:])
	if !key.Verify(s.key, proof, signature) {
		return holo.Refuse(holo.Denied, "bad_signature", "prove session: the signature is not that of the key %s", s.key)
	}
	return t.identity.Known(ctx, s.key)
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
	if s.via.remote() { // a link has one at a time: links bound them
		t.endOf(s.via)
	}
	if !t.makeRoom(s.key) || len(t.mu.proven) >= maxProven {
		return holo.Refuse(holo.Exhausted, "too_many_sessions", "prove session: %d are open already, or %d of this key are in use", maxProven, maxOfKey)
	}
	t.mu.proven[s.id] = s
	return nil
}

// makeRoom ends the session of a key that made its last call the longest ago,
// where the key has as many as it may: a client that ends leaves its session
// behind, and must lock out neither its user nor others. False: all of them
// have calls under way.
func (t *sessions) makeRoom(of holo.PrincipalID) bool {
	var idlest *session
	count := 0
	for _, s := range t.mu.proven {
		if s.key != of {
			continue
		}
		count++
		if s.calls == 0 && (idlest == nil || s.used.Before(idlest.used)) {
			idlest = s
		}
	}
	if count < maxOfKey {
		return true
	}
	if idlest == nil {
		return false
	}
	delete(t.mu.proven, idlest.id)
	idlest.end(errGaveWay)
	return true
}

var errGaveWay = holo.Refuse(holo.Denied, "no_session", "the session gave way to newer ones of its key")

// find is the caller behind a Holo-Session header.
func (t *sessions) find(header string, via Peer) (Caller, error) {
	id, err := api.DecodeSession(header)
	if err != nil {
		return Caller{}, holo.Refuse(holo.Denied, "no_session", "the call names no session")
	}
	s := t.touch(sessionID(id), via)
	if s == nil {
		return Caller{}, holo.Refuse(holo.Denied, "no_session", "the session is not open, or has expired")
	}
	if err := t.stands(s); err != nil {
		t.finish(s, err)
		return Caller{}, err
	}
	return Caller{Principal: s.principal, Key: s.key, Token: s.grant, Chain: s.chain, Session: s.id, in: s}, nil
}

func (t *sessions) touch(id sessionID, via Peer) *session {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, now := t.mu.proven[id], t.now()
	if s == nil || s.via != via {
		return nil
	}
	if s.over(now) {
		delete(t.mu.proven, id) // calls that are under way may end by themselves
		return nil
	}
	s.used = now
	return s
}

// finish takes a session out of the table and ends the calls in it.
func (t *sessions) finish(s *session, why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.mu.proven, s.id)
	s.end(why)
}

// end forgets the sessions of a link that has ended.
func (t *sessions) end(via Peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.mu.pending, func(_ sessionID, s *session) bool { return s.via == via })
	t.endOf(via)
}

// endOf ends a link's session, and the calls in it. It holds the lock.
func (t *sessions) endOf(via Peer) {
	maps.DeleteFunc(t.mu.proven, func(_ sessionID, s *session) bool {
		ends := s.via == via
		if ends {
			s.end(holo.Refuse(holo.Denied, "no_session", "the session of this link has ended"))
		}
		return ends
	})
}

// borrowed reports whether a session that a token opened is open on a link.
func (t *sessions) borrowed(via Peer) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.mu.proven {
		if s.via == via && s.grant != nil && !s.over(t.now()) {
			return true
		}
	}
	return false
}

// enter gives a call's context, which ends with the session; leave is to be
// called when the call has ended.
func (t *sessions) enter(ctx context.Context, s *session) (inSession context.Context, leave func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })
	t.count(s, 1)
	return ctx, func() {
		t.count(s, -1)
		stop()
		cancel(nil)
	}
}

func (t *sessions) count(s *session, by int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.calls += by
	s.used = t.now()
}

// endedOr is why the session has ended where that is why the call failed, else
// the call's own error.
func endedOr(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, errCut) { // after the head a connection can only be cut
		return err
	}
	if why, ok := errors.AsType[*holo.Error](context.Cause(ctx)); ok {
		return why
	}
	return err
}
