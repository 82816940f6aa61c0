package discover

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/holocompute/holocompute/internal/holo"
)

// ReasonNobody is that of a search to which nobody answered.
const ReasonNobody = "not_discovered"

const (
	// Patience is how long a search takes at most.
	Patience = 5 * time.Second
	// gather is how long further answers are waited for after the first.
	gather     = 300 * time.Millisecond
	askEvery   = time.Second
	maxAnswers = 16
)

// Find asks in all networks that this machine is on for nodes of a cluster, and
// gives where they say that they are.
func Find(ctx context.Context, cluster holo.ClusterID) ([]netip.AddrPort, error) {
	conn, err := net.ListenPacket("udp4", ":0")
	if err != nil {
		return nil, holo.Refuse(holo.Unavailable, ReasonNobody, "search the local network: %w", err)
	}
	defer conn.Close()
	s := &search{conn: conn, packets: ipv4.NewPacketConn(conn), cluster: cluster}
	rand.Read(s.nonce[:])
	if err := s.packets.SetMulticastTTL(1); err != nil {
		return nil, holo.Refuse(holo.Unavailable, ReasonNobody, "search the local network: %w", err)
	}
	return s.run(ctx)
}

var errNoNetwork = errors.New("this machine is on no network that carries multicast")

type search struct {
	conn    net.PacketConn
	packets *ipv4.PacketConn
	cluster holo.ClusterID
	nonce   nonce
	found   []netip.AddrPort
}

func (s *search) run(ctx context.Context) ([]netip.AddrPort, error) {
	end := time.Now().Add(Patience)
	sent := 0
	for now := time.Now(); now.Before(end) && ctx.Err() == nil; now = time.Now() {
		n, err := s.ask()
		if sent += n; sent == 0 {
			return nil, holo.Refuse(holo.Unavailable, ReasonNobody, "search the local network: no question could be sent: %w", err)
		}
		until := now.Add(askEvery)
		if until.After(end) {
			until = end
		}
		if s.listen(until) {
			s.listen(time.Now().Add(gather))
			return s.found, nil
		}
	}
	return nil, holo.Refuse(holo.Unavailable, ReasonNobody, "search the local network: nobody answered %d questions within %s: multicast is blocked, or no node runs with --announce", sent, Patience)
}

// ask sends the question once into each network. The error is the last one.
func (s *search) ask() (sent int, err error) {
	err = errNoNetwork
	for _, i := range multicast() {
		one := s.packets.SetMulticastInterface(&i)
		if one == nil {
			_, one = s.conn.WriteTo(question(s.cluster, s.nonce), net.UDPAddrFromAddrPort(Group))
		}
		if one == nil {
			sent++
			continue
		}
		err = one
	}
	return sent, err
}

// listen takes answers, and reports whether there was one.
func (s *search) listen(until time.Time) bool {
	s.conn.SetReadDeadline(until)
	before := len(s.found)
	b := make([]byte, questionSize)
	for len(s.found) < maxAnswers {
		n, from, err := s.conn.ReadFrom(b)
		if err != nil { // the time is over
			break
		}
		udp, ok := from.(*net.UDPAddr)
		port, valid := portOf(b[:n], s.cluster, s.nonce)
		if !ok || !valid {
			continue
		}
		at := netip.AddrPortFrom(udp.AddrPort().Addr().Unmap(), port)
		if !slices.Contains(s.found, at) {
			s.found = append(s.found, at)
		}
		if before == 0 {
			return true
		}
	}
	return len(s.found) > before
}

// multicast lists the networks that can carry a question.
func multicast() (out []net.Interface) {
	all, _ := net.Interfaces() // none: no question is sent, which is told
	for _, i := range all {
		if i.Flags&net.FlagUp != 0 && i.Flags&net.FlagMulticast != 0 && i.Flags&net.FlagLoopback == 0 {
			out = append(out, i)
		}
	}
	return out
}
