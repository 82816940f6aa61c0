package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute/internal/demo"
	"github.com/holocompute/holocompute/internal/holo"
)

func demoCommand(a *app) *cobra.Command {
	var o demo.Options
	var memory bytesFlag
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show what HoloCompute does: real nodes, real data, one node killed, attacks refused",
		Long: "Show what HoloCompute does.\n\n" +
			"Three nodes are started on the loopback interface as processes of their own, with real flights in their memory; a kernel\n" +
			"computes where the flights lie, and one node is killed in the middle. Then clusters of two and of one give the same answer,\n" +
			"and attacks are refused. Nothing is left behind; the exit code is not 0 when any promise fails.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return holo.Errorf(holo.Internal, "find this program's file: %w", err)
			}
			o.Holo, o.Memory = self, uint64(memory)
			if a.output == "json" {
				report, err := demo.Run(cmd.Context(), o)
				return errors.Join(err, a.emitJSON("Demo", report))
			}
			o.Out = a.out
			_, err = demo.Run(cmd.Context(), o)
			return err
		},
	}
	cmd.Flags().StringVar(&o.Full, "full", "", "a Parquet or Arrow file with the flights, instead of the 200,000 built in")
	cmd.Flags().StringVar(&o.Mark, "mark", "", "a text to put into array names, array data and kernel arguments, for a capture to look for")
	cmd.Flags().Var(&memory, "memory", "page memory of each node (default 512MiB)")
	return cmd
}
