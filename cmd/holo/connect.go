package main

import (
	"context"
	"errors"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/identity"
)

// farFlags say which cluster on other machines is meant.
type farFlags struct {
	address string // host:port[,host:port...]
	pin     string // fingerprint
	pinned  bool   // no first contact
}

func (f *farFlags) add(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.address, "address", "", "host:port[,...] of nodes on other machines (HOLO_ADDRESS)")
	flags.StringVar(&f.pin, "pin", "", "fingerprint that the cluster on other machines must have")
	flags.BoolVar(&f.pinned, "pinned", false, "connect only to clusters that are pinned, on a terminal too")
}

// firstContact shows whom this machine trusts from now on.
func (a *app) firstContact(fingerprint string) bool {
	a.note("first contact: this cluster has the fingerprint\n\n    %s\n\nand is pinned from now on; compare with `holo cluster pin show` on a machine of the cluster", fingerprint)
	return true
}

// connection is what connect prints.
type connection struct {
	Cluster     string `json:"cluster"`
	Fingerprint string `json:"fingerprint"`
	Node        string `json:"node"` // that answers
}

func connectCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "connect INVITE|ADDRESS",
		Short: "Use a cluster on other machines from this one",
		Long: "Use a cluster on other machines from this one, which is no node. An invite that `holo invite --client` made there lets\n" +
			"you in; with an address you must be known already. With - either is read from standard input, where the list of\n" +
			"processes does not show it. Afterwards every command goes to that cluster, unless a flag or the environment says\n" +
			"otherwise.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := a.pasted(args[0])
			if err != nil {
				return err
			}
			c, err := a.connectTo(cmd.Context(), text)
			if err != nil {
				return err
			}
			return errors.Join(a.emitConnection(cmd.Context(), c), c.Close())
		},
	}
}

// connectTo enrols by an invite, or goes to an address, and remembers.
func (a *app) connectTo(ctx context.Context, text string) (*holocompute.Cluster, error) {
	o, err := a.options()
	if err != nil {
		return nil, err
	}
	o.Socket, o.Address = "", ""
	if identity.IsClientInvite(text) {
		if _, err := holocompute.Enrol(ctx, o, text); err != nil {
			return nil, err
		}
		return a.connectDefault(ctx, o)
	}
	if err := identity.PrepareDir(a.config); err != nil {
		return nil, err
	}
	if _, err := a.keys().SignerAt(filepath.Join(a.config, identity.UserKeyFile)); err != nil {
		return nil, err
	}
	o.Address = text
	c, err := holocompute.Connect(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := c.Remember(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// connectDefault goes to the cluster that was remembered a moment ago, whatever
// the environment says.
func (a *app) connectDefault(ctx context.Context, o holocompute.Options) (*holocompute.Cluster, error) {
	known, err := identity.ReadKnown(filepath.Join(a.config, identity.KnownFile))
	if err != nil {
		return nil, err
	}
	if pin, ok := known.Find(known.Default); ok {
		o.Address = joinAddresses(pin.Addresses)
	}
	return holocompute.Connect(ctx, o)
}

func (a *app) emitConnection(ctx context.Context, c *holocompute.Cluster) error {
	s, err := c.Status(ctx)
	if err != nil {
		return err
	}
	v := connection{Cluster: s.Cluster, Fingerprint: c.Fingerprint(), Node: s.Node}
	return a.emit("Connection", v, func(w *tabwriter.Writer) {
		row(w, "CLUSTER", "FINGERPRINT", "NODE")
		row(w, v.Cluster, v.Fingerprint, short(v.Node))
	})
}
