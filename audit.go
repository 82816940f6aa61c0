package holocompute

import (
	"context"
	"encoding/hex"
	"iter"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
)

// AuditRecord is one entry of a node's audit log.
type AuditRecord struct {
	Seq       uint64      `json:"seq"` // its index, from 0
	Time      time.Time   `json:"time"`
	Node      string      `json:"node"`
	Event     string      `json:"event"` // such as array.create
	Action    string      `json:"action"`
	Resource  string      `json:"resource"`
	ActorKind string      `json:"actor_kind"` // none, principal, node
	Actor     string      `json:"actor"`      // key, hexadecimal; "" for none
	ActingFor string      `json:"acting_for"` // whose rights applied where the actor came with a token; "": its own
	Decision  string      `json:"decision"`   // allowed, refused
	Reason    string      `json:"reason"`     // of a refusal
	Count     uint64      `json:"count"`      // refusals that this one record stands for
	Proof     *AuditProof `json:"proof,omitempty"`
}

// AuditProof is what the client signed. The bytes are in hexadecimal.
type AuditProof struct {
	Procedure string `json:"procedure"`
	Session   string `json:"session"`
	Digest    string `json:"digest"` // SHA-256 of the stamp and the request, of a bulk write of its body
	Stamp     string `json:"stamp"`
	Signature string `json:"signature"`
}

// AuditQuery says which records to read. The zero value asks for all.
type AuditQuery struct {
	Event  string // only these; "": all
	Last   int    // only the newest so many; 0: from the first on
	Follow bool   // go on with those to come, until the context is done
}

const (
	auditPage = 1000
	auditWait = 10 * time.Second // of one call, while following
)

// Audit reads the audit log of the node on this machine, the oldest record
// first. It believes the node; `holo audit verify` does not. After an error
// there are no more records.
func (c *Cluster) Audit(ctx context.Context, q AuditQuery) iter.Seq2[AuditRecord, error] {
	return func(yield func(AuditRecord, error) bool) {
		req := &holov1.ReadAuditRequest{Event: q.Event, Newest: q.Last > 0, Limit: uint32(min(max(q.Last, 0), auditPage))}
		for {
			page, err := read(ctx, c.client, "read audit log", c.audit.Read, req)
			if err != nil {
				yield(AuditRecord{}, err)
				return
			}
			for _, r := range page.GetRecords() {
				if !yield(auditRecordOf(r), nil) {
					return
				}
			}
			if page.GetNext() >= page.GetSize() && !q.Follow {
				return
			}
			req = &holov1.ReadAuditRequest{Event: q.Event, First: page.GetNext()}
			if q.Follow {
				req.WaitMs = uint32(auditWait.Milliseconds())
			}
		}
	}
}

func auditRecordOf(r *holov1.AuditRecord) AuditRecord {
	out := AuditRecord{
		Seq: r.GetSeq(), Time: time.Unix(0, r.GetTimeUnixNano()).UTC(), Node: r.GetNode(), Event: r.GetEvent(), Action: r.GetAction(),
		Resource: r.GetResource(), ActorKind: r.GetActorKind(), Actor: r.GetActor(), ActingFor: r.GetActingFor(), Decision: r.GetDecision(), Reason: r.GetReason(),
		Count: r.GetCount(),
	}
	if p := r.GetProof(); p != nil {
		out.Proof = &AuditProof{
			Procedure: p.GetProcedure(), Session: hex.EncodeToString(p.GetSession()), Digest: hex.EncodeToString(p.GetDigest()),
			Stamp: hex.EncodeToString(p.GetStamp()), Signature: hex.EncodeToString(p.GetSignature()),
		}
	}
	return out
}
