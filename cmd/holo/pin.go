package main

import (
	"net/netip"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
)

// pinLine is one pin as it is shown.
type pinLine struct {
	Cluster     string   `json:"cluster"`
	Fingerprint string   `json:"fingerprint"`
	Owner       string   `json:"owner"`
	Addresses   []string `json:"addresses"`
	Default     bool     `json:"default"`
	Member      bool     `json:"member"` // the node of this machine is of it
}

func pinLineOf(p identity.Pin) pinLine {
	return pinLine{Cluster: p.Cluster.String(), Fingerprint: p.Fingerprint(), Owner: p.Owner.Hex(), Addresses: p.Addresses}
}

func (a *app) knownFile() string { return filepath.Join(a.config, identity.KnownFile) }

// ownPin is that of the cluster of this machine's node, if there is one.
func (a *app) ownPin() (identity.Pin, bool, error) {
	c, err := identity.ReadCluster(filepath.Join(a.dir, identity.ClusterFile))
	if err != nil && holo.KindOf(err) == holo.NotFound {
		return identity.Pin{}, false, nil
	}
	if err != nil {
		return identity.Pin{}, false, err
	}
	p := identity.Pin{Cluster: c.ID, Owner: c.Owner, Addresses: c.Advertise}
	if at, err := netip.ParseAddrPort(c.Listen); err == nil && len(p.Addresses) == 0 && !at.Addr().IsUnspecified() {
		p.Addresses = []string{c.Listen}
	}
	return p, true, nil
}

func pinShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Show the fingerprints of the clusters that are pinned, and of this machine's own",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			known, err := identity.ReadKnown(a.knownFile())
			if err != nil {
				return err
			}
			own, member, err := a.ownPin()
			if err != nil {
				return err
			}
			var lines []pinLine
			if member {
				line := pinLineOf(own)
				line.Member = true
				lines = append(lines, line)
			}
			for _, p := range known.Pins {
				line := pinLineOf(p)
				line.Default = p.Cluster == known.Default
				lines = append(lines, line)
			}
			return a.emit("PinList", listOf(lines), func(w *tabwriter.Writer) {
				row(w, "CLUSTER", "FINGERPRINT", "DEFAULT", "OURS", "ADDRESSES")
				for _, l := range lines {
					row(w, l.Cluster, l.Fingerprint, yes(l.Default), yes(l.Member), joinAddresses(l.Addresses))
				}
			})
		},
	}
}

func pinExport(a *app) *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:   "export [CLUSTER]",
		Short: "Print a pin as a text for holo cluster pin import",
		Long: "Print a pin as a text for `holo cluster pin import`: of the cluster named, else of this machine's own, else of the default.\n" +
			"It is no secret; pass it on where nobody changes it.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := a.pinNamed(args)
			if err != nil {
				return err
			}
			if at != "" {
				if p.Addresses, err = identity.SplitAddresses(at); err != nil {
					return err
				}
			}
			if len(p.Addresses) == 0 {
				return usage("export pin: the node of this machine has no address of its own yet, or listens everywhere: say --at host:port")
			}
			value := map[string]string{"pin": p.Text()}
			return a.emit("Pin", value, func(w *tabwriter.Writer) { row(w, p.Text()) })
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "host:port[,...] to name in it (default: what is known here)")
	return cmd
}

// pinNamed is the pin of a cluster, or the one that is meant when none is named.
func (a *app) pinNamed(args []string) (identity.Pin, error) {
	own, member, err := a.ownPin()
	if err != nil {
		return identity.Pin{}, err
	}
	if member && (len(args) == 0 || own.Cluster.String() == args[0]) {
		return own, nil
	}
	known, err := identity.ReadKnown(a.knownFile())
	if err != nil {
		return identity.Pin{}, err
	}
	id := known.Default
	if len(args) > 0 {
		if id, err = holo.ParseClusterID(args[0]); err != nil {
			return identity.Pin{}, err
		}
	}
	p, ok := known.Find(id)
	if !ok {
		return identity.Pin{}, holo.Errorf(holo.NotFound, "find pin: no such cluster is pinned here")
	}
	return p, nil
}

func pinImport(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "import PIN",
		Short: "Pin a cluster by the text that holo cluster pin export printed",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := a.pasted(args[0])
			if err != nil {
				return err
			}
			p, err := identity.ParsePin(text)
			if err != nil {
				return err
			}
			if err := identity.PrepareDir(a.config); err != nil {
				return err
			}
			if err := identity.ChangeKnown(a.knownFile(), func(k *identity.Known) error { return k.Put(p) }); err != nil {
				return err
			}
			return a.emit("Pin", pinLineOf(p), func(w *tabwriter.Writer) { row(w, p.Cluster, p.Fingerprint()) })
		},
	}
}

func pinRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove CLUSTER",
		Short: "Forget a cluster: the next contact with it is the first",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			id, err := holo.ParseClusterID(args[0])
			if err != nil {
				return err
			}
			if err := identity.PrepareDir(a.config); err != nil {
				return err
			}
			return identity.ChangeKnown(a.knownFile(), func(k *identity.Known) error { return k.Remove(id) })
		},
	}
}

func joinAddresses(addresses []string) string { return strings.Join(addresses, ",") }
