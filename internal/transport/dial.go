package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
)

// noProtocol is the TLS alert no_application_protocol, as QUIC carries it.
const noProtocol = 0x100 + 120

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// Dial starts a session with whoever answers at addr (host:port) and proves to
// be expect; the zero NodeID takes anybody whom l.Admit admits. It returns once
// the peer has admitted us in turn, within HandshakeTimeout at most.
//
// Its error has kind Denied when one of the two sides refused the other, and
// Unavailable when no session came about otherwise.
func (t *Transport) Dial(ctx context.Context, addr string, l handshake.Local, class Class, expect holo.NodeID) (*Session, error) {
	if class >= classes {
		return nil, holo.Errorf(holo.Invalid, "dial %s: no %s of connections", addr, class)
	}
	s, err := t.dialOnce(ctx, addr, l, class, expect)
	for holo.ReasonOf(err) == handshake.ReasonSuiteRefused {
		t.refused(handshake.ReasonSuiteRefused)
		var more bool
		if l, more = l.Fallback(); !more {
			break
		}
		t.logger.Warn("peer refused the protocol of the handshake", "address", addr, "error", err)
		s, err = t.dialOnce(ctx, addr, l, class, expect)
	}
	if err == nil {
		return s, nil
	}
	if reason := holo.ReasonOf(err); !ofPeer[reason] {
		t.refused(reason)
	}
	return nil, about(addr, err)
}

// ofPeer are the reasons of failures that are no refusal of ours.
var ofPeer = map[string]bool{
	"": true, ReasonRefused: true, ReasonTimeout: true, ReasonBroken: true, ReasonClosed: true, ReasonDisconnected: true, ReasonVersion: true,
	handshake.ReasonSuiteRefused: true,
}

func (t *Transport) dialOnce(ctx context.Context, addr string, l handshake.Local, class Class, expect holo.NodeID) (*Session, error) {
	v := &visit{gate: t.gate, since: time.Now()}
	defer v.leave() // unless it is settled by then
	ctx, cancel := context.WithDeadline(ctx, v.deadline())
	defer cancel()
	defer context.AfterFunc(t.group.ctx, cancel)()
	to, err := resolve(ctx, addr)
	if err != nil {
		return nil, err
	}
	if err := t.mayDial(to); err != nil {
		return nil, err
	}
	conn, err := t.towards(ctx, to).quic.Dial(context.WithValue(ctx, visitKey{}, v), to, t.carrier.client, quicConfig())
	if err != nil {
		return nil, t.wrapDial(err)
	}
	s, err := t.initiate(ctx, conn, v, l, class, expect)
	if err != nil {
		conn.CloseWithError(codeRefused, "")
		return nil, err
	}
	return s, nil
}

func (t *Transport) initiate(ctx context.Context, conn *quic.Conn, v *visit, l handshake.Local, class Class, expect holo.NodeID) (*Session, error) {
	if err := bind(&l, conn, t.config.Now()); err != nil {
		return nil, err
	}
	only(&l, expect)
	machine, first, err := handshake.Initiate(l)
	if err != nil {
		return nil, err
	}
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, t.wrapDial(err)
	}
	stream.SetDeadline(v.deadline())
	defer context.AfterFunc(ctx, func() { stream.SetDeadline(longAgo) })()
	k := link{stream: stream, machine: machine, instance: t.instance}
	noise, peer, err := k.initiate(first, class)
	if err != nil {
		return nil, err
	}
	return t.establish(conn, v, noise, peer)
}

// only makes the handshake end before our identity is sent when the peer is
// not the one expected.
func only(l *handshake.Local, expect holo.NodeID) {
	admit := l.Admit
	if expect.IsZero() || admit == nil {
		return
	}
	l.Admit = func(kind handshake.Kind, peer holo.NodeID, name string, proof []byte) error {
		if peer != expect {
			return holo.Refuse(holo.Denied, ReasonWrongPeer, "%s answers where %s is expected", peer, expect)
		}
		return admit(kind, peer, name, proof)
	}
}

// establish makes the session of a handshake that is done.
func (t *Transport) establish(conn *quic.Conn, v *visit, noise *handshake.Session, g greeting) (*Session, error) {
	v.trust(noise.Kind())
	s := &Session{transport: t, conn: conn, noise: noise, class: g.class, instance: g.from, begun: v.since, since: time.Now()}
	if !t.track(s) {
		return nil, errClosed("keep session")
	}
	return s, nil
}

func (t *Transport) wrapDial(err error) error {
	tls, _ := errors.AsType[*quic.TransportError](err)
	version, _ := errors.AsType[*quic.VersionNegotiationError](err)
	switch e, _ := errors.AsType[*quic.ApplicationError](err); {
	case version != nil || tls != nil && tls.ErrorCode == noProtocol:
		return holo.Refuse(holo.Unavailable, ReasonVersion, "the peer speaks no %s", protocolName)
	case t.closing.Load():
		return errClosed("connect")
	case e != nil && e.Remote && e.ErrorCode == codeRefused:
		return holo.Refuse(holo.Denied, ReasonRefused, "the peer refused")
	case errors.Is(err, context.Canceled):
		return holo.Errorf(holo.Cancelled, "connect: %w", err)
	case errors.Is(err, context.DeadlineExceeded):
		return holo.Refuse(holo.Unavailable, ReasonTimeout, "connect: no answer in time: %w", err)
	}
	return holo.Refuse(holo.Unavailable, ReasonBroken, "connect: %w", err)
}

// resolve reads host:port and finds an address of the host.
func resolve(ctx context.Context, addr string) (*net.UDPAddr, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, holo.Errorf(holo.Invalid, "address %q: %w", addr, err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return nil, holo.Errorf(holo.Invalid, "address %q: no port number", addr)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, uint16(number))), nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(ips) == 0 {
		return nil, holo.Errorf(holo.Unavailable, "find address of %q: %w", host, err)
	}
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(ips[0].Unmap(), uint16(number))), nil
}
