package shard

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// onRepl takes entries from the primary. They count only if they come from the
// one that this copy was made equal to, in an epoch at least as new as the one
// promised (I2); a new primary has to seal and reconcile first. A replica that
// is primary itself, or is taking over, accepts nobody's.
func (m *Machine) onRepl(now holo.Time, r *replica, who wire.Member, msg *wire.Repl) {
	if msg.Epoch < r.promised || r.lead != nil || r.sealed || r.primary != who {
		return
	}
	r.promised = msg.Epoch
	for i := range msg.Entries {
		n := &msg.Entries[i]
		if n.Seq == r.seq+1 && n.Epoch <= msg.Epoch {
			r.append(n).entry = nil // a member sends its entries to nobody
		}
	}
	r.commitTo(min(msg.Commit, r.seq))
	m.send(who, &wire.Ack{ShardHead: m.head(r, who), Seq: r.seq, Commit: r.commit})
}

// onSeal promises an epoch to its new primary and answers with the watermark.
// A primary that a successor seals steps down at once, even if it has not heard
// of the new configuration: it must never replicate under the successor's
// epoch.
func (m *Machine) onSeal(_ holo.Time, r *replica, who wire.Member, msg *wire.Seal) {
	if msg.Epoch < r.promised || msg.Epoch == r.config.Epoch && who.Node != r.config.Primary {
		return
	}
	if msg.Epoch == r.reconciled && r.primary == who {
		m.send(who, &wire.ReconAck{ShardHead: m.head(r, who), Done: true})
		return
	}
	m.stepDown(r)
	if msg.Epoch > r.promised || !r.sealed {
		r.incoming = nil // but a repeated Seal does not undo what has arrived since
	}
	r.promised, r.sealed = msg.Epoch, true
	m.send(who, &wire.SealAck{ShardHead: m.head(r, who), Commit: r.commit, Seq: r.seq})
}

// onRecon takes the chunks of what makes this copy equal to its new primary.
func (m *Machine) onRecon(r *replica, who wire.Member, msg *wire.Recon) {
	if msg.Epoch != r.promised || r.lead != nil {
		return
	}
	ack := &wire.ReconAck{ShardHead: m.head(r, who), Stream: msg.Stream}
	if r.reconciled == msg.Epoch && r.primary == who {
		ack.Done = true
		m.send(who, ack)
		return
	}
	if !r.sealed || msg.Above != r.commit {
		return
	}
	in := r.receive(who, 0, &msg.Transfer)
	if in == nil {
		return
	}
	if ack.Next = in.next; in.complete {
		r.incoming = nil
		r.reconcile(in)
		r.primary, r.reconciled, r.sealed = who, msg.Epoch, false
		ack.Done = true
	}
	m.send(who, ack)
}

// reconcile drops the copy's own tail for what the primary sent: the committed
// part goes into the table, the rest becomes one item.
func (r *replica) reconcile(in *incoming) {
	r.tail = newTail()
	known, rest := in.split()
	r.table.apply(known)
	r.commit, r.seq = in.commit, in.seq
	if in.seq > in.commit {
		r.tail.push(rest)
	}
}
