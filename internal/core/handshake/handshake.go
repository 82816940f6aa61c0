// Package handshake is all the cryptography of a link between two machines,
// as values without I/O: the Noise handshake that says who is there, and the
// sealing of every byte that follows.
//
// A link starts with one clear message, the hello, that names the kind of the
// session, the cluster, the pre-shared key and the Noise protocol. Then three
// Noise messages follow (pattern XX; the first is sent with the hello):
//
//	Noise_XXhfs+psk0_25519+MLKEM768_AESGCM_SHA256
//
// Everything said before is bound in: the hello, the transport's kind and its
// channel binding (the TLS exporter on QUIC) are the prologue, so a changed
// bit anywhere makes the handshake fail. Keys depend on X25519 and on
// ML-KEM-768; both must be broken to read a recorded session. Each side proves
// its node identity, an Ed25519 key, by a certificate over its Noise static
// key inside of the encrypted part, and is admitted (Local.Admit) before the
// handshake completes.
//
// Afterwards each stream of the session has a key of its own per direction
// (Session.Sealer, Session.Opener). Records carry an implicit number, an
// authenticated end-of-stream flag and the rekey flag.
//
// What it follows: Noise revision 34 (noiseprotocol.org), the hfs extension
// (tokens e1 and ekem1), FIPS 203, and docs/security/threat-model.md. Machine,
// Session, Sealer and Opener are not safe for concurrent use.
package handshake

import (
	"fmt"

	"github.com/holocompute/holocompute/internal/protocol"
)

// Kind is what a session is for. It is fixed by the first byte that is said,
// decides whether there is a pre-shared key, and is never retried as another.
type Kind uint8

// The kinds of session.
const (
	KindNode   Kind = iota + 1 // between members; the pre-shared key is the cluster's
	KindJoin                   // a machine with an invite; the pre-shared key is the invite's
	KindClient                 // no pre-shared key: the client pins the cluster
)

// Valid reports whether k is one of the kinds above.
func (k Kind) Valid() bool { return k >= KindNode && k <= KindClient }

// NeedsPSK reports whether sessions of this kind have a pre-shared key.
func (k Kind) NeedsPSK() bool { return k == KindNode || k == KindJoin }

// String is "node", "join" or "client".
func (k Kind) String() string {
	switch k {
	case KindNode:
		return "node"
	case KindJoin:
		return "join"
	case KindClient:
		return "client"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// PQ says what to do about the post-quantum key exchange. It is policy for
// meeting machines that are configured otherwise, and never falls back
// silently: see Local.Fallback.
type PQ uint8

// The policies. The zero value is the strict one.
const (
	PQRequire PQ = iota // hybrid or nothing
	PQPrefer            // hybrid; without it only with a peer that refuses it
	PQOff               // X25519 alone
)

// Valid reports whether p is one of the policies above.
func (p PQ) Valid() bool { return p <= PQOff }

// String is "require", "prefer" or "off".
func (p PQ) String() string {
	if !p.Valid() {
		return fmt.Sprintf("pq(%d)", uint8(p))
	}
	return [...]string{"require", "prefer", "off"}[p]
}

// Suite is the cipher of the handshake and of the records after it.
type Suite uint8

// The suites. XChaChaPoly is XChaCha20-Poly1305 with the nonce of
// ChaChaPoly, zero-extended: a name of our own, for CPUs without AES.
const (
	AESGCM Suite = iota + 1
	XChaChaPoly
)

// Valid reports whether s is one of the suites above.
func (s Suite) Valid() bool { return s == AESGCM || s == XChaChaPoly }

// String is the cipher's name within a Noise protocol name.
func (s Suite) String() string {
	switch s {
	case AESGCM:
		return "AESGCM"
	case XChaChaPoly:
		return "XChaChaPoly"
	}
	return fmt.Sprintf("suite(%d)", uint8(s))
}

// Reasons of refusals, for counters and audit records. A peer that has not
// been authenticated is told none of them but suite_refused and version_skew.
const (
	ReasonBadHello     = "bad_hello"         // the clear message is malformed
	ReasonVersion      = protocol.ReasonSkew // there is no version of the protocol to talk in
	ReasonWrongKind    = "wrong_kind"        // a session kind that is not accepted here
	ReasonWrongCluster = "wrong_cluster"     // another cluster's ID
	ReasonSuiteRefused = "suite_refused"     // a protocol name that policy does not allow
	ReasonDowngrade    = "downgrade"         // a fallback without need: somebody is in the middle
	ReasonUnknownPSK   = "unknown_psk"       // no such pre-shared key
	ReasonBadHandshake = "bad_handshake"     // does not decrypt: wrong key, other channel, or tampered with
	ReasonBadIdentity  = "bad_identity"      // the certificate is wrong, of another key or out of date
	ReasonClockSkew    = "clock_skew"        // the clocks of the two machines differ by more than ClockSkew
	ReasonReflection   = "reflection"        // the peer shows our own identity
	ReasonUnknownNode  = "unknown_node"      // Admit refused without a reason of its own
)
