package node

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/memory"
	"github.com/holocompute/holocompute/internal/scrub"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// memoryLinks is what a node's memory asks of the node.
type memoryLinks struct{ *Node }

// Ask implements memory.Links.
func (l memoryLinks) Ask(ctx context.Context, to holo.NodeID, class transport.Class, req wire.Message) (wire.Message, error) {
	return l.ask(ctx, to, class, req)
}

// Call implements memory.Links.
func (l memoryLinks) Call(ctx context.Context, to holo.NodeID, class transport.Class, req wire.Message, each func(wire.Message) (bool, error)) error {
	return l.call(ctx, to, class, req, each)
}

// Send implements memory.Links.
func (l memoryLinks) Send(to holo.NodeID, class transport.Class, m wire.Message) {
	l.peers.Send(to, class, m)
}

// Blame implements memory.Links.
func (l memoryLinks) Blame(peer holo.NodeID, err error) error { return l.blame(peer, err) }

// Unexpected implements memory.Links.
func (l memoryLinks) Unexpected(peer holo.NodeID, m wire.Message) error { return l.unexpected(peer, m) }

// Corrupt implements memory.Links.
func (l memoryLinks) Corrupt(peer holo.NodeID, err error) { l.refuseCorrupt(peer, err) }

// Members implements memory.Links.
func (l memoryLinks) Members() []holo.NodeID { return l.members.ids() }

// Record implements memory.Links.
func (l memoryLinks) Record(ctx context.Context, q wire.CatalogQuery) (*wire.ArrayRecord, error) {
	return queryOne[*wire.ArrayRecord](ctx, l.Node, q)
}

func (n *Node) memoryConfig() memory.Config {
	c := &n.config
	return memory.Config{
		Self: n.self, Incarnation: n.incarnation, Bytes: c.MemoryBytes, SpillDir: c.SpillDir, SpillLimit: c.SpillLimit, ScrubRate: c.ScrubRate,
		Turns: n.turns, Group: n.group, Now: n.clock.now, Links: memoryLinks{n}, Refused: n.refusals.add, Recorded: n.refusals.count, Copied: n.pagesCopied, Reconfigured: n.shardsReconfigured, Log: n.log,
	}
}

// inMemory has the node's memory serve a message.
func inMemory(serve func(*memory.Node, context.Context, *memory.Request) error) handler {
	return func(n *Node, ctx context.Context, r *request) error {
		return serve(n.memory, ctx, &memory.Request{From: r.from, Msg: r.msg, Answer: r.answer})
	}
}

// refuseCorrupt counts and reports an answer that is not what it claims to be.
func (n *Node) refuseCorrupt(peer holo.NodeID, err error) {
	if holo.KindOf(err) == holo.Corrupt {
		n.refusals.addErr(err)
		n.log.Warn("corrupt answer refused", "peer", peer.String(), "error", err)
	}
}

// ReadRange fills dst with an array's bytes from an offset.
func (n *Node) ReadRange(ctx context.Context, id holo.ArrayID, offset uint64, dst []byte) error {
	return n.memory.ReadRange(ctx, id, offset, dst)
}

// WriteRange writes src at an offset of an open array.
func (n *Node) WriteRange(ctx context.Context, id holo.ArrayID, offset uint64, src []byte) error {
	return n.memory.WriteRange(ctx, id, offset, src, holo.Token{})
}

// FillRange sets elements of an open array to one value.
func (n *Node) FillRange(ctx context.Context, id holo.ArrayID, first, count uint64, value []byte) error {
	return n.memory.FillRange(ctx, id, first, count, value)
}

// ForgetCached drops what the node keeps of other nodes' pages.
func (n *Node) ForgetCached() { n.memory.ForgetCached() }

// ReadBytes serves the door.
func (n *Node) ReadBytes(ctx context.Context, _ door.Caller, id holo.ArrayID, offset uint64, dst []byte) error {
	return n.memory.ReadRange(ctx, id, offset, dst)
}

