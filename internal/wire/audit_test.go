package wire

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func auditRecord() *AuditRecord {
	return &AuditRecord{
		Seq: 7, Time: 1, Event: "array.create", Action: "array.create", Resource: "array a", Actor: Actor{Kind: ActorPrincipal, Key: [32]byte{1}},
		Decision: Allowed, Count: 1, Proof: &AuditProof{Procedure: "holo.v1.ArrayService/Create", Signature: [64]byte{2}},
	}
}

func TestAuditRecordsThatContradictThemselvesAreRefused(t *testing.T) {
	if err := auditRecord().Check(); err != nil {
		t.Fatalf("control: %v", err)
	}
	for name, spoil := range map[string]func(*AuditRecord){
		"an act of a principal without its proof": func(r *AuditRecord) { r.Proof = nil },
		"a proof of nobody":                       func(r *AuditRecord) { r.Actor = Actor{} },
		"a proof of a node":                       func(r *AuditRecord) { r.Actor.Kind = ActorNode },
		"an actor that acts for itself":           func(r *AuditRecord) { r.Actor.For = r.Actor.Key },
		"an unknown actor":                        func(r *AuditRecord) { r.Actor.Kind = actorKinds },
		"allowed for a reason":                    func(r *AuditRecord) { r.Reason = "bad_signature" },
		"refused for none":                        func(r *AuditRecord) { r.Decision = Refused },
		"undecided":                               func(r *AuditRecord) { r.Decision = 0 },
		"no event":                                func(r *AuditRecord) { r.Event = "" },
		"an event with a space":                   func(r *AuditRecord) { r.Event = "array create" },
		"a resource that moves the cursor":        func(r *AuditRecord) { r.Resource = "a\x1b[2J" },
		"a resource of two lines":                 func(r *AuditRecord) { r.Resource = "a\nb" },
		"a resource that is no text":              func(r *AuditRecord) { r.Resource = "\xff" },
		"a resource that is too long":             func(r *AuditRecord) { r.Resource = strings.Repeat("x", MaxResource+1) },
		"a procedure with a zero":                 func(r *AuditRecord) { r.Proof.Procedure = "a\x00b" },
		"no procedure":                            func(r *AuditRecord) { r.Proof.Procedure = "" },
		"nothing counted":                         func(r *AuditRecord) { r.Count = 0 },
	} {
		r := auditRecord()
		spoil(r)
		if r.Check() == nil {
			t.Errorf("%s is taken", name)
		}
	}
	byToken := auditRecord()
	byToken.Actor.For[0] = 9
	if err := byToken.Check(); err != nil {
		t.Errorf("a key may act for another by a token: %v", err)
	}
	refused := auditRecord()
	refused.Decision, refused.Reason, refused.Proof = Refused, "bad_signature", nil
	if err := refused.Check(); err != nil {
		t.Errorf("a refusal needs no proof: %v", err)
	}
}

func TestTheLargestAuditRecordFits(t *testing.T) {
	r := auditRecord()
	r.Event, r.Action = strings.Repeat("e", MaxEvent), strings.Repeat("a", MaxEvent)
	r.Decision, r.Reason = Refused, strings.Repeat("r", maxReason)
	r.Actor.For[0] = 9
	r.Resource, r.Proof.Procedure = strings.Repeat("x", MaxResource), strings.Repeat("p", maxProcedure)
	b := Encode(r)
	got, err := Decode(b)
	if err != nil || len(b) > MaxAuditRecord {
		t.Fatalf("%d bytes, at most %d: %v", len(b), MaxAuditRecord, err)
	}
	if !bytes.Equal(Encode(got), b) {
		t.Error("it encodes to other bytes")
	}
}

func TestAnyTextIsMadeFitForARecord(t *testing.T) {
	for _, s := range []string{"", "array a", "a\x1b[2J\nb", "\xff\xfe", strings.Repeat("ä", MaxResource)} {
		r := auditRecord()
		if r.Resource = AuditText(s); r.Check() != nil || !utf8.ValidString(r.Resource) {
			t.Errorf("%q became %q, which no record can hold", s, r.Resource)
		}
	}
	if got := AuditText("array a"); got != "array a" {
		t.Errorf("a text that fits became %q", got)
	}
}
