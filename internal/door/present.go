package door

import (
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/token"
)

// Reasons for which a token that verifies opens no session. Like those of
// package token they are counted here and told to nobody.
const (
	reasonPossession = "token_possession" // the signature is not over this token, session and node
	reasonStolen     = "token_stolen"     // presented with another key than the one that it is bound to
	reasonSubject    = "token_subject"    // its subject is nobody here
)

func refuseToken(reason, format string, args ...any) error {
	return holo.Refuse(holo.Denied, reason, format+": %w", append(args, token.ErrRefused)...)
}

// present makes a begun session that of a token's subject. The signature is
// checked first: it is one, and says that who presents the token has chosen
// this session for it.
func (t *sessions) present(ctx context.Context, s *session, signature []byte, chain string) error {
	if len(chain) > token.MaxChain {
		return refuseToken(token.ReasonTooLarge, "open session: a token of %d bytes", len(chain))
	}
	proof := api.TokenProof(sha256.Sum256([]byte(chain)), t.identity.Cluster(), t.identity.Self(), s.id[:], s.nonce[:])
	if !key.Verify(s.key, proof, signature) {
		return refuseToken(reasonPossession, "open session: the signature of key %s is not over this token and session", s.key)
	}
	g, err := t.identity.VerifyToken(chain)
	if err != nil {
		return err
	}
	if g.Leaf().Client != key.Thumbprint(s.key) {
		return refuseToken(reasonStolen, "open session: token %s is not bound to the key %s", g.Leaf().ID.Hex(), s.key)
	}
	s.principal, s.grant, s.chain = g.Leaf().Subject, g, chain
	if err := t.identity.Known(ctx, s.principal); err != nil {
		return refuseToken(reasonSubject, "open session: %v", err)
	}
	return t.stands(s)
}

// stands tells why a session's token is good no more.
func (t *sessions) stands(s *session) error {
	if s.grant == nil {
		return nil
	}
	if t.now().Unix() >= s.grant.Until() {
		return refuseToken(token.ReasonExpired, "token %s is over", s.grant.Leaf().ID.Hex())
	}
	return t.identity.TokenStands(s.grant)
}

// watch ends the sessions whose token is over or revoked, with the calls that
// are under way in them, as soon as that is known.
func (t *sessions) watch(closing <-chan struct{}, refused func(string)) {
	for {
		changed := t.identity.TokensChanged()
		t.sweep(refused)
		timer := time.NewTimer(sweepEvery)
		select {
		case <-closing:
			timer.Stop()
			return
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// sweepEvery is how long after its end a token's session may live on. Its calls
// are judged one by one; this is for those that are under way.
const sweepEvery = time.Second

// sweep looks at every session once.
func (t *sessions) sweep(refused func(string)) {
	t.mu.Lock()
	open := slices.Collect(maps.Values(t.mu.proven))
	t.mu.Unlock()
	for _, s := range open {
		if err := t.stands(s); err != nil {
			refused(holo.ReasonOf(err))
			t.finish(s, err)
		} else if err := t.forgotten(s); err != nil {
			refused(holo.ReasonOf(err))
			t.finish(s, err)
		}
	}
}

// forgotten tells that nothing is granted any more to the key of a session. A
// node that cannot know just now leaves the session: it answers no call in it.
func (t *sessions) forgotten(s *session) error {
	now, cancel := context.WithCancel(context.Background())
	cancel() // what is known now, and no waiting
	if err := t.identity.Known(now, s.principal); holo.KindOf(err) == holo.Denied {
		return err
	}
	return nil
}
