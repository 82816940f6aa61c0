package catalog

import (
	"bytes"
	"cmp"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

const (
	// MaxVerifiable is how many token keys verify at a time: the one that
	// signs, the next one, and two that have signed within the last hour.
	MaxVerifiable = 4
	// tokenOver is how long, in seconds, a token can be good after a moment at
	// which it existed, by anybody's clock: its life, and the leeway once for
	// who issued it and once for who verifies it.
	tokenOver = holo.MaxTokenLife + 2*holo.TokenLeeway
)

// revoked names a revocation.
type revoked struct {
	kind wire.RevokeKind
	name [32]byte
}

// MayManageTokens reports whether a principal may change token keys and revoke
// tokens. It is the one place that decides it, for the catalogue and for nodes
// that verify what they are told.
func MayManageTokens(owner, authority holo.PrincipalID) bool { return authority == owner }

// MayIssueFor reports whether a token key that was registered for a principal
// may issue tokens with which others act as the subject.
func MayIssueFor(owner, registrant, subject holo.PrincipalID) bool {
	return registrant == owner || registrant == subject
}

// mayChange checks who asks for a change of access, by the signature, and that
// it is asked for the first time.
func (c *Catalog) mayChange(what string, authority holo.PrincipalID, epoch uint64, proof []byte, sig [64]byte) error {
	switch {
	case !MayManageTokens(c.chain.owner, authority):
		return holo.Refuse(holo.Denied, ReasonOwnerOnly, "%s: %s may not: it takes the cluster's owner", what, authority)
	case !key.Verify(authority, proof, sig[:]):
		return holo.Refuse(holo.Denied, ReasonOwnerSig, "%s: not signed by this cluster's owner", what)
	case epoch != c.AccessEpoch():
		return holo.Refuse(holo.Conflict, ReasonStaleAccess, "%s: signed at access epoch %d, now %d", what, epoch, c.AccessEpoch())
	}
	return nil
}

func (c *Catalog) tokenKeyChange(m *wire.TokenKeyChange, now int64) (wire.Message, error) {
	proof := m.Proof(c.cluster)
	if err := c.mayChange("change token key", m.Authority, m.Epoch, proof, m.Sig); err != nil {
		return nil, err
	}
	r := wire.TokenKeyRecord{
		Key: m.Key, Registrant: m.Registrant, State: wire.TokenKeyPrepared, Registered: now, Authority: m.Authority, Epoch: m.Epoch, Sig: m.Sig,
	}
	var err error
	if m.To == wire.TokenKeyPrepared {
		err = c.prepareTokenKey(m, proof, now)
	} else {
		r, err = c.advanceTokenKey(m, now)
	}
	if err != nil {
		return nil, err
	}
	c.tokenKeys[key.Thumbprint(m.Key)] = r
	c.bumpAccess()
	return &r, nil
}

// prepareTokenKey checks a new key and makes room for it.
func (c *Catalog) prepareTokenKey(m *wire.TokenKeyChange, proof []byte, now int64) error {
	_, known := c.tokenKeys[key.Thumbprint(m.Key)]
	switch {
	case key.CheckPublic(m.Key) != nil || key.CheckPublic(m.Registrant) != nil:
		return holo.Errorf(holo.Invalid, "register token key: a public key that is no good")
	case !key.Verify(m.Key, proof, m.KeySig[:]):
		return holo.Refuse(holo.Denied, ReasonTokenKeySig, "register token key: who registers it does not hold it")
	case known:
		return holo.Errorf(holo.Exists, "register token key: it was registered before")
	}
	verifiable, oldest := 0, revokedKey{}
	for _, id := range sorted(c.tokenKeys, compareThumbprints) {
		r := c.tokenKeys[id]
		if r.Verifiable() && !(r.State == wire.TokenKeyRetired && now > r.Retired+tokenOver) {
			verifiable++
		} else if oldest.at == 0 || r.Retired < oldest.at {
			oldest = revokedKey{id, r.Retired}
		}
	}
	if verifiable >= MaxVerifiable {
		return holo.Refuse(holo.Exhausted, ReasonFull, "register token key: %d keys verify, the limit: revoke one, or wait until a retired one is over", verifiable)
	}
	c.forgetRetired(now)
	if len(c.tokenKeys) == wire.MaxTokenKeys {
		delete(c.tokenKeys, oldest.id)
	}
	return nil
}

type revokedKey struct {
	id holo.Thumbprint
	at int64
}

// forgetRetired drops keys whose last token is over.
func (c *Catalog) forgetRetired(now int64) {
	for id, r := range c.tokenKeys {
		if r.State == wire.TokenKeyRetired && now > r.Retired+tokenOver {
			delete(c.tokenKeys, id)
		}
	}
}

// advanceTokenKey takes a key to its next state. Activating one retires the one
// that its registrant signed with before.
func (c *Catalog) advanceTokenKey(m *wire.TokenKeyChange, now int64) (wire.TokenKeyRecord, error) {
	r, known := c.tokenKeys[key.Thumbprint(m.Key)]
	switch {
	case !known:
		return r, holo.Errorf(holo.NotFound, "change token key: it is not registered")
	case m.To <= r.State || m.To == wire.TokenKeyRetired && r.State != wire.TokenKeyActive:
		return r, holo.Refuse(holo.Conflict, ReasonState, "make token key %s: it is %s", m.To, r.State)
	}
	if m.To == wire.TokenKeyActive {
		c.retireOthers(&r, now)
	} else if r.Retired == 0 {
		r.Retired = max(now, 1)
	}
	r.State = m.To
	return r, nil
}

func (c *Catalog) retireOthers(next *wire.TokenKeyRecord, now int64) {
	for id, r := range c.tokenKeys {
		if r.Registrant == next.Registrant && r.State == wire.TokenKeyActive {
			r.State, r.Retired = wire.TokenKeyRetired, max(now, 1)
			c.tokenKeys[id] = r
		}
	}
}

// tokenIssued lists a token. Listing it again is no error.
func (c *Catalog) tokenIssued(m *wire.TokenIssued, now int64) error {
	t := &m.Token
	k, known := c.tokenKeys[t.Key]
	switch {
	case !known || k.State != wire.TokenKeyActive:
		return holo.Refuse(holo.Denied, ReasonState, "list token %s: its token key is not active", t.ID.Hex())
	case !key.Verify(k.Key, wire.TokenIssuedProof(c.cluster, t), m.Sig[:]):
		return holo.Refuse(holo.Denied, ReasonTokenKeySig, "list token %s: not signed by its token key", t.ID.Hex())
	case !MayIssueFor(c.chain.owner, k.Registrant, t.Subject):
		return holo.Refuse(holo.Denied, ReasonOwnerOnly, "list token %s: its token key may not issue for %s", t.ID.Hex(), t.Subject)
	case t.Expires <= t.Issued || t.Expires > t.Issued+holo.MaxTokenLife || t.Issued > now+holo.TokenLeeway || t.Expires+holo.TokenLeeway <= now:
		return holo.Errorf(holo.Invalid, "list token %s: issued at %d until %d, now %d", t.ID.Hex(), t.Issued, t.Expires, now)
	}
	if listed, again := c.tokens[t.ID]; again && listed != *t {
		return holo.Errorf(holo.Exists, "list token %s: another one has its ID", t.ID.Hex())
	}
	for id, r := range c.tokens {
		if now >= r.Expires+holo.TokenLeeway {
			delete(c.tokens, id)
		}
	}
	if err := full("list token", c.tokens, MaxTokens); err != nil {
		return err
	}
	c.tokens[t.ID] = *t
	return nil
}

// tokenRevoke records a revocation for as long as a token that it concerns can
// be good. What is revoked is never less revoked afterwards.
func (c *Catalog) tokenRevoke(m *wire.TokenRevoke, now int64) (wire.Message, error) {
	if err := c.mayChange("revoke token", m.Authority, m.Epoch, wire.TokenRevokeProof(c.cluster, m), m.Sig); err != nil {
		return nil, err
	}
	if m.Kind == wire.RevokeToken && [16]byte(m.Name[16:]) != ([16]byte{}) {
		return nil, holo.Errorf(holo.Invalid, "revoke token: a token ID has 16 bytes")
	}
	r, err := c.revoke(m.Kind, m.Name, now)
	if err != nil {
		return nil, err
	}
	c.bumpAccess()
	return &r, nil
}

func (c *Catalog) revoke(kind wire.RevokeKind, what [32]byte, now int64) (wire.Revocation, error) {
	c.tidyRevocations(now)
	name := revoked{kind, what}
	r, again := c.revocations[name]
	if !again {
		if err := full("revoke token", c.revocations, wire.MaxRevocations); err != nil {
			return r, err
		}
	}
	before := int64(0)
	if kind == wire.RevokeSubject {
		before = now + holo.TokenLeeway // the clock of who issued one may be so far ahead
	}
	r = wire.Revocation{Kind: kind, Name: what, Before: max(r.Before, before), Expires: max(r.Expires, now+tokenOver)}
	c.revocations[name] = r
	return r, nil
}

// tidyRevocations drops those that concern no token that can be good.
func (c *Catalog) tidyRevocations(now int64) {
	for name, r := range c.revocations {
		if now > r.Expires {
			delete(c.revocations, name)
		}
	}
}

// VerifyTokenKey checks the evidence that a token key was registered by who may.
func VerifyTokenKey(cluster holo.ClusterID, owner holo.PrincipalID, r *wire.TokenKeyRecord) error {
	proof := wire.TokenKeyProof(cluster, wire.TokenKeyPrepared, r.Key, r.Registrant, r.Authority, r.Epoch)
	if key.CheckPublic(r.Key) != nil || !MayManageTokens(owner, r.Authority) || !key.Verify(r.Authority, proof, r.Sig[:]) {
		return holo.Refuse(holo.Denied, ReasonTokenKeySig, "token key %s: nobody who may has registered it", key.Thumbprint(r.Key).Hex())
	}
	return nil
}

func (c *Catalog) loadTokenKey(r *wire.TokenKeyRecord) error {
	c.tokenKeys[key.Thumbprint(r.Key)] = *r
	return VerifyTokenKey(c.cluster, c.chain.owner, r)
}

// TokenKeys lists the token keys by thumbprint.
func (c *Catalog) TokenKeys() []wire.TokenKeyRecord { return values(c.tokenKeys, compareThumbprints) }

// Tokens lists the issued tokens by ID, expired ones until they give way.
func (c *Catalog) Tokens() []wire.TokenRecord {
	return values(c.tokens, func(a, b holo.TokenID) int { return bytes.Compare(a[:], b[:]) })
}

// Revocations lists what is revoked, by kind and name.
func (c *Catalog) Revocations() []wire.Revocation {
	return values(c.revocations, func(a, b revoked) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), bytes.Compare(a.name[:], b.name[:]))
	})
}

// TokenFeed is what a node must know to judge tokens.
func (c *Catalog) TokenFeed() *wire.TokenFeed {
	return &wire.TokenFeed{Epoch: c.AccessEpoch(), Keys: c.TokenKeys(), Revocations: c.Revocations()}
}

func compareThumbprints(a, b holo.Thumbprint) int { return bytes.Compare(a[:], b[:]) }
