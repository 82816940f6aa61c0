package remote

import (
	"context"
	"net/netip"
	"path/filepath"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
)

// Wanted says which cluster is meant, and who decides about a first contact.
type Wanted struct {
	Addresses   []string                      // host:port of nodes; empty: the default cluster of the folder
	Fingerprint string                        // of the cluster; "": what is pinned, or Trust
	Trust       func(fingerprint string) bool // decides about a first contact; nil: nobody does
}

// find gives the pin of the cluster that is wanted, its addresses in the order
// to try them. A cluster that is not pinned is asked who it is, and somebody
// must decide; first says so. It is not kept until a link has proven it.
func (d *dialler) find(ctx context.Context, config string, w Wanted) (pin identity.Pin, first bool, err error) {
	known, err := identity.ReadKnown(filepath.Join(config, identity.KnownFile))
	if err != nil {
		return identity.Pin{}, false, err
	}
	if len(w.Addresses) == 0 {
		pin, ok := known.Find(known.Default)
		if !ok {
			return identity.Pin{}, false, holo.Refuse(holo.NotFound, ReasonUnknownCluster, "connect: no cluster is remembered here")
		}
		return pin, false, agrees(pin, w)
	}
	for _, address := range w.Addresses {
		if pin, ok := known.At(address); ok {
			pin.Addresses = merge(w.Addresses, pin.Addresses)
			return pin, false, agrees(pin, w)
		}
	}
	return d.meet(ctx, known, w)
}

// agrees refuses a pinned cluster that is not the one whose fingerprint was
// given.
func agrees(pin identity.Pin, w Wanted) error {
	if w.Fingerprint != "" && !pin.Matches(w.Fingerprint) {
		return holo.Refuse(holo.Denied, identity.ReasonPinMismatch,
			"connect: the cluster that is pinned has the fingerprint %s, not the one given", pin.Fingerprint())
	}
	return nil
}

// meet asks who answers where no pinned cluster was found.
func (d *dialler) meet(ctx context.Context, known *identity.Known, w Wanted) (pin identity.Pin, first bool, err error) {
	for _, address := range w.Addresses {
		i, asked := d.ask(ctx, address)
		if err = silent(asked); err != nil {
			continue
		}
		pin = identity.Pin{Cluster: i.Cluster, Owner: i.Owner, Addresses: w.Addresses}
		if old, ok := known.Find(pin.Cluster); ok { // a new address of a cluster that is pinned, or its next owner
			old.Addresses = merge(w.Addresses, old.Addresses)
			return old, false, agrees(old, w)
		}
		if err := known.Check(pin); err != nil {
			return identity.Pin{}, false, err
		}
		return pin, true, decide(pin, address, w)
	}
	return identity.Pin{}, false, err
}

// decide is the first contact.
func decide(pin identity.Pin, address string, w Wanted) error {
	switch {
	case w.Fingerprint != "" && !pin.Matches(w.Fingerprint):
		return holo.Refuse(holo.Denied, identity.ReasonPinMismatch,
			"ALARM at %s: the cluster there has the fingerprint %s, not the one given; nothing was told to it", address, pin.Fingerprint())
	case w.Fingerprint == "" && (w.Trust == nil || !w.Trust(pin.Fingerprint())):
		return holo.Refuse(holo.Denied, ReasonUnknownCluster,
			"connect to %s: this would be the first contact with a cluster of fingerprint %s, and nobody says that it is the right one", address, pin.Fingerprint())
	}
	return nil
}

// elsewhere leaves out loopback addresses where there are others: a node that
// listens everywhere tells its own, which on this machine lead to somebody else.
func elsewhere(addresses []string) []string {
	var others []string
	for _, address := range addresses {
		if !loopback(address) {
			others = append(others, address)
		}
	}
	if len(others) == 0 {
		return addresses
	}
	return others
}

func loopback(address string) bool {
	at, err := netip.ParseAddrPort(address)
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// merge gives both lists as one, cut to what a pin can hold.
func merge(first, then []string) []string {
	all := slices.Clone(first)
	for _, address := range then {
		if !slices.Contains(all, address) {
			all = append(all, address)
		}
	}
	return all[:min(len(all), identity.MaxPinAddresses)]
}
