package main

import (
	"cmp"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute/internal/guest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/module"
)

// made is what kernel new wrote.
type made struct {
	Language string `json:"language"`
	Kind     string `json:"kind"`
	Source   string `json:"source"`
}

func kernelNew(a *app) *cobra.Command {
	var names []string
	for _, l := range guest.Languages() {
		names = append(names, l.Name)
	}
	var language, kind string
	cmd := &cobra.Command{
		Use:   "new DIR --lang LANGUAGE",
		Short: "Write a first kernel to begin with",
		Long: "Write a first kernel, with what it needs, into a folder. It overwrites nothing. Languages: " + strings.Join(names, " ") + ".\n\n" +
			"It is a map and a reduction; with --kind task it is a general task, which asks for the elements that it needs and runs with\n" +
			"`holo job run --task`.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			source, err := guest.New(language, kind, args[0])
			if err != nil {
				return err
			}
			return a.emit("NewKernel", made{language, kind, source}, func(w *tabwriter.Writer) { row(w, source) })
		},
	}
	cmd.Flags().StringVar(&language, "lang", "", strings.Join(names, " "))
	cmd.Flags().StringVar(&kind, "kind", guest.Kinds()[0], strings.Join(guest.Kinds(), " "))
	_ = cmd.MarkFlagRequired("lang") // the flag exists
	return cmd
}

func kernelBuild(a *app) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "build FILE",
		Short: "Build a kernel from its source, with the compiler that is here",
		Long: "Build a kernel from its source: .c .go .rs .ts .wat, with the compiler that this machine has, and check it as a node would. Where there\n" +
			"is none it says what to install. It needs no cluster.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				out = strings.TrimSuffix(args[0], filepath.Ext(args[0])) + ".wasm"
			}
			m, err := guest.Build(cmd.Context(), args[0], out)
			if err != nil {
				return err
			}
			return a.emitModule(out, m)
		},
	}
	cmd.Flags().StringVarP(&out, "out", "f", "", "the module's file (default: the source's name with .wasm)")
	return cmd
}

// emitModule shows what is in a module.
func (a *app) emitModule(file string, m *module.Module) error {
	v := inspected{file, m.ID.Hex(), len(m.Original), len(m.Metered), m.MinPages, module.Version, m.StrictNaN, m.HostCalls, m.Names()}
	return a.emit("Module", v, func(w *tabwriter.Writer) {
		row(w, "module", v.Module)
		row(w, "bytes", v.Bytes, "metered", v.Metered)
		row(w, "memory", size(uint64(v.MemoryPages)*holo.PageSize))
		row(w, "strict NaN", yes(v.StrictNaN))
		row(w, "host calls", cmp.Or(strings.Join(v.HostCalls, " "), "none"))
		row(w, "functions", strings.Join(v.Functions, " "))
		for _, f := range m.Functions {
			row(w, f.Export(), f.Kind.Does())
		}
	})
}
