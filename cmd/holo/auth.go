package main

import (
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
)

func authCommand(a *app) *cobra.Command {
	return group("auth", "Who you are, and why something is denied", authKeyCommand(a), authWhoamiCommand(a), authExplainCommand(a))
}

func authKeyCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "key", Short: "Show your public key, to have a role granted to it; where there is none it is made", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			public, err := holocompute.UserKey(holocompute.Options{Config: a.config})
			if err != nil {
				return err
			}
			return a.emit("Key", map[string]string{"key": public}, func(w *tabwriter.Writer) { row(w, public) })
		},
	}
}

func authWhoamiCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Show your key and what is granted to it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				self, err := c.WhoAmI(cmd.Context())
				if err != nil {
					return err
				}
				return a.emit("Self", self, func(w *tabwriter.Writer) {
					row(w, "key", self.Principal)
					row(w, "owner", yes(self.Owner))
					row(w)
					grantTable(w, self.Grants)
				})
			})
		},
	}
}

func authExplainCommand(a *app) *cobra.Command {
	var as, module string
	cmd := &cobra.Command{
		Use:   "explain ACTION [NAME]",
		Short: "Say whether an action is allowed, and what is missing if not",
		Long: "Say whether an action on an array or kernel is allowed, and what is missing if not. The actions are those of\n" +
			"`holo role list`; those about the cluster as a whole take no name.",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := strings.Join(args[1:], "")
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				e, err := c.Explain(cmd.Context(), args[0], name, module, as)
				if err != nil {
					return err
				}
				return a.emit("Explanation", e, func(w *tabwriter.Writer) {
					row(w, "allowed", yes(e.Allowed), strings.Join(e.Policies, " "))
					for _, m := range e.Missing {
						row(w, "missing", m)
					}
				})
			})
		},
	}
	cmd.Flags().StringVar(&as, "as", "", "the key of whom to ask about; takes AUDIT_READ (default: you)")
	cmd.Flags().StringVar(&module, "kernel", "", "COMPUTE: which kernel, by its name or its module's hash")
	return cmd
}
