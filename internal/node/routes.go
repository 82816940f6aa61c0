package node

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/memory"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// request is a message that came in, and the stream on which to answer.
type request struct {
	from    holo.NodeID // the session's peer, proven by the handshake
	session *transport.Session
	stream  *transport.Stream
	msg     wire.Message
	frame   transport.Frame // what msg was decoded from
}

// handler serves one message. Of a request it writes the answer; its error is
// written as a Failure instead. A handler that returns errTaken has taken the
// stream over.
type handler func(*Node, context.Context, *request) error

// route says who may send a message, what it is called when it is authorised,
// which quota it counts against, and who serves it.
type route struct {
	kinds  []handshake.Kind
	action string
	quota  quota
	oneWay bool // a protocol message: nothing is answered, not even an error
	handle handler
}

var (
	nodesOnly   = []handshake.Kind{handshake.KindNode}
	joinersOnly = []handshake.Kind{handshake.KindJoin}

	replication = route{nodesOnly, "shard.replicate", quotaProtocol, true, (*Node).serveShard}

	errTaken = errors.New("stream taken over")
)

// routes is all that a node serves. What is not in it is refused and counted.
var routes = table([]entry{
	{&wire.Heartbeat{}, route{nodesOnly, "lease.renew", quotaProtocol, true, (*Node).serveControl}},
	{&wire.Grant{}, route{nodesOnly, "lease.grant", quotaProtocol, true, (*Node).serveControl}},
	{&wire.ConfigPush{}, route{nodesOnly, "lease.grant", quotaProtocol, true, (*Node).serveControl}},
	{&wire.ShardShrink{}, route{nodesOnly, "shard.reconfigure", quotaProtocol, true, (*Node).serveControl}},
	{&wire.ShardPromote{}, route{nodesOnly, "shard.reconfigure", quotaProtocol, true, (*Node).serveControl}},
	{&wire.ShardTransfer{}, route{nodesOnly, "shard.reconfigure", quotaProtocol, true, (*Node).serveControl}},
	{&wire.Handoff{}, route{nodesOnly, "shard.reconfigure", quotaProtocol, true, (*Node).serveControl}},
	{&wire.ShrinkHint{}, route{nodesOnly, "shard.reconfigure", quotaProtocol, true, (*Node).serveControl}},

	{&wire.Repl{}, replication},
	{&wire.Ack{}, replication},
	{&wire.Seal{}, replication},
	{&wire.SealAck{}, replication},
	{&wire.Recon{}, replication},
	{&wire.ReconAck{}, replication},
	{&wire.Snap{}, replication},
	{&wire.SnapAck{}, replication},
	{&wire.Inval{}, route{nodesOnly, "shard.replicate", quotaProtocol, true, inMemory((*memory.Node).ServeInval)}},
	{&wire.InvalAck{}, replication},
	{&wire.PageAsk{}, replication},
	{&wire.PageGive{}, replication},

	{&wire.RaftOpen{}, route{nodesOnly, "raft", quotaRaft, false, (*Node).serveRaft}},
	{&wire.Farewell{}, route{nodesOnly, "member.farewell", quotaControl, false, (*Node).serveFarewell}},
	{&wire.ControlRequest{}, route{nodesOnly, "catalog.call", quotaControl, false, (*Node).serveCall}},
	{&wire.UsageRead{}, route{nodesOnly, "node.usage", quotaControl, false, (*Node).serveUsage}},

	{&wire.RangeRead{}, route{nodesOnly, "page.read", quotaData, false, inMemory((*memory.Node).ServeRead)}},
	{&wire.DigestRead{}, route{nodesOnly, "page.read", quotaData, false, inMemory((*memory.Node).ServeDigests)}},
	{&wire.Mutate{}, route{nodesOnly, "page.write", quotaData, false, inMemory((*memory.Node).ServeMutate)}},
	{&wire.Hold{}, route{nodesOnly, "page.write", quotaData, false, inMemory((*memory.Node).ServeHold)}},
	{&wire.LaneLook{}, route{nodesOnly, "page.read", quotaWait, false, inMemory((*memory.Node).ServeLook)}},
	{&wire.ModuleOffer{}, route{nodesOnly, "module.keep", quotaData, false, (*Node).serveOffer}},
	{&wire.RunTask{}, route{nodesOnly, "task.run", quotaJob, false, (*Node).serveTask}},
	{&wire.CancelTasks{}, route{nodesOnly, "task.cancel", quotaJob, false, (*Node).serveCancelTasks}},
	{&wire.ModuleRead{}, route{nodesOnly, "module.read", quotaData, false, (*Node).serveModule}},

	{&wire.JoinRequest{}, route{joinersOnly, "cluster.join", quotaJoin, false, (*Node).serveJoin}},
	{&wire.EnrolRequest{}, route{joinersOnly, "client.enrol", quotaJoin, false, (*Node).serveEnrol}},
})

