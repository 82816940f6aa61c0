package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
)

func arrayPages(a *app) *cobra.Command {
	var element int64
	cmd := &cobra.Command{
		Use:   "pages NAME",
		Short: "Show where an array's pages lie, or where one element does",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withExtents(cmd.Context(), args[0], func(_ *holocompute.Cluster, i holocompute.ArrayInfo, extents []holocompute.ExtentInfo) (err error) {
				if element >= 0 {
					if extents, err = around(i, extents, uint64(element)); err != nil {
						return err
					}
				}
				return a.emit("ExtentList", listOf(extents), func(w *tabwriter.Writer) { extentTable(w, extents) })
			})
		},
	}
	cmd.Flags().Int64Var(&element, "element", -1, "only the extent that holds this element")
	return cmd
}

// withExtents opens an array and asks where its pages lie.
func (a *app) withExtents(ctx context.Context, name string, f func(*holocompute.Cluster, holocompute.ArrayInfo, []holocompute.ExtentInfo) error) error {
	return a.withCluster(ctx, func(c *holocompute.Cluster) error {
		r, err := c.OpenRaw(ctx, name)
		if err != nil {
			return err
		}
		extents, err := r.Pages(ctx)
		if err != nil {
			return err
		}
		return f(c, r.Info(), extents)
	})
}

// around is the extent that holds an element.
func around(i holocompute.ArrayInfo, extents []holocompute.ExtentInfo, element uint64) ([]holocompute.ExtentInfo, error) {
	if element >= i.Length {
		return nil, holo.Errorf(holo.Invalid, "show pages of array %s: there is no element %d of %d", i.Name, element, i.Length)
	}
	n := element / i.Extent
	if n >= uint64(len(extents)) {
		return nil, holo.Errorf(holo.Internal, "show pages of array %s: the node names %d extents, and element %d is in number %d", i.Name, len(extents), element, n)
	}
	return extents[n : n+1], nil
}

func extentTable(w *tabwriter.Writer, extents []holocompute.ExtentInfo) {
	row(w, "EXTENT", "PAGES", "SHARD", "EPOCH", "PRIMARY", "COPIES ON", "STATE")
	for _, e := range extents {
		members := make([]string, len(e.Members))
		for i, m := range e.Members {
			members[i] = short(m)
		}
		row(w, e.Number, fmt.Sprintf("%d-%d", e.FirstPage, e.FirstPage+max(e.Pages, 1)-1), e.Shard, e.Epoch, short(e.Primary), strings.Join(members, " "), e.State)
	}
}
