package main

import (
	"runtime"
	"runtime/debug"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/protocol"
)

func versionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print what this binary is",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := map[string]string{
				"version": "devel", "revision": "", "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
				"api": apiVersion, "protocol": protocol.Spoken().String(), "kernel_abi": "holo/1", "gas": module.Version,
			}
			if info, ok := debug.ReadBuildInfo(); ok {
				v["version"] = info.Main.Version
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						v["revision"] = s.Value
					}
				}
			}
			return a.emit("Version", v, func(w *tabwriter.Writer) {
				for _, k := range []string{"version", "revision", "go", "platform", "api", "protocol", "kernel_abi", "gas"} {
					row(w, k, v[k])
				}
			})
		},
	}
}
