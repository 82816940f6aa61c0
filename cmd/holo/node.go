package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
)

func nodeCommand(a *app) *cobra.Command {
	return group("node", "Nodes: who belongs to the cluster", nodeList(a), nodeApprove(a), nodeDrain(a), nodeUndrain(a), nodeRemove(a), nodeEvict(a))
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
				pending, votes, err := c.Pending(cmd.Context())
				if err != nil {
					return err
				}
				value := membership{Items: members, Pending: listOf(pending).Items, Votes: votes}
				return a.emit("Members", value, func(w *tabwriter.Writer) { memberTable(w, &value) })
			})
		},
	}
}

// membership is what node list prints.
type membership struct {
	Items   []holocompute.MemberInfo  `json:"items"`
	Pending []holocompute.PendingInfo `json:"pending"` // wait for votes
	Votes   int                       `json:"votes"`   // that an admission needs; 0: the owner's invite is enough
}

func memberTable(w *tabwriter.Writer, m *membership) {
	row(w, "NODE", "NAME", "STATE", "SINCE", "ADDRESS")
	for _, n := range m.Items {
		row(w, short(n.ID), n.Name, n.State, time.Unix(n.Joined, 0).UTC().Format(time.DateTime), n.Address)
	}
	for _, p := range m.Pending {
		row(w, short(p.ID), p.Name, "pending", fmt.Sprintf("%d of %d votes", p.Have, p.Need), "-")
	}
}

func nodeApprove(a *app) *cobra.Command {
	var owner bool
	cmd := &cobra.Command{
		Use:   "approve NAME|ID",
		Short: "Vote for a node that waits to join",
		Long: "Vote for a node that waits to join, named by its name or its whole ID. The node on this machine votes, with its key;\n" +
			"with --owner the owner does. `holo node list` shows who waits.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				v, err := c.Approve(cmd.Context(), args[0], owner)
				if err != nil {
					return err
				}
				return a.emit("Approval", v, func(w *tabwriter.Writer) {
					if v.Admitted {
						row(w, "admitted", args[0])
						return
					}
					row(w, "pending", args[0], fmt.Sprintf("%d of %d votes", v.Have, v.Need))
				})
			})
		},
	}
	cmd.Flags().BoolVar(&owner, "owner", false, "vote as the owner, with the owner's key")
	return cmd
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
