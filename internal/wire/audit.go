package wire

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/holocompute/holocompute/internal/holo"
)

// ActorKind says what kind of key an actor is named by.
type ActorKind uint8

// The kinds of actors.
const (
	ActorNone      ActorKind = iota // nobody who proved a key
	ActorPrincipal                  // a client, by its key
	ActorNode                       // a node, by its key
	actorKinds
)

// Actor is who did, or asked for, what a record tells.
type Actor struct {
	Kind ActorKind
	Key  [32]byte // of ActorNone zero
	// For is whose rights applied: a principal that is not the key itself,
	// because the key came with a token. Zero: the key's own.
	For holo.PrincipalID
}

// Decision is what was decided about what a record tells.
type Decision uint8

// The decisions.
const (
	Allowed Decision = iota + 1 // or it has happened
	Refused                     // for the record's reason
	decisions
)

// AuditProof is what a client signed: api.RequestProof of procedure, session
// and digest.
type AuditProof struct {
	Procedure string
	Session   [32]byte
	Digest    [32]byte // SHA-256 of the stamp and the request, of a bulk write of its body
	Stamp     [32]byte // zero of a bulk write
	Signature [64]byte
}

// AuditRecord is one entry of a node's audit log. What a principal was allowed
// holds the principal's proof, so that the node's key alone cannot make it.
type AuditRecord struct {
	Seq      uint64 // its index in the log, from 0
	Time     int64  // nanoseconds since 1970, by the node's clock
	Node     holo.NodeID
	Event    string // "array.create": lower case, digits, '_' and '.'
	Action   string // the right that was asked for, as Event is written
	Resource string // what it was about; text without control characters, may be empty
	Actor    Actor
	Decision Decision
	Reason   string      // why it was refused, a constant; empty when it was allowed
	Count    uint64      // how many refusals this one record stands for, else 1
	Proof    *AuditProof // nil where no client signed
}

const (
	typeAuditRecord = Type(0x0601) // 0x0600 had no stamp

	// MaxEvent and MaxResource bound the texts of a record, in bytes.
	MaxEvent     = 64
	MaxResource  = 200
	maxProcedure = 200

	// MaxAuditRecord bounds an encoded record.
	MaxAuditRecord = 1 << 10
)

// Type is the number on the wire.
func (*AuditRecord) Type() Type { return typeAuditRecord }

var _ = register[AuditRecord]()

// Check reports whether the record is one that decodes.
func (m *AuditRecord) Check() error {
	_, err := Decode(Encode(m))
	return err
}

func (m *AuditRecord) encode(e *Encoder) {
	e.U64(m.Seq)
	e.U64(uint64(m.Time))
	e.Fixed(m.Node[:])
	e.String(m.Event)
	e.String(m.Action)
	e.String(m.Resource)
	e.U8(uint8(m.Actor.Kind))
	if m.Actor.Kind != ActorNone {
		e.Fixed(m.Actor.Key[:])
	}
	if m.Actor.Kind == ActorPrincipal {
		e.Fixed(m.Actor.For[:])
	}
	e.U8(uint8(m.Decision))
	e.String(m.Reason)
	e.U64(m.Count)
	e.Bool(m.Proof != nil)
	if m.Proof != nil {
		m.Proof.encode(e)
	}
}

func (m *AuditRecord) decode(d *Decoder) {
	m.Seq = d.U64()
	m.Time = int64(d.U64())
	d.Fixed(m.Node[:])
	m.Event = d.String(MaxEvent)
	d.Valid(isLabel(m.Event), "event")
	m.Action = d.String(MaxEvent)
	d.Valid(isLabel(m.Action), "action")
	m.Resource = d.String(MaxResource)
	d.Valid(isText(m.Resource), "resource")
	m.Actor.Kind = ActorKind(d.U8())
	d.Valid(m.Actor.Kind < actorKinds, "kind of actor")
	if m.Actor.Kind != ActorNone {
		d.Fixed(m.Actor.Key[:])
	}
	if m.Actor.Kind == ActorPrincipal {
		d.Fixed(m.Actor.For[:])
		d.Valid(m.Actor.For == holo.PrincipalID{} || m.Actor.For != m.Actor.Key, "actor for itself")
	}
	m.Decision = Decision(d.U8())
	d.Valid(m.Decision > 0 && m.Decision < decisions, "decision")
	m.Reason = d.String(maxReason)
	d.Valid((m.Decision == Refused) == isLabel(m.Reason) && (m.Decision == Refused || m.Reason == ""), "reason")
	m.Count = d.U64()
	d.Valid(m.Count > 0, "count")
	if d.Bool() {
		m.Proof = &AuditProof{}
		m.Proof.decode(d)
	}
	d.Valid(m.Proof == nil || m.Actor.Kind == ActorPrincipal, "proof of an actor who is no principal")
	d.Valid(m.Proof != nil || m.Actor.Kind != ActorPrincipal || m.Decision == Refused, "act of a principal without a proof")
}

func (p *AuditProof) encode(e *Encoder) {
	e.String(p.Procedure)
	e.Fixed(p.Session[:])
	e.Fixed(p.Digest[:])
	e.Fixed(p.Stamp[:])
	e.Fixed(p.Signature[:])
}

func (p *AuditProof) decode(d *Decoder) {
	p.Procedure = d.String(maxProcedure)
	d.Valid(p.Procedure != "" && isText(p.Procedure), "procedure")
	d.Fixed(p.Session[:])
	d.Fixed(p.Digest[:])
	d.Fixed(p.Stamp[:])
	d.Fixed(p.Signature[:])
}

// isLabel reports whether s is a constant of the program: lower-case letters,
// digits, '_' and '.', not empty.
func isLabel(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '.')
	}) < 0
}

// isText reports whether s can be shown on a terminal as it is: valid UTF-8 of
// printable characters.
func isText(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// AuditText makes any text fit for a record's resource: what cannot be shown
// becomes '?', what is too long is cut.
func AuditText(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	for len(clean) > MaxResource {
		_, last := utf8.DecodeLastRuneInString(clean)
		clean = clean[:len(clean)-last]
	}
	return clean
}
