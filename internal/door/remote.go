package door

import (
	"context"
	"net"
	"sync"

	"github.com/holocompute/holocompute/internal/holo"
)

// Peer is who is at the other end of a connection that came over a link: a
// client on another machine. The zero value is the local socket, where the
// client has yet to say who it is.
type Peer struct {
	Key  holo.PrincipalID // proven in the link's handshake
	Link [32]byte         // the hash of that handshake: no other link has it
}

// remote reports whether it is a client on another machine.
func (p Peer) remote() bool { return p != Peer{} }

type peerKey struct{}

// peerOf is the other end of the connection on which a call came.
func peerOf(ctx context.Context) Peer {
	p, _ := ctx.Value(peerKey{}).(Peer)
	return p
}

// withPeer tells the handlers of a connection's calls who is at its other end.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if r, ok := c.(*remoteConn); ok {
		return context.WithValue(ctx, peerKey{}, r.peer)
	}
	return ctx
}

// remoteConn is a connection that was handed over.
type remoteConn struct {
	net.Conn
	peer Peer
}

// handover is the listener of the connections that Serve is given.
type handover struct {
	conns  chan net.Conn // without room, so that none is left behind; never closed: closed says when nobody takes any more
	closed chan struct{}
	once   sync.Once
}

func newHandover() *handover {
	return &handover{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// give hands a connection over, or closes it when nobody takes it any more.
func (h *handover) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.closed:
		_ = c.Close() // there is nobody to tell
	}
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr is that of no place: the connections come from many links.
func (h *handover) Addr() net.Addr { return &net.UnixAddr{Name: "links", Net: "unix"} }

// Serve answers the calls of a client on another machine, which come on a
// connection inside a link. It takes the connection over, and returns when the
// server has it.
func (d *Door) Serve(c net.Conn, p Peer) {
	if !p.remote() {
		_ = c.Close() // a bug: nobody proved a key
		return
	}
	d.handover.give(&remoteConn{Conn: c, peer: p})
}

// Borrowed reports whether a token has opened the session of a link: its key may
// be nobody's.
func (d *Door) Borrowed(p Peer) bool { return d.sessions.borrowed(p) }

// End forgets the sessions of a link that has ended.
func (d *Door) End(p Peer) { d.sessions.end(p) }
