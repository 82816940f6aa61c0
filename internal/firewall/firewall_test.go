package firewall

import (
	"strings"
	"testing"
)

func TestRulesNameThePortAndTheMembersOnly(t *testing.T) {
	p, err := PlanOf([]string{"10.0.0.1:7600", "[2001:db8::1]:7600"}, []string{"10.0.0.3:9", "10.0.0.2:7600", "10.0.0.3:9", "[2001:db8::2]:7600"})
	if err != nil {
		t.Fatal(err)
	}
	const want = `table inet holo
delete table inet holo
table inet holo {
	chain input {
		type filter hook input priority filter; policy accept;
		udp dport != 7600 accept
		iif lo accept
		ip saddr { 10.0.0.2, 10.0.0.3 } udp dport 7600 accept
		ip6 saddr { 2001:db8::2 } udp dport 7600 accept
		udp dport 7600 drop
	}
	chain output {
		type filter hook output priority filter; policy accept;
		udp sport != 7600 accept
		oif lo accept
		ip daddr { 10.0.0.2, 10.0.0.3 } udp sport 7600 accept
		ip6 daddr { 2001:db8::2 } udp sport 7600 accept
		udp sport 7600 drop
	}
}
`
	if got, err := p.Print("nft"); err != nil || !strings.HasSuffix(got, want) {
		t.Errorf("%v\n%s", err, got)
	}
	iptables, err := p.Print("iptables")
	for _, line := range []string{
		"iptables -A HOLO-INPUT -s 10.0.0.2 -j RETURN\n", "iptables -A HOLO-OUTPUT -d 10.0.0.3 -j RETURN\n", "ip6tables -A HOLO-INPUT -s 2001:db8::2 -j RETURN\n",
		"\niptables -A HOLO-INPUT -j DROP\n", "iptables -I INPUT -p udp --dport 7600 -j HOLO-INPUT\n", "ip6tables -I OUTPUT -p udp --sport 7600 -j HOLO-OUTPUT\n",
	} {
		if err != nil || !strings.Contains(iptables, line) {
			t.Errorf("%q is missing, %v:\n%s", line, err, iptables)
		}
	}
	if strings.Contains(iptables, "iptables -A HOLO-INPUT -s 10.0.0.1 ") {
		t.Error("a node is let talk with itself from outside")
	}
}

func TestOneNodeLetsNobodyIn(t *testing.T) {
	p, err := PlanOf([]string{"0.0.0.0:7600"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range Formats {
		got, err := p.Print(format)
		if err != nil || strings.Contains(got, "addr {") || !strings.Contains(strings.ToLower(got), "drop") {
			t.Errorf("%s: %v\n%s", format, err, got)
		}
	}
}

func TestWhatIsNoAddressMakesNoRule(t *testing.T) {
	for _, c := range [][2][]string{
		{nil, nil},
		{{"10.0.0.1:7600", "10.0.0.2:7601"}, nil},
		{{"10.0.0.1:7600"}, {"example.org:7600"}},
		{{"10.0.0.1:7600"}, {"10.0.0.2; flush ruleset"}},
		{{"10.0.0.1"}, nil},
	} {
		if p, err := PlanOf(c[0], c[1]); err == nil {
			t.Errorf("%q make the plan %+v", c, p)
		}
	}
	if _, err := (Plan{Port: 1}).Print("pf"); err == nil {
		t.Error("a format that is none")
	}
}