type entry struct {
	of wire.Message
	route
}

func table(entries []entry) map[wire.Type]route {
	t := make(map[wire.Type]route, len(entries))
	for _, e := range entries {
		t[e.of.Type()] = e.route
	}
	return t
}

// serve reads the messages of one stream, in order, until it ends.
func (n *Node) serve(s *transport.Session, st *transport.Stream) {
	for {
		msg, frame, err := st.ReadFrame()
		if err != nil {
			n.countRead(s, err)
			st.Close()
			return
		}
		r := &request{from: s.Peer(), session: s, stream: st, msg: msg, frame: frame}
		if err := n.dispatch(n.group.Context(), r); err != nil {
			if !errors.Is(err, errTaken) {
				st.Close()
			}
			return
		}
	}
}

// countRead counts a stream that ended because its bytes are no message. The
// end of a stream and a broken connection are not refusals.
func (n *Node) countRead(s *transport.Session, err error) {
	if holo.KindOf(err) != holo.Invalid || errors.Is(err, io.EOF) {
		return
	}
	n.refusals.add(reasonMalformed)
	if s.Kind() == handshake.KindNode {
		n.blameFor(s.Peer(), reasonMalformed)
	}
}

// dispatch is the one gate: every message passes it or is refused.
func (n *Node) dispatch(ctx context.Context, r *request) error {
	rt, known := routes[r.msg.Type()]
	if err := n.judge(rt, known, r); err != nil {
		n.refusals.addErr(err)
		return errors.Join(err, r.fail(err))
	}
	release, err := n.quotas.take(rt.quota, r.from)
	if err != nil {
		n.refusals.addErr(err)
		if rt.oneWay {
			return nil // protocols send again
		}
		return r.refused(rt, err)
	}
	defer release()
	err = rt.handle(n, ctx, r)
	switch {
	case err == nil || errors.Is(err, errTaken):
		return err
	case rt.oneWay:
		n.refusals.addErr(err)
		return nil
	}
	n.refusals.addErr(err)
	return r.refused(rt, err)
}

// refused answers a request with its error. A stream that was opened for Raft ends
// with it: what follows there is no message.
func (r *request) refused(rt route, err error) error {
	answered := r.fail(err)
	if rt.quota == quotaRaft {
		return errors.Join(err, answered)
	}
	return answered
}

// judge decides whether the session may send the message at all.
func (n *Node) judge(rt route, known bool, r *request) error {
	switch {
	case !known:
		return n.blame(r.from, holo.Refuse(holo.Denied, reasonUnknownRoute, "message %#04x has no route", uint16(r.msg.Type())))
	case r.session.Kind() == handshake.KindNode && !n.members.has(r.from):
		return holo.Refuse(holo.Denied, reasonMembership, "%s: node %s is not a member any more", rt.action, r.from)
	case !slices.Contains(rt.kinds, r.session.Kind()):
		return n.blame(r.from, holo.Refuse(holo.Denied, reasonNotAllowed, "%s is not open to sessions of kind %s", rt.action, r.session.Kind()))
	}
	return nil
}

// fail answers a request with its error.
func (r *request) fail(err error) error { return r.answer(wire.FailureOf(err)) }

// answer writes one message back.
func (r *request) answer(m wire.Message) error { return r.stream.WriteMessage(m) }
