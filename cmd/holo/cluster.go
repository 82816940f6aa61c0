package main

import (
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
)

func clusterCommand(a *app) *cobra.Command {
	return group("cluster", "The cluster as a whole: decisions of its owner, and which clusters this machine knows",
		clusterRekey(a), clusterPolicy(a),
		group("pin", "Whom this machine takes for which cluster", pinShow(a), pinExport(a), pinImport(a), pinRemove(a)))
}

func clusterRekey(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "rekey",
		Short: "Replace the key that the nodes share",
		Long: "Replace the key that the nodes share, and wait until the old one opens nothing any more. It needs the owner's key.\n\n" +
			"Work goes on meanwhile. An eviction does this by itself.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				epoch, err := c.Rekey(cmd.Context())
				if err != nil {
					return err
				}
				return a.emit("ClusterKey", map[string]uint64{"epoch": epoch}, func(w *tabwriter.Writer) { row(w, "cluster key", epoch) })
			})
		},
	}
}

func clusterPolicy(a *app) *cobra.Command {
	var votes int
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Say how many votes an admission needs",
		Long: "Say how many votes of members, or of the owner, an admission needs besides an invite. With 0 the invite is enough.\n" +
			"It needs the owner's key.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				if err := c.SetPolicy(cmd.Context(), votes); err != nil {
					return err
				}
				return a.emit("Policy", map[string]int{"votes": votes}, func(w *tabwriter.Writer) { row(w, "votes for an admission", votes) })
			})
		},
	}
	cmd.Flags().IntVar(&votes, "votes", 0, "votes that an admission needs, at most 7")
	_ = cmd.MarkFlagRequired("votes")
	return cmd
}
