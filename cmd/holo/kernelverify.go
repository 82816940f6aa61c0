package main

import (
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
)

const kernelVerifyLong = `Check a module as a node would, and that it is the cluster's kernel of that name, byte for byte: what was built here is what runs
there. A module's name is the SHA-256 of its bytes, which every node checks before it runs one.`

func kernelVerify(a *app) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Compare a module with the cluster's kernel of its name",
		Long:  kernelVerifyLong,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			wasm, err := readModule(args[0])
			if err != nil {
				return err
			}
			m, err := module.Admit(wasm)
			if err != nil {
				return holo.Errorf(holo.KindOf(err), "verify %s: %w", args[0], err)
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				k, err := sameKernel(cmd, c, args[0], kernelName(name, args[0]), m)
				if err != nil {
					return err
				}
				return a.emit("Kernel", k, func(w *tabwriter.Writer) { kernelTable(w, k) })
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the kernel's name (default: the file's, without .wasm)")
	return cmd
}

// kernelName is the name that a file's kernel has where none is given.
func kernelName(name, file string) string {
	if name != "" {
		return name
	}
	return strings.TrimSuffix(filepath.Base(strings.TrimPrefix(file, samplePrefix)), ".wasm")
}

// sameKernel is the cluster's kernel of a name, if it is that module.
func sameKernel(cmd *cobra.Command, c *holocompute.Cluster, file, name string, m *module.Module) (holocompute.Kernel, error) {
	ks, err := c.Kernels(cmd.Context())
	if err != nil {
		return holocompute.Kernel{}, err
	}
	for _, k := range ks {
		switch {
		case k.Name != name:
		case k.Module != m.ID.Hex():
			return k, holo.Errorf(holo.Conflict, "verify %s: it is module %s, and the cluster's kernel %s is %s: `holo kernel push` replaces it", file, m.ID.Hex(), name, k.Module)
		default:
			return k, nil
		}
	}
	return holocompute.Kernel{}, holo.Errorf(holo.NotFound, "verify %s: the cluster has no kernel %s: `holo kernel list` shows those it has", file, name)
}
