package handshake

import (
	"crypto/ed25519"
	"encoding/binary"
	"unicode"
	"unicode/utf8"

	"github.com/holocompute/holocompute/internal/protocol"
)

// The payload of the second and third message is a list of fields, each a type
// byte, a length (2 bytes, big endian) and the value. Types ascend, none is
// left out but the last, and unknown ones are refused, so an identity has one
// encoding. A field more means a version of the protocol more, and a hello of
// both sides that says so.
const (
	fieldNode      = 1 // Ed25519 public key, 32 bytes
	fieldSignature = 2 // of certificate.statement, 64 bytes
	fieldValidity  = 3 // notBefore, notAfter: 8 bytes each
	fieldName      = 4 // up to MaxName bytes
	fieldTime      = 5 // seconds since 1970 by the sender's clock, 8 bytes
	fieldOffer     = 6 // versions: oldest, newest, the cluster's; 3 bytes
	fieldProof     = 7 // up to MaxProof bytes; absent when empty
)

// maxPayload is seven heads and the longest values.
const maxPayload = 7*3 + 32 + 64 + 16 + MaxName + 8 + 3 + MaxProof

// identity is the payload: a certificate, what the sender's clock shows, the
// versions that it speaks, and a membership proof.
type identity struct {
	certificate
	clock int64 // seconds since 1970
	offer protocol.Offer
	proof []byte
}

func (i *identity) encode() []byte {
	validity := binary.BigEndian.AppendUint64(nil, uint64(i.notBefore))
	validity = binary.BigEndian.AppendUint64(validity, uint64(i.notAfter))
	b := appendField(nil, fieldNode, i.node[:])
	b = appendField(b, fieldSignature, i.signature)
	b = appendField(b, fieldValidity, validity)
	b = appendField(b, fieldName, []byte(i.name))
	b = appendField(b, fieldTime, binary.BigEndian.AppendUint64(nil, uint64(i.clock)))
	b = appendField(b, fieldOffer, appendOffer(nil, i.offer))
	if len(i.proof) > 0 {
		b = appendField(b, fieldProof, i.proof)
	}
	return b
}

func appendField(b []byte, kind byte, value []byte) []byte {
	return appendLong(append(b, kind), value)
}

func decodeIdentity(b []byte) (*identity, error) {
	if len(b) > maxPayload {
		return nil, badIdentity("%d bytes, at most %d", len(b), maxPayload)
	}
	r := reader{rest: b}
	i := &identity{}
	copy(i.node[:], r.field(fieldNode, len(i.node), len(i.node)))
	i.signature = r.field(fieldSignature, ed25519.SignatureSize, ed25519.SignatureSize)
	validity := r.field(fieldValidity, 16, 16)
	i.name = string(r.field(fieldName, 0, MaxName))
	clock := r.field(fieldTime, 8, 8)
	offer := reader{rest: r.field(fieldOffer, 3, 3)}
	i.offer = offer.offer()
	if len(r.rest) > 0 {
		i.proof = r.field(fieldProof, 1, MaxProof)
	}
	switch {
	case r.short:
		return nil, badIdentity("a field is missing, out of order or of a wrong length")
	case len(r.rest) > 0:
		return nil, badIdentity("%d bytes left over", len(r.rest))
	case !i.offer.Valid():
		return nil, badIdentity("it speaks the versions %s of a cluster at %d", i.offer.Range, i.offer.Cluster)
	case !printable(i.name):
		return nil, badIdentity("name %q is not printable", i.name)
	}
	i.notBefore = int64(binary.BigEndian.Uint64(validity))
	i.notAfter = int64(binary.BigEndian.Uint64(validity[8:]))
	i.clock = int64(binary.BigEndian.Uint64(clock))
	if i.notBefore < 0 || i.notAfter < 0 || i.clock < 0 {
		return nil, badIdentity("validity from %d to %d, at %d", i.notBefore, i.notAfter, i.clock)
	}
	return i, nil
}

// field takes the next field, which must be of this type and of low to high
// bytes.
func (r *reader) field(kind byte, low, high int) []byte {
	if r.byte() != kind {
		r.short = true
	}
	n := r.uint16()
	if n < low || n > high {
		r.short = true
	}
	return r.take(n)
}

// printable keeps control characters of a peer's name out of terminals and logs.
func printable(name string) bool {
	if !utf8.ValidString(name) {
		return false
	}
	for _, c := range name {
		if !unicode.IsPrint(c) {
			return false
		}
	}
	return true
}

func badIdentity(format string, args ...any) error {
	return refuse(ReasonBadIdentity, "identity: "+format, args...)
}
