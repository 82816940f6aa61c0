package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
)

func arrayCommand(a *app) *cobra.Command {
	cmd := group("array", "Arrays: numbers in the memory of all nodes",
		arrayCreate(a), arrayList(a), arrayShow(a), arrayPages(a), arrayWhy(a), arrayImport(a), arrayExport(a), arraySeal(a), arrayRemove(a),
		arrayRebalance(a), arrayCheckpoint(a), arrayRestore(a))
	cmd.AddCommand(askCommands(a)...)
	cmd.AddCommand(vectorCommands(a)...)
	return cmd
}

// arrayFlags say what an array is besides its name, type and length.
type arrayFlags struct{ o holocompute.ArrayOptions }

func (f *arrayFlags) add(cmd *cobra.Command) {
	cmd.Flags().IntVar(&f.o.Copies, "copies", 0, "nodes that hold each page, 1 to 3 (default: the cluster's)")
	cmd.Flags().Uint64Var(&f.o.Extent, "extent", 0, "elements that lie together, whole pages (default 524288)")
	cmd.Flags().StringVar(&f.o.Affinity, "affinity", "", "arrays of one affinity and extent lie together")
}

func arrayCreate(a *app) *cobra.Command {
	var f arrayFlags
	var typ string
	var length uint64
	cmd := &cobra.Command{
		Use:   "create NAME --type TYPE --length N",
		Short: "Make an array of zeros",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := holocompute.ParseElementType(typ)
			if err != nil {
				return err
			}
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				r, err := c.CreateRaw(cmd.Context(), args[0], t, length, f.o)
				if err != nil {
					return err
				}
				return a.emitArray(r.Info())
			})
		},
	}
	cmd.Flags().StringVar(&typ, "type", "", "i8 i16 i32 i64 u8 u16 u32 u64 f32 f64")
	cmd.Flags().Uint64Var(&length, "length", 0, "elements")
	_ = cmd.MarkFlagRequired("type") // the flags exist
	_ = cmd.MarkFlagRequired("length")
	f.add(cmd)
	return cmd
}

func arrayHead(w *tabwriter.Writer) {
	row(w, "ID", "NAME", "TYPE", "LENGTH", "BYTES", "PAGES", "COPIES", "AFFINITY", "STATE")
}

func arrayRow(w *tabwriter.Writer, i holocompute.ArrayInfo) {
	row(w, fmt.Sprintf("#%d", i.ID), i.Name, i.Type, i.Length, size(i.Bytes), i.Pages, i.Copies, i.Affinity, i.State)
}

func (a *app) emitArray(i holocompute.ArrayInfo) error {
	return a.emit("Array", i, func(w *tabwriter.Writer) {
		arrayHead(w)
		arrayRow(w, i)
	})
}

func arrayList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List all arrays",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				arrays, err := c.Arrays(cmd.Context())
				if err != nil {
					return err
				}
				return a.emit("ArrayList", listOf(arrays), func(w *tabwriter.Writer) {
					arrayHead(w)
					for _, i := range arrays {
						arrayRow(w, i)
					}
				})
			})
		},
	}
}

// arrayDetail is an array and where it lies.
type arrayDetail struct {
	holocompute.ArrayInfo
	Extents []holocompute.ExtentInfo `json:"extents"`
}

func arrayShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Show an array and where its pages lie",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withExtents(cmd.Context(), args[0], func(_ *holocompute.Cluster, i holocompute.ArrayInfo, extents []holocompute.ExtentInfo) error {
				d := arrayDetail{i, extents}
				return a.emit("Array", d, func(w *tabwriter.Writer) { detailTable(w, d) })
			})
		},
	}
}

func detailTable(w *tabwriter.Writer, d arrayDetail) {
	arrayHead(w)
	arrayRow(w, d.ArrayInfo)
	if d.Root != "" {
		row(w)
		row(w, "root", d.Root)
	}
	row(w)
	extentTable(w, d.Extents)
}

func arraySeal(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "seal NAME",
		Short: "Make an array immutable for ever, and print its root",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				r, err := c.OpenRaw(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if err := r.Seal(cmd.Context()); err != nil {
					return err
				}
				value := map[string]any{"name": r.Info().Name, "state": r.Info().State, "root": r.Info().Root}
				return a.emit("Array", value, func(w *tabwriter.Writer) {
					row(w, "NAME", "STATE", "ROOT")
					row(w, r.Info().Name, r.Info().State, r.Info().Root)
				})
			})
		},
	}
}

func arrayRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME...",
		Aliases: []string{"delete"},
		Short:   "Delete arrays and what they hold",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error { return a.removeArrays(cmd.Context(), c, args) })
		},
	}
}

// removed is what became of one array.
type removed struct {
	Name  string `json:"name"`
	Freed uint64 `json:"freed_bytes"`
}

// removeArrays finds all arrays before it deletes the first.
func (a *app) removeArrays(ctx context.Context, c *holocompute.Cluster, names []string) error {
	arrays := make([]*holocompute.Raw, len(names))
	for i, name := range names {
		r, err := c.OpenRaw(ctx, name)
		if err != nil {
			return err
		}
		arrays[i] = r
	}
	var gone []removed
	for _, r := range arrays {
		freed, err := r.Delete(ctx)
		if err != nil {
			return err
		}
		gone = append(gone, removed{r.Info().Name, freed})
	}
	return a.emit("Deleted", listOf(gone), func(w *tabwriter.Writer) {
		row(w, "DELETED", "FREED")
		for _, g := range gone {
			row(w, g.Name, size(g.Freed))
		}
	})
}
