package main

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/node"
)

// agentFlags are the flags of commands that run a node.
type agentFlags struct {
	logLevel string
	parent   bool
	announce bool
	clients  bool
	policy   node.Policy

	isolation  string
	spill      string
	spillLimit bytesFlag
	scrubRate  bytesFlag
	moveRate   bytesFlag
}

func (f *agentFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.logLevel, "log", "warn", "what to log on the error stream: debug, info, warn or error")
	policyFlags(cmd, &f.policy)
	cmd.Flags().StringVar(&f.isolation, "isolation", "strongest", "of kernels: strongest that this system has, which status shows; or strict, to run none below full")
	cmd.Flags().Var(&f.moveRate, "move-rate", "bytes a second that go from node to node only to even out what they hold, while this node leads (default 32MiB)")
	cmd.Flags().StringVar(&f.spill, "spill", "", "folder of this node's own for pages that do not fit into memory, encrypted (default: none)")
	cmd.Flags().Var(&f.spillLimit, "spill-limit", "bytes of files in that folder, at least 32MiB; three quarters hold pages")
	cmd.Flags().Var(&f.scrubRate, "scrub-rate", "bytes per second of this node's pages that are read again to find damage, at least 64KiB (default 4MiB)")
	cmd.Flags().BoolVar(&f.announce, "announce", false, "tell who holds an invite and asks in the local network where this node is")
	cmd.Flags().BoolVar(&f.clients, "clients", false, "let clients of other machines in where the node listens (remembered; --clients=false ends it)")
	cmd.Flags().BoolVar(&f.parent, "exit-with-parent", false, "end when standard input ends")
}

// letIn is whether clients of other machines are let in, nil where the command
// line does not say.
func (f *agentFlags) letIn(cmd *cobra.Command) *bool {
	if !cmd.Flags().Changed("clients") {
		return nil
	}
	return &f.clients
}

// policyFlags are those about the protocols of links.
func policyFlags(cmd *cobra.Command, p *node.Policy) {
	cmd.Flags().StringVar(&p.PostQuantum, "post-quantum", "require", "hybrid key exchange of links: require, prefer or off; nodes that require it refuse the others")
	cmd.Flags().StringVar(&p.Cipher, "cipher", "", "cipher of links: aes or xchacha (default: either, aes first)")
}

func (a *app) logger(level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, usage("log level %q: want debug, info, warn or error", level)
	}
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: l})), nil
}

// strict reports whether only full isolation will do, and checks that the flags
// agree.
func (f *agentFlags) strict() (bool, error) {
	if (f.spill == "") != (f.spillLimit == 0) {
		return false, usage("--spill and --spill-limit go together: a folder, and how many bytes may lie there")
	}
	switch f.isolation {
	case "strongest", "strict":
		return f.isolation == "strict", nil
	}
	return false, usage("isolation %q: want strongest or strict", f.isolation)
}

func agentCommand(a *app) *cobra.Command {
	var n nodeFlags
	var f agentFlags
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Run the node of this machine until it is interrupted",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := a.logger(f.logLevel)
			if err != nil {
				return err
			}
			strict, err := f.strict()
			if err != nil {
				return err
			}
			listen, also := n.at()
			return a.runNode(cmd.Context(), f, node.Config{
				Dir: a.dir, Listen: listen, Also: also, Allow: n.allow, Advertise: n.advertise, MemoryBytes: uint64(n.memory), Socket: a.socket,
				Policy: f.policy, Logger: log, Keys: a.keys(), Announce: f.announce, StrictIsolation: strict, Clients: f.letIn(cmd),
				SpillDir: f.spill, SpillLimit: uint64(f.spillLimit), ScrubRate: uint64(f.scrubRate), MoveRate: uint64(f.moveRate),
			})
		},
	}
	n.add(cmd)
	_ = cmd.Flags().MarkHidden("name") // a node that exists has its name
	f.add(cmd)
	return cmd
}

// runNode runs a node until the context ends, or the parent does.
func (a *app) runNode(ctx context.Context, f agentFlags, c node.Config) error {
	limitMemory(c.MemoryBytes)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if f.parent {
		a.followParent(cancel)
	}
	n, err := node.Start(ctx, c)
	if err != nil {
		return err
	}
	clients := c.Socket
	if n.LetsClientsIn() {
		clients += " and " + n.Addr()
	}
	a.note("holo: node %s of cluster %s is ready: nodes %s, clients %s", short(n.Self().Hex()), n.Cluster(), n.Addr(), clients)
	select {
	case <-ctx.Done():
	case <-n.Over():
	}
	return errors.Join(n.Cause(), n.Close())
}

var errParentGone = errors.New("standard input ended")

// followParent cancels when standard input ends: the other end of the pipe was
// the parent's, and the system closes it however the parent died.
func (a *app) followParent(cancel context.CancelCauseFunc) {
	background(func() {
		_, err := io.Copy(io.Discard, a.in)
		cancel(errors.Join(errParentGone, err))
	})
}

func joinCommand(a *app) *cobra.Command {
	var n nodeFlags
	var f agentFlags
	var noRun bool
	var addresses []string
	cmd := &cobra.Command{
		Use:   "join INVITE",
		Short: "Join this machine to a cluster, and run its node",
		Long: "Join this machine to a cluster with an invite that `holo invite` made there, and run its node. With - the invite is\n" +
			"read from standard input, where the list of processes does not show it.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			log, err := a.logger(f.logLevel)
			if err != nil {
				return err
			}
			strict, err := f.strict()
			if err != nil {
				return err
			}
			invite, err := a.pasted(args[0])
			if err != nil {
				return err
			}
			listen, also := n.at()
			c, err := node.Join(cmd.Context(), node.JoinConfig{
				Dir: a.dir, ConfigDir: a.config, Invite: invite, Addresses: addresses, NodeName: n.name,
				Listen: listen, Also: also, Allow: n.allow, Advertise: n.advertise, MemoryBytes: uint64(n.memory), Policy: f.policy, Logger: log, Keys: a.keys(),
				Waiting: func(have, need int) {
					a.note("holo: waiting for votes: %d of %d; there: holo node approve", have, need)
				},
			})
			if err != nil {
				return holo.Errorf(holo.KindOf(err), "join: %w", err)
			}
			if err := a.emitBelonging(c); err != nil || noRun {
				return err
			}
			return a.runNode(cmd.Context(), f, node.Config{
				Dir: a.dir, Listen: listen, Also: also, Allow: n.allow, Advertise: n.advertise, MemoryBytes: uint64(n.memory), Socket: a.socket,
				Policy: f.policy, Logger: log, Keys: a.keys(), Announce: f.announce, StrictIsolation: strict, Clients: f.letIn(cmd),
				SpillDir: f.spill, SpillLimit: uint64(f.spillLimit), ScrubRate: uint64(f.scrubRate), MoveRate: uint64(f.moveRate),
			})
		},
	}
	n.add(cmd)
	f.add(cmd)
	cmd.Flags().StringSliceVar(&addresses, "address", nil, "host:port of a node of the cluster, to try before those of the invite")
	cmd.Flags().BoolVar(&noRun, "no-run", false, "join only; run it later with holo agent")
	return cmd
}

// maxPasted bounds what is read of standard input.
const maxPasted = 4 << 10

// pasted is the argument, or with "-" what standard input holds.
func (a *app) pasted(arg string) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	b, err := io.ReadAll(io.LimitReader(a.in, maxPasted))
	if err != nil {
		return "", holo.Errorf(holo.Internal, "read standard input: %w", err)
	}
	return string(b), nil
}
