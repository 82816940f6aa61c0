package main

import (
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
)

func inviteCommand(a *app) *cobra.Command {
	var expires time.Duration
	var role string
	var client bool
	cmd := &cobra.Command{
		Use:   "invite",
		Short: "Make an invite for one more machine",
		Long: "Make an invite for one more machine: a text to paste there into `holo join`, or with --client into `holo connect`,\n" +
			"if it is to use the cluster without being a node of it.\n\n" +
			"Whoever has the text can join until it is used or expires, so pass it on in private.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if role == "none" {
				role = ""
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				make, then := c.InviteAs, "join"
				if client {
					make, then = c.InviteClient, "connect"
				}
				text, err := make(cmd.Context(), expires, role)
				if err != nil {
					return err
				}
				a.note("good for one machine, for %s; there: holo %s INVITE", expires, then)
				value := map[string]string{"invite": text}
				return a.emit("Invite", value, func(w *tabwriter.Writer) { row(w, text) })
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", "user", "what the user of that machine may do: one of holo role list, or none")
	cmd.Flags().BoolVar(&client, "client", false, "for a machine that is to be no node")
	cmd.Flags().DurationVar(&expires, "expires", time.Hour, "how long it is good for")
	return cmd
}
