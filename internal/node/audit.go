package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/audit"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

// auditDir is the log's folder in a node's.
const auditDir = "audit"

// AuditDir is the folder of the audit log in a node's folder.
func AuditDir(dir string) string { return (&home{dir: dir}).path(auditDir) }

// openAudit opens the log and records that the node starts. A node that cannot
// record does not start.
func (n *Node) openAudit() (err error) {
	n.audit, err = audit.Open(audit.Config{Dir: n.home.path(auditDir), Cluster: n.cluster, Signer: n.home.signer})
	if err != nil {
		return err
	}
	return n.audit.Report(n.ownEvent("node.start", fmt.Sprintf("incarnation %d", uint64(n.incarnation))))
}

// closeAudit records what is left and that the node ends.
func (n *Node) closeAudit() error {
	if n.audit == nil {
		return nil
	}
	n.recordRefusals(n.refusals.rest())
	n.recordBlames(n.blames.rest())
	n.recordHappened(n.happened.rest())
	n.recordFindings()
	return errors.Join(n.audit.Report(n.ownEvent("node.stop", "")), n.audit.Close())
}

// ownEvent is a record of the node's own doing.
func (n *Node) ownEvent(name, resource string) *wire.AuditRecord {
	return &wire.AuditRecord{Event: name, Resource: wire.AuditText(resource), Actor: wire.Actor{Kind: wire.ActorNode, Key: n.self}}
}

// Record implements door.Audit.
func (n *Node) Record(_ context.Context, c door.Caller, refusal error) error {
	r := &wire.AuditRecord{
		Event: api.Event(c.Procedure), Action: c.Action, Resource: wire.AuditText(c.Resource), Actor: wire.Actor{Kind: wire.ActorPrincipal, Key: c.Key},
	}
	if c.Principal != c.Key {
		r.Actor.For = c.Principal
	}
	if c.Signature != nil {
		r.Proof = &wire.AuditProof{Procedure: c.Procedure, Session: c.Session, Digest: c.Digest, Stamp: c.Stamp, Signature: [64]byte(c.Signature)}
	}
	if refusal == nil {
		return n.audit.Permit(r)
	}
	return n.recordRefusal(r, refusal)
}

// recordRefusal keeps a refusal with a record of its own, and counts it.
func (n *Node) recordRefusal(r *wire.AuditRecord, refusal error) error {
	r.Decision, r.Reason = wire.Refused, reasonOrKind(refusal)
	if err := n.audit.Report(r); err != nil {
		return err
	}
	n.refusals.count(r.Reason)
	return nil
}

func reasonOrKind(err error) string {
	if reason := holo.ReasonOf(err); reason != "" {
		return reason
	}
	return holo.KindOf(err).String()
}

// recordJoin keeps what came of a node's asking to be admitted, or a client's to
// be enrolled. It returns why that is not answered: the refusal, or that it
// cannot be recorded. That nobody could decide is no decision.
func (n *Node) recordJoin(event, resource string, by wire.Actor, refusal error) error {
	r := &wire.AuditRecord{Event: event, Resource: wire.AuditText(resource), Actor: by}
	switch {
	case refusal == nil:
		return n.audit.Permit(r)
	case wait.Again(refusal):
		return refusal
	}
	if err := n.recordRefusal(r, refusal); err != nil {
		return errors.Join(refusal, err)
	}
	return recorded{refusal}
}

// recordMembers keeps what the membership chain has come to say.
func (n *Node) recordMembers(records []wire.ChainRecord) {
	for i := range records {
		name, ok := chainEvents[records[i].Kind]
		if !ok {
			continue
		}
		what := fmt.Sprintf("node %s %s", records[i].Node.Hex(), records[i].Name)
		if records[i].Kind == wire.ChainOwner {
			what = "next owner " + records[i].Owner.Hex()
		}
		r := &wire.AuditRecord{Event: name, Resource: wire.AuditText(what)}
		if err := n.audit.Report(r); err != nil {
			n.log.Error("membership not recorded", "event", name, "error", err)
		}
	}
}

var chainEvents = map[wire.ChainKind]string{wire.ChainAdmit: "member.admitted", wire.ChainEvict: "member.removed", wire.ChainOwner: "owner.replaced"}

// lookAtRefusals is how often refusals without a record are looked at. The
// first of a reason is recorded within this time.
const lookAtRefusals = time.Second

// watchRefusals records refusals, blames and what happened by number until the node ends.
func (n *Node) watchRefusals(ctx context.Context) {
	ticker := time.NewTicker(lookAtRefusals)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			n.recordRefusals(n.refusals.due(n.clock.now()))
			n.recordBlames(n.blames.due(n.clock.now()))
			n.recordHappened(n.happened.due(n.clock.now()))
			n.recordFindings()
		}
	}
}

// recordRefusals keeps so many refusals in one record for each reason. What
// cannot be recorded is counted on and tried again.
func (n *Node) recordRefusals(due map[string]uint64) {
	for reason, count := range due {
		r := &wire.AuditRecord{Event: refusalEvent(reason), Decision: wire.Refused, Reason: reason, Count: count}
		if err := n.audit.Report(r); err != nil {
			n.refusals.owe(reason, count)
			n.log.Error("refusals not recorded", "reason", reason, "count", count, "error", err)
		}
	}
}

// auditWarning is a sentence for the status when actions are refused because
// they cannot be recorded.
func (n *Node) auditWarning() []string {
	if _, err := n.audit.State(); err != nil {
		return []string{fmt.Sprintf("Nothing that is recorded can be done on this node now: %v.", err)}
	}
	return nil
}
