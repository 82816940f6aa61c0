package shard

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// ReasonStaleMessage: a message of an epoch that is over, from who was primary then.
const ReasonStaleMessage = "epoch_over"

// heeds reports whether what only a primary sends comes from the primary that
// the newest configuration known here names, in its life and its epoch. Nobody
// else is believed about an epoch, for only Raft makes them: a promise of one that
// is never reached would shut out every primary to come (I2). What comes before
// its configuration is kept until that is here.
func (m *Machine) heeds(r *replica, who wire.Member, msg wire.ShardMessage) bool {
	c := &r.config
	if msg.Head().Epoch > c.Epoch {
		r.keep(who, msg)
		return false
	}
	primary, ok := c.Member(c.Primary)
	if !ok || primary != who || msg.Head().Epoch < c.Epoch {
		m.event(unheeded(c, msg), r, who.Node)
		return false
	}
	return true
}

// unheeded tells what comes late, from who may have been primary, from what nobody
// may say.
func unheeded(c *wire.ShardConfig, msg wire.ShardMessage) EventKind {
	if msg.Head().Epoch < c.Epoch {
		return StaleMessage
	}
	return IgnoredMessage
}

// early is what came before the configuration that it belongs to: the last
// Seal, or the last Repl without its entries, which are sent again.
type early struct {
	from wire.Member
	msg  wire.ShardMessage
}

func (r *replica) keep(who wire.Member, msg wire.ShardMessage) {
	switch msg := msg.(type) {
	case *wire.Seal:
		r.early = &early{who, msg}
	case *wire.Repl:
		r.early = &early{who, &wire.Repl{ShardHead: msg.ShardHead}}
	}
}

// catchUp takes up what came too early, once its epoch is known here.
func (m *Machine) catchUp(now holo.Time, r *replica) {
	if e := r.early; e != nil && e.msg.Head().Epoch <= r.config.Epoch {
		r.early = nil
		m.take(now, r, e.from, e.msg)
	}
}

// onRepl takes entries from the primary. They count only if it is the one that
// this copy was made equal to; a new primary has to seal and reconcile first.
func (m *Machine) onRepl(r *replica, who wire.Member, msg *wire.Repl) {
	if r.sealed || r.primary != who {
		return
	}
	r.promised = msg.Epoch // a learner has not yet
	for i := range msg.Entries {
		n := &msg.Entries[i]
		if n.Seq == r.seq+1 && n.Epoch <= msg.Epoch {
			if m.absent(r, r.bases(&n.Mutation)) {
				r.held = &early{who, msg}
				break
			}
			if !m.fits(r.growth(&n.Mutation)) {
				m.event(NoRoom, r, who.Node) // unacknowledged: the primary waits, and asks for another member
				break
			}
			r.append(n, false).entry = nil // a member sends its entries to nobody
		}
	}
	r.commitTo(min(msg.Commit, r.seq))
	m.send(who, &wire.Ack{ShardHead: m.head(r, who), Seq: r.seq, Commit: r.commit})
}

// onSeal takes nothing of the epoch before any more and answers with the
// watermark.
func (m *Machine) onSeal(r *replica, who wire.Member, msg *wire.Seal) {
	if !m.seated(&r.config) {
		return
	}
	if msg.Epoch == r.reconciled && r.primary == who {
		m.send(who, &wire.ReconAck{ShardHead: m.head(r, who), Done: true})
		return
	}
	if !r.sealed {
		r.incoming = nil // but a repeated Seal does not undo what has arrived since
	}
	r.sealed = true
	m.send(who, &wire.SealAck{ShardHead: m.head(r, who), Commit: r.commit, Seq: r.seq})
}

// onRecon takes the chunks of what makes this copy equal to its new primary.
func (m *Machine) onRecon(r *replica, who wire.Member, msg *wire.Recon) {
	ack := &wire.ReconAck{ShardHead: m.head(r, who), Stream: msg.Stream}
	if r.reconciled == msg.Epoch && r.primary == who {
		ack.Done = true
		m.send(who, ack)
		return
	}
	if !r.sealed || msg.Above != r.commit || msg.Started != msg.Epoch {
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
