package main

import (
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
)

func grantCommand(a *app) *cobra.Command {
	return group("grant", "Say who may do what", grantAddCommand(a), grantListCommand(a), grantRevokeCommand(a))
}

// grantFlags are a grant's scope on the command line.
type grantFlags struct {
	grant holocompute.Grant
	bytes bytesFlag
	lasts time.Duration
}

func grantAddCommand(a *app) *cobra.Command {
	var f grantFlags
	cmd := &cobra.Command{
		Use:   "add KEY ROLE",
		Short: "Grant a role to a key",
		Long: "Grant a role to a key: the public key that `holo auth key` shows there; with - it is read from\n" +
			"standard input. It is signed by the owner's key where that is in the configuration folder, else by yours, which can\n" +
			"grant no more than it holds.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := a.pasted(args[0])
			if err != nil {
				return err
			}
			f.grant.Principal, f.grant.Role = strings.TrimSpace(key), args[1]
			f.grant.Scope.MaxBytes = uint64(f.bytes)
			if f.lasts > 0 {
				f.grant.Scope.NotAfter = time.Now().Add(f.lasts)
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				g, err := c.AddGrant(cmd.Context(), f.grant)
				if err != nil {
					return err
				}
				return a.emitGrants([]holocompute.Grant{*g})
			})
		},
	}
	s := &f.grant.Scope
	cmd.Flags().StringVar(&s.Under, "under", "", "only arrays and kernels of this name, or whose names go on from it after a /")
	cmd.Flags().StringVar(&s.Module, "module", "", "runner, analyst: only the module with this hash")
	cmd.Flags().StringSliceVar(&s.Nodes, "node", nil, "only in calls to this node (its whole ID; may be repeated)")
	cmd.Flags().Var(&f.bytes, "amount", "allocator, user: what their arrays may take, all copies together, such as 256MiB")
	cmd.Flags().DurationVar(&f.lasts, "for", 0, "how long it is good for, such as 24h (default: no end)")
	cmd.Flags().BoolVar(&f.grant.Release, "release", false, "analyst: may read what is computed")
	cmd.Flags().StringVar(&f.grant.Label, "label", "", "a name for people")
	return cmd
}

func grantListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List all grants", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				list, err := c.Grants(cmd.Context())
				if err != nil {
					return err
				}
				return a.emitGrants(list)
			})
		},
	}
}

func grantRevokeCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "revoke NUMBER", Short: "End a grant; what it opened is closed within 3 s", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil {
				return usage("revoke grant %q: want its number, as holo grant list shows it", args[0])
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				g, err := c.RevokeGrant(cmd.Context(), id)
				if err != nil {
					return err
				}
				return a.emitGrants([]holocompute.Grant{*g})
			})
		},
	}
}

func (a *app) emitGrants(list []holocompute.Grant) error {
	return a.emit("GrantList", listOf(list), func(w *tabwriter.Writer) { grantTable(w, list) })
}

func grantTable(w *tabwriter.Writer, list []holocompute.Grant) {
	row(w, "GRANT", "LABEL", "ROLE", "WITHIN", "KEY", "BY")
	for i := range list {
		g := &list[i]
		row(w, g.ID, g.Label, g.Role, within(g), g.Principal, short(g.By))
	}
}

// within is a scope in a few words.
func within(g *holocompute.Grant) string {
	var words []string
	s := &g.Scope
	if s.Under != "" {
		words = append(words, "under "+s.Under)
	}
	if s.Module != "" {
		words = append(words, "module "+short(s.Module))
	}
	for _, n := range s.Nodes {
		words = append(words, "at "+short(n))
	}
	if s.MaxBytes > 0 {
		words = append(words, size(s.MaxBytes))
	}
	if !s.NotAfter.IsZero() {
		words = append(words, "until "+s.NotAfter.Format(time.RFC3339))
	}
	if g.Release {
		words = append(words, "released")
	}
	if len(words) == 0 {
		return "everything"
	}
	return strings.Join(words, ", ")
}
