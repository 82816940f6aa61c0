package main

import (
	"context"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
)

// histFlags are the flags of array hist.
type histFlags struct {
	low, high string
	bins      int
}

func arrayHist(a *app) *cobra.Command {
	var f histFlags
	cmd := a.question("hist NAME", "Count the elements in bins of equal width", "std/count", func(ctx context.Context, r *holocompute.Raw) error {
		low, high, err := f.bounds(ctx, r)
		if err != nil {
			return err
		}
		h, err := r.Histogram(ctx, low, high, f.bins)
		if err != nil {
			return err
		}
		return a.emit("Histogram", histDetail{aboutOf(r), h}, func(w *tabwriter.Writer) { histTable(w, h) })
	})
	cmd.Flags().StringVar(&f.low, "low", "", "where the first bin begins (default: the least element)")
	cmd.Flags().StringVar(&f.high, "high", "", "where the last bin ends (default: the greatest element)")
	cmd.Flags().IntVar(&f.bins, "bins", 20, "bins, at most 4096")
	return cmd
}

// bounds are those that were given, and else the array's own, which are asked
// for with std/stats.
func (f *histFlags) bounds(ctx context.Context, r *holocompute.Raw) (low, high holocompute.Number, err error) {
	if f.low == "" || f.high == "" {
		s, err := r.Totals(ctx)
		if err != nil {
			return low, high, err
		}
		if s.Count == 0 {
			return low, high, holo.Errorf(holo.NotFound, "array hist: %s has no element that is a number: give --low and --high", r.Info().Name)
		}
		low, high = s.Min, s.Max
	}
	for _, b := range []struct {
		text string
		to   *holocompute.Number
	}{{f.low, &low}, {f.high, &high}} {
		if b.text == "" {
			continue
		}
		if *b.to, err = holocompute.ParseNumber(r.Type(), b.text); err != nil {
			return low, high, err
		}
	}
	return low, high, nil
}

// histDetail is what array hist prints.
type histDetail struct {
	about
	holocompute.Histogram
}

// longestBar is that of the fullest bin, in characters.
const longestBar = 40

func histTable(w *tabwriter.Writer, h holocompute.Histogram) {
	most := uint64(1)
	for _, n := range h.Bins {
		most = max(most, n)
	}
	row(w, "FROM", "TO", "COUNT", "")
	row(w, "", h.Edges[0], h.Below, "below")
	for i, n := range h.Bins {
		row(w, h.Edges[i], h.Edges[i+1], n, strings.Repeat("#", int(float64(n)/float64(most)*longestBar)))
	}
	row(w, h.Edges[len(h.Bins)], "", h.Above, "above")
	row(w, "", "", h.NaNs, "not a number")
}

// topDetail is what array top prints.
type topDetail struct {
	about
	NaNs  uint64              `json:"nans"`
	Items []holocompute.Place `json:"items"`
}

func arrayTop(a *app) *cobra.Command {
	var k int
	var smallest bool
	cmd := a.question("top NAME", "Find the largest elements and where they are", "std/top", func(ctx context.Context, r *holocompute.Raw) error {
		find := r.Top
		if smallest {
			find = r.Bottom
		}
		places, nans, err := find(ctx, k)
		if err != nil {
			return err
		}
		return a.emit("Top", topDetail{aboutOf(r), nans, places}, func(w *tabwriter.Writer) {
			row(w, "INDEX", "VALUE")
			for _, p := range places {
				row(w, p.Index, p.Value)
			}
		})
	})
	cmd.Flags().IntVarP(&k, "count", "k", 10, "how many, at most 65535")
	cmd.Flags().BoolVar(&smallest, "smallest", false, "the smallest instead")
	return cmd
}
