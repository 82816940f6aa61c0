package main

import (
	"context"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
)

func nodeDrain(a *app) *cobra.Command {
	var detach bool
	cmd := &cobra.Command{
		Use:   "drain NAME|ID",
		Short: "Have a node give what it holds to the others, before it is switched off",
		Long: "Have a node give what it holds to the others, each part copied before it is given up, and take no new work. It is\n" +
			"named by its name or its whole ID, and asked at that node (--dir, --address). It is refused where the others\n" +
			"cannot hold it all. The command waits until the node\n" +
			"holds nothing; with --detach it does not. `holo node undrain` takes it back.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				if err := c.Drain(cmd.Context(), args[0]); err != nil {
					return err
				}
				if !detach {
					if err := a.awaitDrain(cmd.Context(), c, args[0]); err != nil {
						return err
					}
				}
				return a.emitMember(cmd.Context(), c, args[0])
			})
		},
	}
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait until the node holds nothing")
	return cmd
}

func (a *app) awaitDrain(ctx context.Context, c *holocompute.Cluster, node string) error {
	var m *meter
	most := 0
	err := c.AwaitDrain(ctx, node, func(held int) {
		if m == nil {
			most = held
			m = a.meter("drain "+node, int64(held), countUnit)
		}
		m.at(int64(max(most-held, 0)))
	})
	if m != nil {
		m.end()
	}
	return err
}

func (a *app) emitMember(ctx context.Context, c *holocompute.Cluster, node string) error {
	m, err := c.Member(ctx, node)
	if err != nil {
		return err
	}
	return a.emit("Member", m, func(w *tabwriter.Writer) {
		row(w, "NODE", "NAME", "STATE", "SHARDS")
		row(w, short(m.ID), m.Name, m.State, m.Held)
	})
}

func nodeUndrain(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "undrain NAME|ID",
		Short: "Let a node that drains hold things again",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				if err := c.Undrain(cmd.Context(), args[0]); err != nil {
					return err
				}
				return a.emitMember(cmd.Context(), c, args[0])
			})
		},
	}
}

func nodeRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME|ID",
		Short: "Take a drained node out of the cluster for good",
		Long: "Take a drained node out of the cluster for good, named by its name or its whole ID. It needs the owner's key. Nothing is\n" +
			"lost by it: a node that still holds something is not removed. `holo node evict` removes one that cannot be drained.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				if err := c.Remove(cmd.Context(), args[0]); err != nil {
					return err
				}
				return a.emit("Removal", map[string]string{"removed": args[0]}, func(w *tabwriter.Writer) { row(w, "removed", args[0]) })
			})
		},
	}
}
