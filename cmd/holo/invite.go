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
	cmd := &cobra.Command{
		Use:   "invite",
		Short: "Make an invite for one more machine",
		Long: "Make an invite for one more machine: a text to paste there into `holo join`.\n\n" +
			"Whoever has the text can join until it is used or expires, so pass it on in private.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if role == "none" {
				role = ""
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				text, err := c.InviteAs(cmd.Context(), expires, role)
				if err != nil {
					return err
				}
				a.note("good for one machine, for %s; there: holo join INVITE", expires)
				value := map[string]string{"invite": text}
				return a.emit("Invite", value, func(w *tabwriter.Writer) { row(w, text) })
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", "user", "what the user of that machine may do: one of holo role list, or none")
	cmd.Flags().DurationVar(&expires, "expires", time.Hour, "how long it is good for")
	return cmd
}
