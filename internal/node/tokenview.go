package node

import (
	"context"
	"slices"
	"sync"

	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/token"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

var _ door.Verifier = (*Node)(nil)

// tokenView is what this node knows of token keys and revocations. It believes in
// no token key without the signature of who may register one, and it never
// unlearns: a key that was revoked stays so, and a revocation lasts until no
// token that it concerns can be good, whatever the catalogue's leader says
// later. It is kept on disk, so it holds from the first moment after a restart.
type tokenView struct {
	cluster holo.ClusterID
	changed wait.Signal
	mu      struct {
		sync.RWMutex
		owner   holo.PrincipalID // by whom the keys are registered
		epoch   uint64
		keys    map[holo.Thumbprint]wire.TokenKeyRecord
		revoked map[revokedName]wire.Revocation
	}
}

type revokedName struct {
	kind wire.RevokeKind
	name [32]byte
}

func newTokenView(cluster holo.ClusterID, owner holo.PrincipalID) *tokenView {
	a := &tokenView{cluster: cluster}
	a.mu.owner = owner
	a.mu.keys = map[holo.Thumbprint]wire.TokenKeyRecord{}
	a.mu.revoked = map[revokedName]wire.Revocation{}
	return a
}

// epoch is the access epoch that this node has learned.
func (a *tokenView) epoch() uint64 {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.mu.epoch
}

// registrar is the owner by whose word the keys that are known are registered.
func (a *tokenView) registrar() holo.PrincipalID {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.mu.owner
}

// learn takes a feed after verifying it by the owner of now. An error means that
// nothing changed.
func (a *tokenView) learn(f *wire.TokenFeed, owner holo.PrincipalID, now int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	keys, err := a.mergeKeys(f.Keys, owner)
	if err != nil {
		return err
	}
	revoked, err := a.mergeRevoked(f.Revocations, now)
	if err != nil {
		return err
	}
	a.mu.owner, a.mu.epoch, a.mu.keys, a.mu.revoked = owner, f.Epoch, keys, revoked
	a.changed.Fire()
	return nil
}

// mergeKeys believes in no key that may verify and that the owner has not
// registered. One that was revoked opens nothing, whoever says so.
func (a *tokenView) mergeKeys(news []wire.TokenKeyRecord, owner holo.PrincipalID) (map[holo.Thumbprint]wire.TokenKeyRecord, error) {
	merged := make(map[holo.Thumbprint]wire.TokenKeyRecord, len(news))
	for _, r := range news {
		id := key.Thumbprint(r.Key)
		known, again := a.mu.keys[id]
		same := again && known.Sig == r.Sig && known.Epoch == r.Epoch && known.Authority == r.Authority && owner == a.mu.owner
		if !same && r.Verifiable() {
			if err := catalog.VerifyTokenKey(a.cluster, owner, &r); err != nil {
				return nil, err
			}
		}
		if again && known.State > r.State {
			r.State = known.State
		}
		if again && known.Retired != 0 {
			r.Retired = known.Retired
		}
		merged[id] = r
	}
	for id, known := range a.mu.keys {
		if _, still := merged[id]; !still && !known.Verifiable() && len(merged) < wire.MaxTokenKeys {
			merged[id] = known
		}
	}
	return merged, nil
}

func (a *tokenView) mergeRevoked(news []wire.Revocation, now int64) (map[revokedName]wire.Revocation, error) {
	merged := make(map[revokedName]wire.Revocation, len(news))
	for name, known := range a.mu.revoked {
		if now <= known.Expires {
			merged[name] = known
		}
	}
	for _, r := range news {
		name := revokedName{r.Kind, r.Name}
		known := merged[name]
		r.Before, r.Expires = max(r.Before, known.Before), max(r.Expires, known.Expires)
		merged[name] = r
	}
	if len(merged) > wire.MaxKnownRevocations {
		return nil, holo.Refuse(holo.Exhausted, reasonTokens, "learn revocations: %d, at most %d", len(merged), wire.MaxKnownRevocations)
	}
	return merged, nil
}

// known is everything, to keep.
func (a *tokenView) known() *wire.TokenFeed {
	a.mu.RLock()
	defer a.mu.RUnlock()
	f := &wire.TokenFeed{Epoch: a.mu.epoch}
	for _, r := range a.mu.keys {
		f.Keys = append(f.Keys, r)
	}
	for _, r := range a.mu.revoked {
		f.Revocations = append(f.Revocations, r)
	}
	return f
}

// key is a token key as a verifier wants it.
func (a *tokenView) key(id holo.Thumbprint) (token.Key, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	r, ok := a.mu.keys[id]
	return token.Key{Public: r.Key, Issuer: r.Registrant, Retired: r.Retired, Revoked: !r.Verifiable()}, ok
}

// stands tells why a grant is good no more.
func (a *tokenView) stands(g *token.Grant) error {
	if k, known := a.key(g.Key); !known || k.Revoked {
		return refuseToken(token.ReasonKeyRevoked, "token %s: its token key was revoked", g.Leaf().ID.Hex())
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	for i := range g.Links {
		if a.revokedLocked(&g.Links[i]) {
			return refuseToken(token.ReasonRevoked, "token %s was revoked, or its key or subject", g.Links[i].ID.Hex())
		}
	}
	return nil
}

func (a *tokenView) revokedLocked(c *token.Claims) bool {
	var id [32]byte
	copy(id[:], c.ID[:])
	_, byID := a.mu.revoked[revokedName{wire.RevokeToken, id}]
	_, byClient := a.mu.revoked[revokedName{wire.RevokeClient, c.Client}]
	bySubject, found := a.mu.revoked[revokedName{wire.RevokeSubject, c.Subject}]
	return byID || byClient || found && c.Issued <= bySubject.Before
}

func refuseToken(reason, format string, args ...any) error {
	return holo.Refuse(holo.Denied, reason, format+": %w", append(args, token.ErrRefused)...)
}

// VerifyToken judges a token by what this node knows and by its clock.
func (n *Node) VerifyToken(chain string) (*token.Grant, error) {
	owner := n.tokens.registrar()
	v := &token.Verifier{
		Cluster: n.cluster, Key: n.tokens.key, Now: unixNow(),
		MayIssue: func(registrant, subject holo.PrincipalID) bool {
			return catalog.MayIssueFor(owner, registrant, subject)
		},
	}
	g, err := v.Verify(chain)
	if holo.ReasonOf(err) == token.ReasonNotYetValid {
		n.refusals.add(reasonClockSkew)
		n.log.Warn("clock.skew: this clock, or that of who issued a token, is wrong by more than a minute", "error", err)
	}
	return g, err
}

// TokenStands tells why a grant is good no more.
func (n *Node) TokenStands(g *token.Grant) error { return n.tokens.stands(g) }

// TokensChanged is closed when this node learns of a change of access.
func (n *Node) TokensChanged() <-chan struct{} { return n.tokens.changed.Wait() }

// followTokens learns token keys and revocations when their epoch is another
// than the one that this node has. Its own replica may be behind what it knows;
// the leader never is.
func (n *Node) followTokens(ctx context.Context, epoch uint64, own bool) {
	known := n.tokens.epoch()
	if epoch == known || own && epoch < known {
		return
	}
	var f *wire.TokenFeed
	if own {
		n.catalog.read(func(c *catalog.Catalog) { f = c.TokenFeed() })
	} else {
		ctx, cancel := within(ctx, attemptDeadline)
		defer cancel()
		var err error
		if f, err = queryOne[*wire.TokenFeed](ctx, n, wire.CatalogQuery{What: wire.QueryTokenFeed}); err != nil {
			n.log.Debug("access not followed", "error", err)
			return
		}
	}
	for _, k := range f.Keys {
		if k.Verifiable() {
			n.knowOwner(ctx, k.Authority)
			break
		}
	}
	if err := n.tokens.learn(f, n.members.owner(), unixNow()); err != nil {
		n.refusals.addErr(err)
		n.log.Error("access refused", "error", err)
		return
	}
	if err := n.saveTokens(); err != nil {
		n.log.Error("access not saved", "error", err)
	}
}

// tokensFile keeps token keys and revocations, as the node last verified them.
const (
	tokensFile    = "tokens"
	maxTokensFile = 512 << 10
)

// saveTokens keeps what is known on disk.
func (n *Node) saveTokens() error {
	n.saving.Lock()
	defer n.saving.Unlock()
	return identity.WritePublic(n.home.path(tokensFile), wire.Encode(n.tokens.known()))
}

// readTokens takes up what was known when the node ran last.
func (n *Node) readTokens() error {
	path := n.home.path(tokensFile)
	b, err := identity.ReadPublic(path, maxTokensFile)
	if err != nil && holo.KindOf(err) == holo.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	msg, err := wire.Decode(b)
	f, ok := msg.(*wire.TokenFeed)
	if err == nil && ok {
		n.dropFormer(f)
		err = n.tokens.learn(f, n.members.owner(), unixNow())
	}
	if err != nil || !ok {
		return holo.Refuse(holo.Corrupt, reasonTokens, "read %s: it is not what this node wrote: %v: remove it, and the node learns it anew", path, err)
	}
	return nil
}

// dropFormer leaves out what was registered by a former owner: the node ended
// between a succession and the keys that the next owner vouches for. That it does
// not know these is asked about first.
func (n *Node) dropFormer(f *wire.TokenFeed) {
	owner := n.members.owner()
	f.Keys = slices.DeleteFunc(f.Keys, func(r wire.TokenKeyRecord) bool {
		former := r.Verifiable() && r.Authority != owner && n.members.ruled(r.Authority)
		if former {
			f.Epoch = 0
		}
		return former
	})
}
