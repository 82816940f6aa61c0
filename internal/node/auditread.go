package node

import (
	"context"
	"slices"
	"time"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/audit"
	"github.com/holocompute/holocompute/internal/core/catalog"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/wire"
)

// ReadAudit reads this node's log, waiting for a record where the caller wants
// that and there is none.
func (n *Node) ReadAudit(ctx context.Context, _ door.Caller, m *holov1.ReadAuditRequest) (*holov1.ReadAuditResponse, error) {
	q := audit.Query{First: m.GetFirst(), Newest: m.GetNewest(), Event: m.GetEvent(), Limit: int(m.GetLimit())}
	if q.Limit == 0 {
		q.Limit = maxAuditRead
	}
	patient, cancel := within(ctx, time.Duration(m.GetWaitMs())*time.Millisecond)
	defer cancel()
	for {
		changed := n.audit.Changed()
		size, _ := n.audit.State() // before it is read: what comes meanwhile is waited for, and no reason to give up
		records, next, err := n.audit.Select(ctx, q)
		if err != nil {
			return nil, err
		}
		size = max(size, next)
		if len(records) > 0 || next < size || !n.awaitChange(patient, changed) {
			return &holov1.ReadAuditResponse{Records: auditOut(records), Next: next, Size: size}, nil
		}
		q.First, q.Newest = next, false
	}
}

const maxAuditRead = 1000

// awaitChange reports whether the channel closed before the context or the
// node ended.
func (n *Node) awaitChange(ctx context.Context, changed <-chan struct{}) bool {
	select {
	case <-changed:
		return true
	case <-ctx.Done():
	case <-n.group.Done():
	}
	return false
}

func auditOut(records []*wire.AuditRecord) []*holov1.AuditRecord {
	out := make([]*holov1.AuditRecord, len(records))
	for i, r := range records {
		out[i] = &holov1.AuditRecord{
			Seq: r.Seq, TimeUnixNano: r.Time, Node: r.Node.Hex(), Event: r.Event, Action: r.Action, Resource: r.Resource,
			ActorKind: actorKinds[r.Actor.Kind], Decision: "allowed", Reason: r.Reason, Count: r.Count,
		}
		if r.Actor.Kind != wire.ActorNone {
			out[i].Actor = holo.NodeID(r.Actor.Key).Hex()
		}
		if r.Actor.For != (holo.PrincipalID{}) {
			out[i].ActingFor = r.Actor.For.Hex()
		}
		if r.Decision == wire.Refused {
			out[i].Decision = "refused"
		}
		if p := r.Proof; p != nil {
			out[i].Proof = &holov1.AuditProof{Procedure: p.Procedure, Session: p.Session[:], Digest: p.Digest[:], Stamp: p.Stamp[:], Signature: p.Signature[:]}
		}
	}
	return out
}

var actorKinds = map[wire.ActorKind]string{wire.ActorNone: "none", wire.ActorPrincipal: "principal", wire.ActorNode: "node"}

// AuditSource says whose log a node's folder should hold, by what the owner
// signed: the member of the chain that has this node's name. Whoever can write
// the whole folder can put another cluster there, chain and all; who doubts that
// names the node himself.
func AuditSource(dir string) (audit.Source, error) {
	h := &home{dir: dir}
	var err error
	if h.settings, err = identity.ReadCluster(h.path(identity.ClusterFile)); err != nil {
		return audit.Source{}, err
	}
	b, err := identity.ReadPublic(h.path(identity.ChainFile), maxChainFile)
	if err != nil {
		return audit.Source{}, err
	}
	if h.records, err = openChain(b); err != nil {
		return audit.Source{}, err
	}
	members, err := catalog.VerifyChain(h.settings.ID, h.settings.Owner, h.records)
	if err != nil {
		return audit.Source{}, err
	}
	return h.named(members)
}

// named finds the one member with this node's name.
func (h *home) named(members []catalog.ChainMember) (audit.Source, error) {
	members = slices.DeleteFunc(members, func(m catalog.ChainMember) bool { return m.Name != h.settings.NodeName })
	if len(members) != 1 {
		return audit.Source{}, holo.Errorf(holo.NotFound, "verify audit log: %d members are called %s: say whose log it is with --key", len(members), h.settings.NodeName)
	}
	return audit.Source{Cluster: h.settings.ID, Node: members[0].Node}, nil
}
