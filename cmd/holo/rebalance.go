package main

import (
	"cmp"
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
)

func arrayRebalance(a *app) *cobra.Command {
	var detach bool
	cmd := &cobra.Command{
		Use:   "rebalance",
		Short: "Even out now what the nodes hold of all arrays",
		Long: "Even out now what the nodes hold of all arrays: copies of shards by what each node offers, then the primaries. The cluster\n" +
			"does so by itself once a node has been there for 10 s, and where one has a quarter more than another; this does not wait for\n" +
			"either. It goes no faster: at most eight shards at a time and --move-rate of `holo agent`, and what lacks copies comes first.\n" +
			"The command waits until no move makes it more even; with --detach it does not.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCluster(cmd.Context(), func(c *holocompute.Cluster) error {
				if err := c.Rebalance(cmd.Context()); err != nil {
					return err
				}
				b, err := c.Balance(cmd.Context())
				if err != nil {
					return err
				}
				if b, err = a.rebalanced(cmd.Context(), c, b, detach); err != nil {
					return err
				}
				return a.emitBalance(b)
			})
		},
	}
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait until it is even")
	return cmd
}

// rebalanced waits, unless there is nothing to wait for.
func (a *app) rebalanced(ctx context.Context, c *holocompute.Cluster, b holocompute.Balance, detach bool) (holocompute.Balance, error) {
	switch {
	case b.Even():
		a.note("nothing to do: %s", whyEven(b))
		return b, nil
	case b.Waits != "":
		a.note("%d moves wait: %s", b.Left(), b.Waits)
	}
	if detach {
		return b, nil
	}
	most, stuck := b.Left(), standing{}
	m := a.meter("rebalance", int64(most), countUnit)
	defer m.end()
	var refused error
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	even, err := c.AwaitBalance(ctx, func(b holocompute.Balance) {
		m.at(int64(max(most-b.Left(), 0)))
		if stuck.still(b, time.Now()) {
			if refused = c.Rebalance(ctx); refused != nil {
				stop()
			}
		}
	})
	return even, cmp.Or(refused, err)
}

// askAgain is after how long without a move the request is made once more: a leader
// that is deposed takes it along, and the next one knows nothing of it. To ask twice
// moves nothing twice.
const askAgain = 20 * time.Second

// standing is since when the same moves are left.
type standing struct {
	left  int
	since time.Time
}

// still reports whether nothing was moved for so long that it is asked again. What
// waits for something else is none of it.
func (s *standing) still(b holocompute.Balance, now time.Time) bool {
	if b.Left() != s.left || b.Waits != "" || s.since.IsZero() {
		s.left, s.since = b.Left(), now
		return false
	}
	if b.Even() || now.Sub(s.since) < askAgain {
		return false
	}
	s.since = now
	return true
}

// whyEven says why no move makes more even what the nodes hold.
func whyEven(b holocompute.Balance) string {
	held := 0
	for _, s := range b.Shares {
		held += s.Copies
	}
	switch {
	case held == 0:
		return "there are no arrays yet"
	case len(b.Shares) == 1:
		return fmt.Sprintf("node %s is the only one that lives and does not drain", b.Shares[0].Name)
	}
	return fmt.Sprintf("each of %d nodes holds its share, as near as whole shards come to it", len(b.Shares))
}

func (a *app) emitBalance(b holocompute.Balance) error {
	return a.emit("Balance", b, func(w *tabwriter.Writer) {
		row(w, "NODE", "NAME", "OFFERS", "SHARDS", "PRIMARIES")
		for _, s := range b.Shares {
			row(w, short(s.Node), s.Name, size(s.OffersBytes), s.Copies, s.Leads)
		}
		if b.Left() > 0 {
			row(w, fmt.Sprintf("%d copies and %d primaries are still to move", b.Copies, b.Leads))
		}
	})
}