// WriteBytes serves the door.
func (n *Node) WriteBytes(ctx context.Context, c door.Caller, id holo.ArrayID, offset uint64, src []byte) error {
	return n.memory.WriteRange(ctx, id, offset, src, c.Under)
}

// Fill serves the door.
func (n *Node) Fill(ctx context.Context, _ door.Caller, id holo.ArrayID, first, count uint64, value []byte) error {
	return n.memory.FillRange(ctx, id, first, count, value)
}

// Hold serves the door.
func (n *Node) Hold(ctx context.Context, _ door.Caller, m *holov1.HoldRequest) (*holov1.HoldResponse, error) {
	life := holo.Duration(m.GetMilliseconds()) * holo.Millisecond
	held, err := n.memory.Hold(ctx, holo.ArrayID(m.GetArray()), m.GetFirst(), m.GetCount(), holo.LeaseID(m.GetLease()), life)
	if err != nil {
		return nil, err
	}
	out := &holov1.HoldResponse{}
	for _, e := range held {
		if life > 0 {
			out.Extents = append(out.Extents, &holov1.HeldExtent{First: e.First, Count: e.Count, Epoch: uint64(e.Token.Epoch), Number: e.Token.Number})
		}
	}
	return out, nil
}

// Atomic serves the door.
func (n *Node) Atomic(ctx context.Context, _ door.Caller, m *holov1.ApplyAtomicRequest) (*holov1.AtomicResponse, error) {
	op := m.GetOperation()
	at := &memory.Atom{
		Op:    holo.OpID{Session: holo.SessionID(binary.BigEndian.Uint64(op)), Num: binary.BigEndian.Uint64(op[8:])},
		Index: m.GetIndex(), Kind: wire.MutateSwap, Operand: m.GetOperand(), Expect: m.GetExpected(),
	}
	if fold, ok := holo.ParseFold(m.GetKind()); ok {
		at.Kind, at.Fold = wire.MutateFold, fold
	}
	met, applied, err := n.memory.Atomic(ctx, holo.ArrayID(m.GetArray()), at)
	if err != nil {
		return nil, err
	}
	return &holov1.AtomicResponse{Met: met, Applied: applied}, nil
}

// checkScrubRate refuses a rate at which a round would never end; 0 is the default.
func checkScrubRate(rate uint64) error {
	if rate != 0 && rate < scrub.LeastRate {
		return holo.Errorf(holo.Invalid, "read pages again at %d bytes a second: at least %d, one page", rate, scrub.LeastRate)
	}
	return nil
}

// recordFindings keeps a record of each damaged page and each that was replaced,
// and one of those that were too many to name.
func (n *Node) recordFindings() {
	list, more := n.memory.Found.Take()
	for _, e := range list {
		name, what := "page.corrupt", "page "+e.Page.String()+" "+e.Where
		if e.Healed {
			name, what = "page.repaired", "page "+e.Page.String()+" from "+e.Where
		}
		n.recordFinding(n.ownEvent(name, what))
	}
	if more > 0 {
		r := n.ownEvent("page.corrupt", fmt.Sprintf("%d more pages were damaged or repaired", more))
		r.Count = more
		n.recordFinding(r)
	}
}

func (n *Node) recordFinding(r *wire.AuditRecord) {
	if err := n.audit.Report(r); err != nil {
		n.log.Error("damaged page not recorded", "what", r.Resource, "error", err)
	}
}

// scrubbing describes it for the status.
func (n *Node) scrubbing() *holov1.Scrub {
	s := n.memory.Found.State()
	out := &holov1.Scrub{
		Rounds: s.Rounds, PeriodSeconds: uint64(s.Period.Seconds()), BytesRead: s.Bytes,
		Damaged: s.Damaged, Repaired: s.Healed, LastFinding: s.Last,
	}
	if s.Last != "" {
		out.LastUnix = s.LastAt.Unix()
	}
	return out
}
