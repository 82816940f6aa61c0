package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
)

// askCommands are the questions about whole arrays, which the standard kernels
// answer.
func askCommands(a *app) []*cobra.Command {
	return []*cobra.Command{
		arrayTotal(a, "sum", "Add all elements: exactly, whatever their number", func(s *holocompute.Stats) holocompute.Number { return s.Sum }),
		arrayTotal(a, "min", "Find the least element", func(s *holocompute.Stats) holocompute.Number { return s.Min }),
		arrayTotal(a, "max", "Find the greatest element", func(s *holocompute.Stats) holocompute.Number { return s.Max }),
		arrayTotal(a, "mean", "Take the mean of all elements", func(s *holocompute.Stats) holocompute.Number { return s.Mean }),
		arrayStats(a), arrayCount(a), arrayHist(a), arrayTop(a), arrayDot(a), arrayNorm(a),
	}
}

const askLong = "\n\nIt is computed where the pages lie, and needs RUN on the kernel %s and READ on the array. Sums of integers are exact, those of floats\n" +
	"the exact ones rounded once. NaNs are counted and left out. Interrupting the command cancels the job."

// question makes a command that asks about one array.
func (a *app) question(use, short, kernel string, f func(context.Context, *holocompute.Raw) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: short + "." + fmt.Sprintf(askLong, kernel), Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				r, err := c.OpenRaw(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return f(cmd.Context(), r)
			})
		},
	}
}

// about is what an answer is about.
type about struct {
	Array string `json:"array"`
	Type  string `json:"type"`
}

func aboutOf(r *holocompute.Raw) about { return about{r.Info().Name, r.Type().String()} }

// total is one number about an array.
type total struct {
	about
	Count uint64             `json:"count"`
	NaNs  uint64             `json:"nans"`
	Value holocompute.Number `json:"value"`
}

func arrayTotal(a *app, name, short string, of func(*holocompute.Stats) holocompute.Number) *cobra.Command {
	return a.question(name+" NAME", short, "std/stats", func(ctx context.Context, r *holocompute.Raw) error {
		s, err := r.Totals(ctx)
		if err != nil {
			return err
		}
		return a.emitTotal(name, total{aboutOf(r), s.Count, s.NaNs, of(&s)})
	})
}

func (a *app) emitTotal(name string, t total) error {
	return a.emit("Answer", t, func(w *tabwriter.Writer) {
		row(w, "ARRAY", "TYPE", "COUNT", "NANS", strings.ToUpper(name))
		row(w, t.Array, t.Type, t.Count, t.NaNs, t.Value)
	})
}

// statsDetail is what array stats prints.
type statsDetail struct {
	about
	holocompute.Stats
}

func arrayStats(a *app) *cobra.Command {
	return a.question("stats NAME", "Show count, extremes, sum, mean and variance", "std/stats", func(ctx context.Context, r *holocompute.Raw) error {
		s, err := r.Stats(ctx)
		if err != nil {
			return err
		}
		return a.emit("Stats", statsDetail{aboutOf(r), s}, func(w *tabwriter.Writer) {
			row(w, "array", r.Info().Name)
			row(w, "type", r.Type())
			row(w, "count", s.Count)
			row(w, "nans", s.NaNs)
			row(w, "min", s.Min)
			row(w, "max", s.Max)
			row(w, "sum", s.Sum)
			row(w, "mean", s.Mean)
			row(w, "variance", s.Variance)
			row(w, "sample variance", s.SampleVariance)
		})
	})
}

// counted is how many elements compare so.
type counted struct {
	about
	Comparison string             `json:"comparison"`
	Than       holocompute.Number `json:"than"`
	Count      uint64             `json:"count"`
	NaNs       uint64             `json:"nans"`
}

var comparisons = []holocompute.Comparison{
	holocompute.Equal, holocompute.NotEqual, holocompute.Less, holocompute.AtMost, holocompute.Greater, holocompute.AtLeast,
}

func arrayCount(a *app) *cobra.Command {
	var cmd *cobra.Command
	cmd = a.question("count NAME --lt VALUE", "Count the elements that compare so with a value", "std/count", func(ctx context.Context, r *holocompute.Raw) error {
		given := slices.DeleteFunc(slices.Clone(comparisons), func(c holocompute.Comparison) bool { return !cmd.Flags().Changed(c.String()) })
		if len(given) != 1 {
			return usage("array count: want one of --eq --ne --lt --le --gt --ge")
		}
		return a.count(ctx, r, given[0], cmd.Flags().Lookup(given[0].String()).Value.String())
	})
	for i, meaning := range []string{"equal to", "not equal to", "less than", "at most", "greater than", "at least"} {
		cmd.Flags().String(comparisons[i].String(), "", "elements "+meaning+" this")
	}
	return cmd
}

func (a *app) count(ctx context.Context, r *holocompute.Raw, c holocompute.Comparison, text string) error {
	value, err := holocompute.ParseNumber(r.Type(), text)
	if err != nil {
		return holo.Errorf(holo.Invalid, "array count: --%s: %w", c, err)
	}
	n, nans, err := r.CountIf(ctx, c, value)
	if err != nil {
		return err
	}
	return a.emit("Count", counted{aboutOf(r), c.String(), value, n, nans}, func(w *tabwriter.Writer) {
		row(w, "ARRAY", "TYPE", "WHERE", "COUNT", "NANS")
		row(w, r.Info().Name, r.Type(), c.String()+" "+value.String(), n, nans)
	})
}

func arrayDot(a *app) *cobra.Command {
	const short = "Add the products of the elements of two arrays"
	cmd := a.question("dot NAME NAME", short, "std/dot", nil)
	cmd.Args = cobra.ExactArgs(2)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error { return a.dot(cmd.Context(), c, args[0], args[1]) })
	}
	return cmd
}

// dotted is what array dot prints.
type dotted struct {
	about
	With  string             `json:"with"`
	Count uint64             `json:"count"`
	NaNs  uint64             `json:"nans"`
	Value holocompute.Number `json:"value"`
}

func (a *app) dot(ctx context.Context, c *holocompute.Cluster, first, second string) error {
	r, err := c.OpenRaw(ctx, first)
	if err != nil {
		return err
	}
	other, err := c.OpenRaw(ctx, second)
	if err != nil {
		return err
	}
	p, err := r.Dot(ctx, other)
	if err != nil {
		return err
	}
	return a.emit("Answer", dotted{aboutOf(r), other.Info().Name, p.Count, p.NaNs, p.Sum}, func(w *tabwriter.Writer) {
		row(w, "ARRAY", "WITH", "TYPE", "COUNT", "NANS", "DOT")
		row(w, r.Info().Name, other.Info().Name, r.Type(), p.Count, p.NaNs, p.Sum)
	})
}

func arrayNorm(a *app) *cobra.Command {
	return a.question("norm NAME", "Take the length of an array as a vector", "std/dot", func(ctx context.Context, r *holocompute.Raw) error {
		p, err := r.Dot(ctx, r)
		if err != nil {
			return err
		}
		return a.emitTotal("norm", total{aboutOf(r), p.Count, p.NaNs, p.Root})
	})
}
