package transport

import (
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
)

// socket is a UDP socket as quic-go gets it.
type socket struct {
	conn      net.PacketConn
	offload   bool          // the kernel coalesces what it receives
	oversized func() uint64 // datagrams dropped because they fit no QUIC packet
}

// openSocket binds a UDP socket, with receive offload where the system has it.
// The sizes of the socket's buffers are set by quic-go, as far as the system
// lets it.
func openSocket(addr *net.UDPAddr, sieve sieve) (socket, error) {
	conn, err := net.ListenUDP("udp", addr)
	if err != nil {
		return socket{}, err
	}
	return offloaded(conn, sieve), nil
}

// plain is a socket without receive offload: slower by a fifth, otherwise the
// same.
func plain(conn *net.UDPConn, sieve sieve) socket {
	s := socket{conn: conn, oversized: func() uint64 { return 0 }}
	if !sieve.open() {
		s.conn = &sifted{UDPConn: conn, batch: ipv4.NewPacketConn(conn), sieve: sieve}
	}
	return s
}

// addrPort is the address of a UDP peer, IPv4 in its short form.
func addrPort(a net.Addr) netip.AddrPort {
	udp, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	port := udp.AddrPort()
	return netip.AddrPortFrom(port.Addr().Unmap(), port.Port())
}
