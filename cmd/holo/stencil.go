package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
)

func arrayStencil(a *app) *cobra.Command {
	var weights, edge string
	cmd := &cobra.Command{
		Use:   "stencil NAME --weights W,W,W --into NAME",
		Short: "Sum up the neighbours of each element, weighted",
		Long: "Sum up the neighbours of each element, weighted: with --weights 1,2,1 an element of the output is a[i-1] + 2*a[i] + a[i+1].\n\n" +
			"There is an odd number of weights. --edge says what lies beyond the ends: clamp, the first or last element; zero; or wrap, the\n" +
			"other end. Floats are summed up as f64 and rounded once, integers wrap around. It needs RUN on std/stencil, READ on the array\n" +
			"and WRITE on the output.",
		Example: "  holo array stencil temperature --weights 0.25,0.5,0.25 --into smooth\n  holo array stencil x --weights=-1,1,0 --edge zero --into steps",
		Args:    cobra.ExactArgs(1),
	}
	name := into(cmd)
	cmd.Flags().StringVar(&weights, "weights", "", "the weights, apart by commas; the one in the middle is the element's own")
	cmd.Flags().StringVar(&edge, "edge", holocompute.EdgeClamp, "what lies beyond the ends: clamp, zero, wrap")
	_ = cmd.MarkFlagRequired("weights") // the flag exists
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
			return a.stencil(cmd.Context(), c, args[0], *name, edge, weights)
		})
	}
	return cmd
}

func (a *app) stencil(ctx context.Context, c *holocompute.Cluster, from, to, edge, weights string) error {
	in, err := c.OpenRaw(ctx, from)
	if err != nil {
		return err
	}
	wide := holocompute.ElementType(holo.I64)
	if in.Type().Float() {
		wide = holo.F64
	}
	var list []holocompute.Number
	for text := range strings.SplitSeq(weights, ",") {
		w, err := holocompute.ParseNumber(wide, strings.TrimSpace(text))
		if err != nil {
			return holo.Errorf(holo.Invalid, "array stencil: --weights: %w", err)
		}
		list = append(list, w)
	}
	out, err := outputLike(ctx, c, to, in.Type(), in)
	if err != nil {
		return err
	}
	job, err := c.Stencil(ctx, out, in, edge, list...)
	return a.wait(ctx, job, err, out)
}
