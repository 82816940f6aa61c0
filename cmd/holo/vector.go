package main

import (
	"context"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
)

// vectorCommands make arrays of arrays, and find clusters in them, by the
// standard kernels.
func vectorCommands(a *app) []*cobra.Command {
	return []*cobra.Command{arrayApply(a), arrayCumSum(a), arrayStencil(a), arrayKMeans(a)}
}

// outputLike opens the array that is to be written, or makes it like another
// one and beside it.
func outputLike(ctx context.Context, c *holocompute.Cluster, name string, t holocompute.ElementType, like *holocompute.Raw) (*holocompute.Raw, error) {
	r, err := c.OpenRaw(ctx, name)
	if holo.KindOf(err) != holo.NotFound {
		return r, err
	}
	i := like.Info()
	return c.CreateRaw(ctx, name, t, i.Length, holocompute.ArrayOptions{Extent: i.Extent, Copies: i.Copies, Affinity: i.Affinity})
}

// wait waits for a job that writes an array, and shows the array.
func (a *app) wait(ctx context.Context, job *holocompute.Job, err error, into *holocompute.Raw) error {
	if err == nil {
		_, err = job.Wait(ctx)
	}
	if err != nil {
		return err
	}
	return a.emitArray(into.Info())
}

// into adds the flag that names an output.
func into(cmd *cobra.Command) *string {
	name := cmd.Flags().String("into", "", "the array that is written; made like the first one if there is none of this name")
	_ = cmd.MarkFlagRequired("into") // the flag exists
	return name
}

func arrayApply(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply OPERATION OPERAND... --into NAME",
		Short: "Do arithmetic or compare, element by element",
		Long: "Do arithmetic or compare, element by element, where the pages lie.\n\n" +
			"  add sub mul min max   two operands; integers wrap around\n" +
			"  muladd                a*b + c, rounded after each step\n" +
			"  div                   two operands, floats only\n" +
			"  eq ne lt le gt ge     two operands; the output is of u8, 1 where it holds\n\n" +
			"An operand is the name of an array, or = and a constant: =2.5. The arrays are of one type and lie together. It needs RUN on\n" +
			"std/elementwise, READ on the operands and WRITE on the output.",
		Example: "  holo array apply muladd x =2 y --into z",
		Args:    cobra.MinimumNArgs(3),
	}
	name := into(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error { return a.apply(cmd.Context(), c, args[0], args[1:], *name) })
	}
	return cmd
}

func (a *app) apply(ctx context.Context, c *holocompute.Cluster, operation string, texts []string, name string) error {
	var first *holocompute.Raw
	operands := make([]holocompute.Operand, len(texts))
	for i, text := range texts {
		if strings.HasPrefix(text, "=") {
			continue
		}
		r, err := c.OpenRaw(ctx, text)
		if err != nil {
			return err
		}
		if operands[i] = r; first == nil {
			first = r
		}
	}
	if first == nil {
		return usage("array apply: one operand at least is an array")
	}
	for i, text := range texts {
		if constant, is := strings.CutPrefix(text, "="); is {
			n, err := holocompute.ParseNumber(first.Type(), constant)
			if err != nil {
				return holo.Errorf(holo.Invalid, "array apply: %w", err)
			}
			operands[i] = holocompute.ConstNumber(n)
		}
	}
	t, err := holocompute.OutputType(operation, first.Type())
	if err != nil {
		return err
	}
	out, err := outputLike(ctx, c, name, t, first)
	if err != nil {
		return err
	}
	job, err := c.Apply(ctx, operation, out, operands...)
	return a.wait(ctx, job, err, out)
}

func arrayCumSum(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cumsum NAME --into NAME",
		Short: "Add up an array, element after element",
		Long: "Add up an array: element i of the output is the sum of elements 0 to i. Integers wrap around; floats are added in an order that\n" +
			"depends on the extents alone. It needs RUN on std/cumsum, READ on the array and WRITE on the output.",
		Args: cobra.ExactArgs(1),
	}
	name := into(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
			in, err := c.OpenRaw(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			out, err := outputLike(cmd.Context(), c, *name, in.Type(), in)
			if err != nil {
				return err
			}
			job, err := c.CumSum(cmd.Context(), out, in)
			return a.wait(cmd.Context(), job, err, out)
		})
	}
	return cmd
}

func arrayKMeans(a *app) *cobra.Command {
	var o holocompute.KMeansOptions
	cmd := &cobra.Command{
		Use:   "kmeans NAME... --clusters K",
		Short: "Find clusters among rows: k-means by Lloyd's algorithm",
		Long: "Find clusters among rows, by steps of Lloyd's algorithm where the pages lie, until no centroid moves.\n\n" +
			"A row is --dims elements in a run of one array, or an element of each of several arrays that lie together. The first centroids\n" +
			"are rows at equal distances. It needs RUN on std/kmeans and READ on the arrays.",
		Example: "  holo array kmeans digits --dims 64 --clusters 10\n  holo array kmeans x y z -k 3",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error { return a.kmeans(cmd.Context(), c, o, args) })
		},
	}
	cmd.Flags().IntVarP(&o.Clusters, "clusters", "k", 0, "how many clusters")
	cmd.Flags().IntVar(&o.Dimensions, "dims", 0, "elements of a row of one array")
	cmd.Flags().IntVar(&o.Iterations, "iterations", 100, "steps at most")
	_ = cmd.MarkFlagRequired("clusters") // the flag exists
	return cmd
}

func (a *app) kmeans(ctx context.Context, c *holocompute.Cluster, o holocompute.KMeansOptions, names []string) error {
	if o.Iterations < 1 {
		return usage("array kmeans: want --iterations of 1 or more")
	}
	arrays := make([]*holocompute.Raw, len(names))
	for i, name := range names {
		r, err := c.OpenRaw(ctx, name)
		if err != nil {
			return err
		}
		arrays[i] = r
	}
	found, err := c.KMeans(ctx, o, arrays...)
	if err != nil {
		return err
	}
	return a.emit("Clusters", found, func(w *tabwriter.Writer) {
		row(w, "inertia", found.Inertia)
		row(w, "iterations", found.Iterations, "converged", yes(found.Converged), "rows skipped", found.Skipped)
		row(w, "CLUSTER", "ROWS", "CENTROID")
		for i, at := range found.Centroids {
			row(w, i, found.Rows[i], vector(at))
		}
	})
}

// shownValues is how much of a centroid a line has room for.
const shownValues = 8

func vector(v []float64) string {
	parts := []string{}
	for _, x := range v[:min(len(v), shownValues)] {
		parts = append(parts, strconv.FormatFloat(x, 'g', 6, 64))
	}
	if len(v) > shownValues {
		parts = append(parts, "...")
	}
	return strings.Join(parts, " ")
}
