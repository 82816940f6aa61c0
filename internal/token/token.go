// Package token makes and verifies client tokens.
//
// A token says: whoever holds the private half of this client key may act as
// this principal, within these capabilities, until then. Its one idea is a
// closed profile of JWT: any tool can read one, and there is exactly one way to
// write it. The algorithm is EdDSA, header and claims have a fixed set of
// members in a fixed order, and what is not byte for byte what this package
// would have written is refused, so no two verifiers can read one token in two
// ways. The client may narrow a token offline, for another key, by signing a
// link that says less: a chain root~child~..., at most MaxLinks of them.
//
// A token grants nothing. It narrows what its subject may do anyway, and is of
// no use without the client key. What was revoked is not known here: the node
// asks that of a Grant, again at every call.
package token

import (
	"github.com/holocompute/holocompute/internal/holo"
)

// Limits of a chain. They are checked before anything is decoded.
const (
	MaxLinks = 4
	MaxLink  = 4096 // bytes of one link
	MaxChain = MaxLinks*MaxLink + MaxLinks - 1
	MaxCaps  = 32
	MaxCap   = 160 // bytes of one capability
)

const (
	algorithm = "EdDSA"
	tokenType = "holo-at+jwt"
	separator = "~"

	maxUnix = 1 << 40 // no sum of times overflows
)

// ErrRefused is all that anybody outside is told about a token that is not
// accepted. The errors of Verify wrap it, and their reason says why; that is
// for counters and the log of the node that refuses.
var ErrRefused = holo.Refuse(holo.Denied, "token_refused", "the token is not accepted")

// Reasons for which a token is refused.
const (
	ReasonTooLarge    = "token_too_large"
	ReasonMalformed   = "token_malformed"     // not three parts of canonical base64url
	ReasonHeader      = "token_header"        // not exactly alg, kid and typ
	ReasonAlgorithm   = "token_algorithm"     // not EdDSA
	ReasonType        = "token_type"          // not a token of this profile
	ReasonUnknownKey  = "token_unknown_key"   // no token key of this cluster
	ReasonKeyRevoked  = "token_key_revoked"   // its token key is
	ReasonKeyRetired  = "token_key_retired"   // issued after its token key was retired
	ReasonWeakKey     = "token_weak_key"      // a key that proves nothing
	ReasonSignature   = "token_signature"     // not by the key that it names
	ReasonClaims      = "token_claims"        // not exactly the claims, in their canonical form
	ReasonIssuer      = "token_issuer"        // not the registrant of its token key
	ReasonSubject     = "token_subject"       // the issuer may not issue for it
	ReasonAudience    = "token_audience"      // another cluster
	ReasonNotYetValid = "token_not_yet_valid" // issued in the future: clocks are apart
	ReasonExpired     = "token_expired"
	ReasonLifetime    = "token_lifetime"   // too long, or none
	ReasonRevoked     = "token_revoked"    // it, its client key or its subject
	ReasonDelegation  = "token_delegation" // a link that says more than the one before
)

func refuse(reason, format string, args ...any) error {
	return holo.Refuse(holo.Denied, reason, format+": %w", append(args, ErrRefused)...)
}

// Claims is what one link of a token says.
type Claims struct {
	Issuer      holo.PrincipalID // who registered the token key
	Cluster     holo.ClusterID
	Subject     holo.PrincipalID // whose rights apply
	ID          holo.TokenID
	Issued      int64           // seconds since 1970
	Expires     int64           // at most holo.MaxTokenLife after Issued
	Client      holo.Thumbprint // of the key that must be proven
	Caps        []Cap           // sorted, at least one
	Parent      [32]byte        // SHA-256 of the chain that this link narrows; zero for the root
	Delegations int             // how many more links may follow
}

// Grant is a verified chain.
type Grant struct {
	Key   holo.Thumbprint // the token key that signed the root
	Links []Claims        // root first, at least one
}

// Leaf is the last link: the one that counts.
func (g *Grant) Leaf() *Claims { return &g.Links[len(g.Links)-1] }

// Until is the second from which on the token is over, the clocks' leeway
// included.
func (g *Grant) Until() int64 { return g.Leaf().Expires + holo.TokenLeeway }

// Allows reports whether every link covers an action on a resource.
func (g *Grant) Allows(action, resource string) bool {
	for i := range g.Links {
		if !covered(g.Links[i].Caps, Cap{action, resource}) {
			return false
		}
	}
	return len(g.Links) > 0
}

// Key is a token key as a verifier knows it.
type Key struct {
	Public  [32]byte
	Issuer  holo.PrincipalID // who registered it
	Retired int64            // seconds since 1970: what is issued later is refused; 0: not retired
	Revoked bool
}
