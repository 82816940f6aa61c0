package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/quic-go/quic-go"

	"github.com/holocompute/holocompute/internal/holo"
)

// endpoint is one address that a Transport listens on and dials from.
type endpoint struct {
	socket   socket
	quic     *quic.Transport
	listener *quic.Listener // nil: it only dials
}

// openEndpoints binds every address of the list, and nothing else: traffic of a
// cluster leaves by listed addresses only. Port 0 takes a free port, the same
// for all of them, so that one number opens a firewall.
func (t *Transport) openEndpoints(c Config) error {
	port := 0
	for _, listen := range append([]string{c.Listen}, c.Also...) {
		addr, err := net.ResolveUDPAddr("udp", listen)
		if err != nil {
			return holo.Errorf(holo.Invalid, "listen on %q: %w", listen, err)
		}
		if addr.Port == 0 {
			addr.Port = port
		}
		e, err := t.openEndpoint(addr)
		if err != nil {
			return err
		}
		t.ends = append(t.ends, e)
		port = int(e.addr().Port())
	}
	return nil
}

func (t *Transport) openEndpoint(addr *net.UDPAddr) (*endpoint, error) {
	s, err := openSocket(addr, t.sieve())
	if err != nil {
		return nil, holo.Errorf(holo.Unavailable, "listen on %s: %w", addr, err)
	}
	e := &endpoint{socket: s, quic: &quic.Transport{
		Conn: s.conn, ConnectionIDLength: 8, VerifySourceAddress: t.gate.mustProve, ConnContext: t.gate.admit,
		Tracer: datagrams{t.refused}, StatelessResetKey: &t.forgotten,
	}}
	if t.config.Local == nil { // nobody is to be let in
		return e, nil
	}
	if e.listener, err = e.quic.Listen(t.carrier.server, quicConfig()); err != nil {
		err = holo.Errorf(holo.Unavailable, "listen on %s: %w", addr, err)
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

func (e *endpoint) addr() netip.AddrPort { return addrPort(e.socket.conn.LocalAddr()) }

func (e *endpoint) close() error {
	if e.listener != nil {
		e.listener.Close() // its error is always nil
	}
	return errors.Join(e.quic.Close(), e.socket.conn.Close())
}

// towards chooses the endpoint to dial from: the one whose address the system
// itself would give packets for there, else the first of the same family. A
// packet never carries another address than a listed one.
func (t *Transport) towards(ctx context.Context, to *net.UDPAddr) *endpoint {
	if len(t.ends) == 1 {
		return t.ends[0]
	}
	from := SourceFor(ctx, to.String())
	best := t.ends[0]
	for _, e := range t.ends {
		ip := e.addr().Addr()
		if ip == from {
			return e
		}
		sameFamily := ip.Is4() == addrPort(to).Addr().Is4()
		if sameFamily && best.addr().Addr().Is4() != ip.Is4() {
			best = e
		}
	}
	return best
}

// SourceFor is the address of this machine from which the system would send to
// host:port. Nothing is sent. It is not valid where there is no way there.
func SourceFor(ctx context.Context, address string) netip.Addr {
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", address)
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	return addrPort(conn.LocalAddr()).Addr()
}
