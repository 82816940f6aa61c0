package node

import (
	"context"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// TestDeadBridgeIsNotTheFirstAddress: interfaces come in the system's order, a
// container bridge without a member first.
func TestDeadBridgeIsNotTheFirstAddress(t *testing.T) {
	t.Parallel()
	all := []local{{ip: ip("172.17.0.1")}, {ip: ip("2001:db8::5"), carrier: true}, {ip: ip("10.1.0.5"), carrier: true}, {ip: ip("192.0.2.5"), carrier: true, route: true}}
	want := []netip.Addr{ip("192.0.2.5"), ip("10.1.0.5"), ip("2001:db8::5"), ip("127.0.0.1")}
	if got := reachable(netip.IPv4Unspecified(), slices.Clone(all)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := reachable(ip("10.1.0.5"), all); !slices.Equal(got, []netip.Addr{ip("10.1.0.5")}) {
		t.Errorf("a node that listens on one address tells %v", got)
	}
	if got := reachable(netip.IPv6Unspecified(), nil); !slices.Equal(got, []netip.Addr{ip("127.0.0.1")}) {
		t.Errorf("a machine without interfaces: %v", got)
	}
}

func TestAllowedNetworksAreReadStrictly(t *testing.T) {
	t.Parallel()
	got, err := parseAllow([]string{"192.0.2.0/24", "10.0.0.7", "2001:db8::/32", "::1"})
	want := []string{"192.0.2.0/24", "10.0.0.7/32", "2001:db8::/32", "::1/128"}
	if err != nil || len(got) != len(want) {
		t.Fatalf("%v, %v", got, err)
	}
	for i := range got {
		if got[i].String() != want[i] {
			t.Errorf("%s, want %s", got[i], want[i])
		}
	}
	for _, bad := range []string{"", "any", "192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/-1", "example.org", "192.0.2.0/24,10.0.0.0/8", "::ffff:10.0.0.0/104", "0/0"} {
		if got, err := parseAllow([]string{bad}); err == nil {
			t.Errorf("%q is taken as %v", bad, got)
		}
	}
}

// TestListsAreRememberedAndKept: what a node listens on and whom it talks with
// outlive it, whatever the next start does not say.
func TestListsAreRememberedAndKept(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	c.kill(0)
	config := c.config(0)
	config.Listen, config.Also, config.Allow = "127.0.0.1:0", []string{"[::1]:0"}, []string{"127.0.0.0/8"}
	n, err := Start(context.Background(), config)
	must(t, err)
	addrs := n.addrs()
	must(t, n.Close())
	again, err := Start(context.Background(), c.config(0))
	must(t, err)
	defer again.Close()
	if len(addrs) != 2 || !slices.Equal(addrs, again.addrs()) || !slices.Equal(again.home.settings.Allow, config.Allow) {
		t.Errorf("it listened on %v and then on %v, and talks with %v", addrs, again.addrs(), again.home.settings.Allow)
	}
	config.Allow = []string{"everybody"}
	if _, err := Start(context.Background(), config); holo.KindOf(err) != holo.Invalid {
		t.Errorf("a list that is none: %v", err)
	}
}

// TestInviteWithDeadAddressesIsUsedAllTheSame: the first address swallows what
// is sent to it, the second refuses, the third is the node.
func TestInviteWithDeadAddressesIsUsedAllTheSame(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	invite := c.invite(time.Hour)
	hole := newStranger(t) // it answers, with a refusal
	invite.Addresses = append([]string{"198.51.100.1:7600", "127.0.0.1:9", hole.link.Addr().String()}, invite.Addresses...)
	dir, err := c.askToJoin("late", invite)
	must(t, err)
	settings, err := identity.ReadCluster(filepath.Join(dir, identity.ClusterFile))
	must(t, err)
	if settings.Listen != "" {
		t.Errorf("a node that joins over the loopback interface will listen on %q", settings.Listen)
	}
}
