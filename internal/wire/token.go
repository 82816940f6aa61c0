package wire

import (
	"encoding/binary"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// TokenKeyState is where a token key is in its life. It only ever goes on.
type TokenKeyState uint8

// The states. All but the last verify.
const (
	TokenKeyPrepared TokenKeyState = iota + 1 // every node learns it; nothing is signed with it yet
	TokenKeyActive                            // tokens are signed with it
	TokenKeyRetired                           // verifies what it has signed
	TokenKeyRevoked                           // no token of it is good any more
	tokenKeyStates
)

// String is the state as people see it.
func (s TokenKeyState) String() string {
	switch s {
	case TokenKeyPrepared:
		return "prepared"
	case TokenKeyActive:
		return "active"
	case TokenKeyRetired:
		return "verify_only"
	case TokenKeyRevoked:
		return "revoked"
	}
	return "invalid"
}

// TokenKeyChange puts a token key into a state: the prepared one registers it.
// It is signed by an authority, over the access epoch that the authority saw,
// so that it serves once. The answer is the TokenKeyRecord.
type TokenKeyChange struct {
	To         TokenKeyState
	Key        [key.Size]byte
	Registrant holo.PrincipalID // prepared: in whose name it issues
	Authority  holo.PrincipalID // who asks
	Epoch      uint64
	Sig        [64]byte // the authority's, over TokenKeyProof
	KeySig     [64]byte // prepared: the token key's own, over the same
}

// Proof is what is signed.
func (m *TokenKeyChange) Proof(cluster holo.ClusterID) []byte {
	return TokenKeyProof(cluster, m.To, m.Key, m.Registrant, m.Authority, m.Epoch)
}

// TokenKeyProof is what an authority signs to change a token key.
func TokenKeyProof(cluster holo.ClusterID, to TokenKeyState, public [key.Size]byte, registrant, authority holo.PrincipalID, epoch uint64) []byte {
	return proof("holo/token-key/1", cluster, []byte{uint8(to)}, public[:], registrant[:], authority[:], bigEndian(epoch))
}

func bigEndian(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// TokenKeyRecord is a token key as the catalogue knows it, with the evidence of
// its registration: whoever is told of one can verify that no node made it up.
type TokenKeyRecord struct {
	Key        [key.Size]byte
	Registrant holo.PrincipalID
	State      TokenKeyState
	Registered int64 // seconds since 1970, by the leader's clock
	Retired    int64 // when it ceased to sign; 0: it did not
	Authority  holo.PrincipalID
	Epoch      uint64
	Sig        [64]byte
}

// Verifiable reports whether tokens of the key may be good.
func (r *TokenKeyRecord) Verifiable() bool { return r.State < TokenKeyRevoked }

// TokenRecord is an issued token, for those who look after them. Whether one is
// good does not depend on its being listed.
type TokenRecord struct {
	ID      holo.TokenID
	Key     holo.Thumbprint // the token key
	Subject holo.PrincipalID
	Client  holo.Thumbprint // the key that it is bound to
	Issued  int64
	Expires int64
}

// TokenIssued lists a token, by the word of the token key.
type TokenIssued struct {
	Token TokenRecord
	Sig   [64]byte // the token key's, over TokenIssuedProof
}

// TokenIssuedProof is what a token key signs to list a token.
func TokenIssuedProof(cluster holo.ClusterID, r *TokenRecord) []byte {
	return proof("holo/token-issued/1", cluster, r.ID[:], r.Key[:], r.Subject[:], r.Client[:], bigEndian(uint64(r.Issued)), bigEndian(uint64(r.Expires)))
}

// RevokeKind says what a revocation names.
type RevokeKind uint8

// The kinds.
const (
	RevokeToken   RevokeKind = iota + 1 // a token by its ID, and what was narrowed from it
	RevokeClient                        // all tokens bound to a client key
	RevokeSubject                       // all tokens of a principal issued until now
	revokeKinds
)

// String is the kind as people see it.
func (k RevokeKind) String() string {
	switch k {
	case RevokeToken:
		return "token"
	case RevokeClient:
		return "key"
	case RevokeSubject:
		return "subject"
	}
	return "invalid"
}

// TokenRevoke revokes tokens. The answer is the Revocation.
type TokenRevoke struct {
	Kind      RevokeKind
	Name      [32]byte // a token ID and zeros, a thumbprint, or a principal
	Authority holo.PrincipalID
	Epoch     uint64
	Sig       [64]byte // the authority's, over TokenRevokeProof
}

// TokenRevokeProof is what an authority signs to revoke tokens.
func TokenRevokeProof(cluster holo.ClusterID, m *TokenRevoke) []byte {
	return proof("holo/token-revoke/1", cluster, []byte{uint8(m.Kind)}, m.Name[:], m.Authority[:], bigEndian(m.Epoch))
}

// Revocation is what was revoked, until the last token that it could concern is
// over.
type Revocation struct {
	Kind    RevokeKind
	Name    [32]byte
	Before  int64 // subject: concerns tokens issued at this second or earlier
	Expires int64
}

// TokenFeed is what a node must know to judge tokens, as of an access epoch.
type TokenFeed struct {
	Epoch       uint64
	Keys        []TokenKeyRecord
	Revocations []Revocation
}

// Limits of the tables about tokens.
const (
	MaxTokenKeys   = 32 // revoked ones included, of which the oldest gives way
	MaxRevocations = 1024
	// MaxKnownRevocations is how many revocations a node remembers: what it once learned
	// it keeps until that is over, also where the catalogue has forgotten it.
	MaxKnownRevocations = 4 * MaxRevocations

	tokenKeyBytes   = 32 + 32 + 1 + 8 + 8 + 32 + 8 + 64
	revocationBytes = 1 + 32 + 8 + 8

	typeTokenKeyChange = Type(0x0461)
	typeTokenKeyRecord = Type(0x0462)
	typeTokenIssued    = Type(0x0463)
	typeTokenRecord    = Type(0x0464)
	typeTokenRevoke    = Type(0x0465)
	typeRevocation     = Type(0x0466)
	typeTokenFeed      = Type(0x0467)
)

// Type is the number on the wire.
func (*TokenKeyChange) Type() Type { return typeTokenKeyChange }
func (*TokenKeyRecord) Type() Type { return typeTokenKeyRecord }
func (*TokenIssued) Type() Type    { return typeTokenIssued }
func (*TokenRecord) Type() Type    { return typeTokenRecord }
func (*TokenRevoke) Type() Type    { return typeTokenRevoke }
func (*Revocation) Type() Type     { return typeRevocation }
func (*TokenFeed) Type() Type      { return typeTokenFeed }

var _ = []struct{}{
	register[TokenKeyChange](), register[TokenKeyRecord](), register[TokenIssued](), register[TokenRecord](), register[TokenRevoke](),
	register[Revocation](), register[TokenFeed](),
}

// ParseTokenKeyState reads what String writes.
func ParseTokenKeyState(s string) (TokenKeyState, bool) {
	for state := TokenKeyPrepared; state < tokenKeyStates; state++ {
		if state.String() == s {
			return state, true
		}
	}
	return 0, false
}

// ParseRevokeKind reads what String writes.
func ParseRevokeKind(s string) (RevokeKind, bool) {
	for kind := RevokeToken; kind < revokeKinds; kind++ {
		if kind.String() == s {
			return kind, true
		}
	}
	return 0, false
}
