package consensus

import (
	"context"
	"net"
	"time"

	"github.com/hashicorp/raft"

	"github.com/holocompute/holocompute/internal/holo"
)

// inletStreams is how many of a peer's streams may wait to be served. Raft
// uses a few; more are closed.
const inletStreams = 8

// inlet takes the requests of one peer: a NetworkTransport of its own, whose
// listener it is.
type inlet struct {
	link      *link
	peer      holo.NodeID
	streams   chan net.Conn
	transport *raft.NetworkTransport
	done      context.Context // ends with close or the group
	cancel    context.CancelFunc
	open      streamSet
}

func newInlet(l *link, peer holo.NodeID) *inlet {
	in := &inlet{link: l, peer: peer, streams: make(chan net.Conn, inletStreams)}
	in.done, in.cancel = context.WithCancel(l.group.ctx)
	in.transport = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: in, MaxPool: pooled, Timeout: rpcTimeout, Logger: l.logger,
	})
	in.transport.SetHeartbeatHandler(in.heartbeat)
	l.group.run(func(context.Context) { in.forward() })
	return in
}

// take queues a stream for the listener, or closes it.
func (in *inlet) take(conn net.Conn) {
	tracked, err := in.open.add(conn)
	if err != nil {
		return
	}
	select {
	case in.streams <- tracked:
	default:
		tracked.Close()
	}
}

// forward hands checked requests to Raft.
func (in *inlet) forward() {
	for {
		select {
		case rpc := <-in.transport.Consumer():
			if err := in.link.check(in.peer, rpc); err != nil {
				rpc.Respond(nil, err)
				continue
			}
			select {
			case in.link.requests <- rpc:
			case <-in.done.Done():
				rpc.Respond(nil, raft.ErrTransportShutdown)
			}
		case <-in.done.Done():
			return
		}
	}
}

func (in *inlet) heartbeat(rpc raft.RPC) {
	if err := in.link.check(in.peer, rpc); err != nil {
		rpc.Respond(nil, err)
		return
	}
	if handle := in.link.heartbeat(); handle != nil {
		handle(rpc)
		return
	}
	rpc.Respond(nil, raft.ErrTransportShutdown)
}

func (in *inlet) close() {
	in.cancel()
	in.transport.Close() // its error is always nil
	in.open.close()
}

// Accept gives the listener the next stream.
func (in *inlet) Accept() (net.Conn, error) {
	select {
	case conn := <-in.streams:
		return conn, nil
	case <-in.done.Done():
		return nil, net.ErrClosed
	}
}

// Dial is never called: nothing goes out here.
func (in *inlet) Dial(raft.ServerAddress, time.Duration) (net.Conn, error) {
	return nil, net.ErrClosed
}

// Close ends Accept.
func (in *inlet) Close() error {
	in.cancel()
	return nil
}

// Addr is this node's ID.
func (in *inlet) Addr() net.Addr { return nodeAddr(in.link.config.Self) }
