package main

import (
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
)

func clusterCommand(a *app) *cobra.Command {
	return group("cluster", "The cluster as a whole: decisions of its owner", clusterRekey(a))
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
