package discover

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/holocompute/holocompute/internal/holo"
)

// maxRate bounds the answers of a node, per second: a stranger can make it send
// this much and no more.
const maxRate = 10

// Responder answers questions about a cluster. It says nothing by itself.
type Responder struct {
	Cluster holo.ClusterID
	Port    uint16
	// Answers decides whom to answer, by address. Nil: everybody.
	Answers func(netip.Addr) bool

	packets *ipv4.PacketConn
	joined  map[int]bool // interfaces
	spent   int          // answers in the second that began at since
	since   time.Time
}

// Open joins the group in the networks of the given addresses of this machine,
// all of them where one is unspecified.
func (r *Responder) Open(at []netip.Addr) error {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(Group)) // on all addresses, shared with other nodes
	if err != nil {
		return holo.Errorf(holo.Unavailable, "listen for questions on %s: %w", Group, err)
	}
	r.packets, r.joined = ipv4.NewPacketConn(conn), map[int]bool{}
	if err := r.packets.SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true); err != nil {
		conn.Close()
		return holo.Errorf(holo.Unavailable, "listen for questions on %s: %w", Group, err)
	}
	for _, i := range multicast() {
		if holds(i, at) && r.packets.JoinGroup(&i, net.UDPAddrFromAddrPort(Group)) == nil {
			r.joined[i.Index] = true
		}
	}
	if len(r.joined) == 0 {
		conn.Close()
		return holo.Errorf(holo.Invalid, "listen for questions on %s: the node listens in no network that carries them: give it --listen", Group)
	}
	return nil
}

func holds(i net.Interface, at []netip.Addr) bool {
	addrs, _ := i.Addrs()
	return slices.ContainsFunc(at, func(a netip.Addr) bool {
		return a.IsUnspecified() || slices.ContainsFunc(addrs, func(b net.Addr) bool {
			p, err := netip.ParsePrefix(b.String())
			return err == nil && p.Addr().Unmap() == a
		})
	})
}

// Serve answers until the context is done. Open must have been called.
func (r *Responder) Serve(ctx context.Context) {
	defer context.AfterFunc(ctx, func() { r.packets.Close() })()
	defer r.packets.Close()
	b := make([]byte, questionSize+1)
	for {
		n, way, from, err := r.packets.ReadFrom(b)
		if err != nil {
			return
		}
		udp, ok := from.(*net.UDPAddr)
		if !ok || !r.asked(way) {
			continue
		}
		if answer := r.reply(b[:n], udp.AddrPort().Addr().Unmap(), time.Now()); answer != nil {
			r.packets.WriteTo(answer, nil, from) // lost like any datagram: the question is asked again
		}
	}
}

// asked reports whether a datagram came to the group, in a network that was
// joined: the socket is given others, too.
func (r *Responder) asked(way *ipv4.ControlMessage) bool {
	return way != nil && r.joined[way.IfIndex] && way.Dst.Equal(Group.Addr().AsSlice())
}

// reply is what an address gets for a datagram, nil for nothing.
func (r *Responder) reply(b []byte, from netip.Addr, now time.Time) []byte {
	if r.Answers != nil && !r.Answers(from) {
		return nil
	}
	answer := answerTo(b, r.Cluster, r.Port)
	if answer == nil {
		return nil
	}
	if now.Sub(r.since) >= time.Second {
		r.since, r.spent = now, 0
	}
	if r.spent++; r.spent > maxRate {
		return nil
	}
	return answer
}
