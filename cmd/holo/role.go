package main

import (
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
)

func roleCommand(a *app) *cobra.Command {
	return group("role", "What each role may do", roleListCommand(a), roleShowCommand(a))
}

func roleListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the roles", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.emitRoles(holocompute.Roles()) },
	}
}

func roleShowCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "show ROLE", Short: "Show one role", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			for _, r := range holocompute.Roles() {
				if r.Name == args[0] {
					return a.emitRoles([]holocompute.Role{r})
				}
			}
			return holo.Errorf(holo.NotFound, "show role %s: there is no such role", args[0])
		},
	}
}

func (a *app) emitRoles(roles []holocompute.Role) error {
	return a.emit("RoleList", listOf(roles), func(w *tabwriter.Writer) {
		row(w, "ROLE", "MAY", "MEANS")
		for _, r := range roles {
			row(w, r.Name, strings.Join(r.Actions, " "), r.Means)
		}
	})
}
