// Package firewall writes packet filter rules that let a node talk with the
// other nodes of its cluster and with nobody else: one UDP port, and the
// members' addresses, in both directions.
//
// It writes text for an operator to read and load, and changes nothing itself.
// A rule is a second line: a node authenticates every peer whether or not there
// is a firewall.
package firewall

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
)

// Plan is what the rules are about.
type Plan struct {
	Port    uint16       // the node's one UDP port
	Members []netip.Addr // of the other nodes
}

// PlanOf reads a node's own addresses and those of the other members, each
// host:port. All of its own have one port. A member that is known by a name has
// to be looked up first.
func PlanOf(own, others []string) (p Plan, err error) {
	for _, s := range own {
		at, err := netip.ParseAddrPort(s)
		if err != nil || p.Port != 0 && p.Port != at.Port() {
			return Plan{}, holo.Errorf(holo.Invalid, "plan firewall: this node listens on %q: want addresses with one port", s)
		}
		p.Port = at.Port()
	}
	if p.Port == 0 {
		return Plan{}, holo.Errorf(holo.Invalid, "plan firewall: this node listens nowhere")
	}
	for _, s := range others {
		at, err := netip.ParseAddrPort(s)
		if err != nil {
			return Plan{}, holo.Errorf(holo.Invalid, "plan firewall: a member is at %q: want an address and a port: give it one with holo agent --advertise", s)
		}
		p.Members = append(p.Members, at.Addr().Unmap().WithZone(""))
	}
	slices.SortFunc(p.Members, netip.Addr.Compare)
	p.Members = slices.Compact(p.Members)
	return p, nil
}

// Formats are the names of the formats that Print knows.
var Formats = []string{"nft", "iptables"}

// Print writes the rules. Loaded again they replace those loaded before.
func (p Plan) Print(format string) (string, error) {
	switch format {
	case "nft":
		return p.nft(), nil
	case "iptables":
		return p.iptables(), nil
	}
	return "", holo.Errorf(holo.Invalid, "print firewall as %q: want %s", format, strings.Join(Formats, " or "))
}

// of gives the members of one family, IPv4 or not.
func (p Plan) of(four bool) (addrs []string) {
	for _, a := range p.Members {
		if a.Is4() == four {
			addrs = append(addrs, a.String())
		}
	}
	return addrs
}

const head = "# HoloCompute: UDP port %d, for members of the cluster only (%d others known).\n" +
	"# Print again when a node joins or leaves. A machine that is to join must be let in before.\n"

// nft is for `nft -f -`. The table is of its own, so that it can be replaced
// and leaves everything else as it is.
func (p Plan) nft() string {
	var b strings.Builder
	fmt.Fprintf(&b, head, p.Port, len(p.Members))
	b.WriteString("table inet holo\ndelete table inet holo\ntable inet holo {\n")
	for _, way := range []struct{ hook, port, peer, local string }{
		{"input", "dport", "saddr", "iif"}, {"output", "sport", "daddr", "oif"},
	} {
		fmt.Fprintf(&b, "\tchain %s {\n\t\ttype filter hook %s priority filter; policy accept;\n", way.hook, way.hook)
		fmt.Fprintf(&b, "\t\tudp %s != %d accept\n\t\t%s lo accept\n", way.port, p.Port, way.local)
		if four := p.of(true); len(four) > 0 {
			fmt.Fprintf(&b, "\t\tip %s { %s } udp %s %d accept\n", way.peer, strings.Join(four, ", "), way.port, p.Port)
		}
		if six := p.of(false); len(six) > 0 {
			fmt.Fprintf(&b, "\t\tip6 %s { %s } udp %s %d accept\n", way.peer, strings.Join(six, ", "), way.port, p.Port)
		}
		fmt.Fprintf(&b, "\t\tudp %s %d drop\n\t}\n", way.port, p.Port)
	}
	b.WriteString("}\n")
	return b.String()
}

// iptables is for a shell. The rules are in chains of their own.
func (p Plan) iptables() string {
	var b strings.Builder
	fmt.Fprintf(&b, head, p.Port, len(p.Members))
	for _, family := range []struct {
		command string
		four    bool
	}{{"iptables", true}, {"ip6tables", false}} {
		for _, way := range []struct{ hook, port, peer, local string }{
			{"INPUT", "--dport", "-s", "-i"}, {"OUTPUT", "--sport", "-d", "-o"},
		} {
			chain := "HOLO-" + way.hook
			match := fmt.Sprintf("-p udp %s %d", way.port, p.Port)
			fmt.Fprintf(&b, "%s -N %s 2>/dev/null || %s -F %s\n", family.command, chain, family.command, chain)
			fmt.Fprintf(&b, "%s -A %s %s lo -j RETURN\n", family.command, chain, way.local)
			for _, a := range p.of(family.four) {
				fmt.Fprintf(&b, "%s -A %s %s %s -j RETURN\n", family.command, chain, way.peer, a)
			}
			fmt.Fprintf(&b, "%s -A %s -j DROP\n", family.command, chain)
			fmt.Fprintf(&b, "%s -C %s %s -j %s 2>/dev/null || %s -I %s %s -j %s\n", family.command, way.hook, match, chain, family.command, way.hook, match, chain)
		}
	}
	return b.String()
}
