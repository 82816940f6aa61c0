package transport

import (
	"net"
	"net/netip"
	"slices"

	"golang.org/x/net/ipv4"

	"github.com/holocompute/holocompute/internal/holo"
)

// ReasonCIDR counts datagrams from, and dials to, addresses outside of the list
// of those that are allowed.
const ReasonCIDR = "cidr"

// sieve drops datagrams of addresses outside of a list where they are read,
// before QUIC looks at them: who is outside gets no byte back, not even one
// that says no. An address can be forged; the list is there to be silent, and
// authenticates nobody. The zero sieve lets all pass.
type sieve struct {
	allow   []netip.Prefix
	refused func(reason string)
}

func (t *Transport) sieve() sieve { return sieve{t.config.Allow, t.refused} }

func (s sieve) open() bool { return len(s.allow) == 0 }

func (s sieve) has(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return s.open() || slices.ContainsFunc(s.allow, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// passes decides about what was read at once, a datagram or several of one
// sender, and counts what it drops.
func (s sieve) passes(ip netip.Addr) bool {
	if s.has(ip) {
		return true
	}
	s.refused(ReasonCIDR)
	return false
}

// mayDial keeps this side from talking to whom it would not listen to.
func (t *Transport) mayDial(to *net.UDPAddr) error {
	if !t.sieve().has(addrPort(to).Addr()) {
		return holo.Refuse(holo.Denied, ReasonCIDR, "connect: %s is outside of the allowed addresses", to)
	}
	return nil
}

// sifted is a UDP socket without receive offload that drops what its sieve does
// not let pass. quic-go reads by ReadBatch where the system has it, and else by
// ReadFrom.
type sifted struct {
	*net.UDPConn
	batch *ipv4.PacketConn
	sieve sieve
}

// ReadBatch gives only what passes, moved to the front of ms.
func (s *sifted) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	for {
		n, err := s.batch.ReadBatch(ms, flags)
		kept := 0
		for i := range n {
			if !s.sieve.passes(addrPort(ms[i].Addr).Addr()) {
				continue
			}
			if kept != i {
				move(&ms[kept], &ms[i])
			}
			kept++
		}
		if kept > 0 || err != nil {
			return kept, err
		}
	}
}

// move copies: the buffers belong to their places in the batch.
func move(to, from *ipv4.Message) {
	to.N = copy(to.Buffers[0], from.Buffers[0][:from.N])
	to.NN = copy(to.OOB, from.OOB[:from.NN])
	to.Addr, to.Flags = from.Addr, from.Flags
}

// ReadFrom gives the next datagram that passes.
func (s *sifted) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := s.UDPConn.ReadFrom(b)
		if err != nil || s.sieve.passes(addrPort(from).Addr()) {
			return n, from, err
		}
	}
}
