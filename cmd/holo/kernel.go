package main

import (
	"errors"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/kernels"
	"github.com/holocompute/holocompute/kernels/std"
)

// maxModule bounds what is read of a module's file.
const maxModule = 16 << 20

func kernelCommand(a *app) *cobra.Command {
	return group("kernel", "Kernels: WebAssembly that runs where the pages lie", kernelNew(a), kernelBuild(a), kernelInspect(a), kernelVerify(a), kernelPush(a), kernelList(a))
}

// readModule reads a module's file; "sample:NAME" is one that is built in.
func readModule(path string) ([]byte, error) {
	if name, ok := strings.CutPrefix(path, samplePrefix); ok {
		if m, ok := std.Named(name); ok {
			return m.Wasm, nil
		}
		if wasm := kernels.Get(name); wasm != nil {
			return wasm, nil
		}
		return nil, holo.Errorf(holo.NotFound, "read kernel %s: there is no such sample", path)
	}
	f, err := os.Open(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, holo.Errorf(holo.NotFound, "read kernel: %w", err)
	case err != nil:
		return nil, holo.Errorf(holo.Denied, "read kernel: %w", err)
	}
	defer f.Close()
	wasm, err := io.ReadAll(io.LimitReader(f, maxModule+1))
	if err != nil {
		return nil, holo.Errorf(holo.Internal, "read kernel %s: %w", path, err)
	}
	if len(wasm) > maxModule {
		return nil, holo.Errorf(holo.Invalid, "read kernel %s: more than 16 MiB", path)
	}
	return wasm, nil
}

const samplePrefix = "sample:"

// inspected is what can be told of a module without running it.
type inspected struct {
	File        string   `json:"file"`
	Module      string   `json:"module"` // SHA-256
	Bytes       int      `json:"bytes"`
	Metered     int      `json:"metered_bytes"`
	MemoryPages uint32   `json:"memory_pages"`
	Gas         string   `json:"gas"`
	StrictNaN   bool     `json:"strict_nan"` // every NaN that it makes is the canonical one
	HostCalls   []string `json:"host_calls"` // what it imports: log, or read, write and len of a task
	Functions   []string `json:"functions"`
}

func kernelInspect(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "inspect FILE",
		Short: "Check a module as a node would, and show what is in it",
		Long:  "Check a module as a node would, and show what is in it. It needs no cluster. sample:NAME is a module that is built in, sample:std/NAME a standard one.",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			wasm, err := readModule(args[0])
			if err != nil {
				return err
			}
			m, err := module.Admit(wasm)
			if err != nil {
				return holo.Errorf(holo.KindOf(err), "inspect %s: %w", args[0], err)
			}
			return a.emitModule(args[0], m)
		},
	}
}

func kernelPush(a *app) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "push FILE",
		Short: "Hand a module to the cluster",
		Long:  "Hand a module to the cluster. sample:NAME is a module that is built in.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			wasm, err := readModule(args[0])
			if err != nil {
				return err
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				k, err := c.PushKernel(cmd.Context(), kernelName(name, args[0]), wasm)
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

func kernelList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the cluster's kernels",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				ks, err := c.Kernels(cmd.Context())
				if err != nil {
					return err
				}
				return a.emit("KernelList", listOf(ks), func(w *tabwriter.Writer) { kernelTable(w, ks...) })
			})
		},
	}
}

func kernelTable(w *tabwriter.Writer, ks ...holocompute.Kernel) {
	row(w, "NAME", "MODULE", "BYTES", "FUNCTIONS")
	for _, k := range ks {
		row(w, k.Name, k.Module[:min(12, len(k.Module))], k.Size, strings.Join(k.Functions, " "))
	}
}
