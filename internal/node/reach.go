package node

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
)

// maxAdvertised bounds the addresses that a node tells of itself.
const maxAdvertised = 4

// somewhere is an address outside of any network of ours (RFC 5737, for
// documentation): the way there is the way to most machines. Nothing is sent.
const somewhere = "192.0.2.1:9"

// local is an address of this machine, and what speaks for it.
type local struct {
	ip      netip.Addr
	carrier bool // its interface is up and has a link: an idle bridge has none
	route   bool // it is what the system would send from to most machines
}

// advertised is where others should look for this node, the likeliest first:
// it is the first that the others dial and that the status shows.
func (n *Node) advertised() []string {
	if len(n.home.settings.Advertise) > 0 {
		return n.home.settings.Advertise
	}
	var found []string
	for _, at := range n.transport.Addrs() {
		for _, ip := range reachable(at.Addr(), locals()) {
			found = append(found, netip.AddrPortFrom(ip, at.Port()).String())
		}
	}
	return found[:min(len(found), maxAdvertised)]
}

// reachable lists the addresses by which a socket bound to an address can be
// reached: itself, or for the unspecified address those of the interfaces, and
// the loopback address at the end.
func reachable(bound netip.Addr, all []local) []netip.Addr {
	if !bound.IsUnspecified() {
		return []netip.Addr{bound}
	}
	slices.SortStableFunc(all, func(a, b local) int {
		return cmp.Or(-compare(a.carrier, b.carrier), -compare(a.route, b.route), -compare(a.ip.Is4(), b.ip.Is4()))
	})
	var out []netip.Addr
	for _, l := range all {
		if len(out) < maxAdvertised-1 {
			out = append(out, l.ip)
		}
	}
	return append(out, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
}

func compare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// locals lists this machine's addresses other than loopback and link-local ones.
func locals() (all []local) {
	route := transport.SourceFor(context.Background(), somewhere)
	interfaces, _ := net.Interfaces() // none: the loopback address remains
	for _, i := range interfaces {
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			prefix, err := netip.ParsePrefix(a.String())
			if err != nil || !prefix.Addr().IsGlobalUnicast() {
				continue
			}
			ip := prefix.Addr().Unmap()
			all = append(all, local{ip: ip, carrier: i.Flags&net.FlagUp != 0 && i.Flags&net.FlagRunning != 0, route: ip == route})
		}
	}
	return all
}

// parseAllow reads the list of networks that a node talks with: CIDR blocks, or
// single addresses.
func parseAllow(list []string) ([]netip.Prefix, error) {
	prefixes := make([]netip.Prefix, 0, len(list))
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if ip, only := netip.ParseAddr(s); only == nil {
			p, err = ip.Prefix(ip.BitLen())
		}
		if err != nil || p.Masked() != p || p.Addr().Is4In6() {
			return nil, holo.Errorf(holo.Invalid, "allow %q: want a network such as 192.0.2.0/24, its host bits zero, or an address", s)
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, nil
}
