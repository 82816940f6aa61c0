package main

import (
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
)

func nodeCommand(a *app) *cobra.Command {
	return group("node", "Nodes: who belongs to the cluster", nodeList(a), nodeEvict(a))
}

func nodeList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the nodes that belong to the cluster",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				members, err := c.Members(cmd.Context())
				if err != nil {
					return err
				}
				return a.emit("Members", listOf(members), func(w *tabwriter.Writer) { memberTable(w, members) })
			})
		},
	}
}

func memberTable(w *tabwriter.Writer, members []holocompute.MemberInfo) {
	row(w, "NODE", "NAME", "STATE", "JOINED", "ADDRESS")
	for _, m := range members {
		row(w, short(m.ID), m.Name, m.State, time.Unix(m.Joined, 0).UTC().Format(time.DateTime), m.Address)
	}
}

func nodeEvict(a *app) *cobra.Command {
	var o holocompute.EvictOptions
	cmd := &cobra.Command{
		Use:   "evict NAME|ID",
		Short: "Remove a node from the cluster for good",
		Long: "Remove a node from the cluster for good, named by its name or its whole ID. It needs the owner's key.\n\n" +
			"The others repair what it held from their copies. Where it holds the last copy of something, nothing is done unless\n" +
			"--lose-data says so.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				if err := c.Evict(cmd.Context(), args[0], o); err != nil {
					return err
				}
				return a.emit("Eviction", map[string]string{"evicted": args[0]}, func(w *tabwriter.Writer) { row(w, "evicted", args[0]) })
			})
		},
	}
	cmd.Flags().BoolVar(&o.LoseData, "lose-data", false, "go on though the node holds the last copy of something")
	return cmd
}
