package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
)

func barrierCommand(a *app) *cobra.Command {
	var parties int
	var wait time.Duration
	var reset bool
	cmd := &cobra.Command{
		Use:   "barrier NAME",
		Short: "Wait until a number of commands, on any machines, have come to the same point",
		Long: "Wait until so many parties have run this with the same name, and end then; the next that run it meet anew.\n" +
			"Where not all come within the time of one of them, all end with exit code 5, and so does whoever comes later,\n" +
			"until --reset. The barrier lies in an array of its name, which the first party makes.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reset && parties != 0 {
				return holo.Errorf(holo.Invalid, "barrier %s: --reset needs no --parties", args[0])
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				if reset {
					return c.ResetBarrier(cmd.Context(), args[0])
				}
				return c.Barrier(cmd.Context(), args[0], parties, wait)
			})
		},
	}
	cmd.Flags().IntVar(&parties, "parties", 0, "how many must come, this one included")
	cmd.Flags().DurationVar(&wait, "timeout", time.Minute, "how long to wait for the others")
	cmd.Flags().BoolVar(&reset, "reset", false, "make a barrier that broke one at which nobody has arrived")
	return cmd
}
