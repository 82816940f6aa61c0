package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/holo"
)

// askEvery is how often status --wait looks whether the node answers.
const askEvery = 50 * time.Millisecond

func statusCommand(a *app) *cobra.Command {
	var wait time.Duration
	var nodes int
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the cluster as the node on this machine sees it",
		Long: "Show the cluster as the node on this machine sees it, and how that node is protected.\n\n" +
			"The exit code is 10 when a protection that should hold does not.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ask := a.status
			if wait > 0 {
				ask = func(ctx context.Context) (*holocompute.Status, error) { return a.awaitStatus(ctx, wait, nodes) }
			}
			s, err := ask(cmd.Context())
			if err != nil {
				return err
			}
			if err := a.emit("Status", s, func(w *tabwriter.Writer) { statusTable(w, s) }); err != nil {
				return err
			}
			return belowPolicy(s)
		},
	}
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait this long for the node to answer and for --nodes")
	cmd.Flags().IntVar(&nodes, "nodes", 1, "with --wait: the number of nodes that must hold a lease")
	return cmd
}

func (a *app) status(ctx context.Context) (s *holocompute.Status, err error) {
	err = a.withCluster(ctx, func(c *holocompute.Cluster) error {
		s, err = c.Status(ctx)
		return err
	})
	return s, err
}

// awaitStatus asks until enough nodes are up, or the time is over.
func (a *app) awaitStatus(ctx context.Context, wait time.Duration, nodes int) (*holocompute.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	last := holo.Errorf(holo.Unavailable, "wait for %d nodes: not within %s", nodes, wait)
	for {
		s, err := a.status(ctx)
		if err == nil && leases(s) >= nodes {
			return s, nil
		}
		if kind := holo.KindOf(err); err != nil && ctx.Err() == nil {
			if kind != holo.Unavailable && kind != holo.NotFound {
				return nil, err
			}
			last = err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, last
		}
	}
}

// leases counts the nodes that hold one. The leader grants it a moment before
// the catalogue that was asked says that the node lives.
func leases(s *holocompute.Status) (n int) {
	for _, node := range s.Nodes {
		if node.Lease && node.State != "dead" {
			n++
		}
	}
	return n
}

// errUnprotected marks a status that was told and is not as it should be.
var errUnprotected = errors.New("not protected as it should be")

func belowPolicy(s *holocompute.Status) error {
	if missing := s.Unprotected(); len(missing) > 0 {
		return fmt.Errorf("status: node %s is %w: %s", short(s.Node), errUnprotected, missing[0].Detail)
	}
	return nil
}

func statusTable(w *tabwriter.Writer, s *holocompute.Status) {
	row(w, "cluster", s.Cluster)
	row(w, "this node", short(s.Node))
	row(w, "leader", short(s.Leader))
	row(w, "links", s.Suite)
	row(w, "protocol", "version", s.Protocol, "of the cluster; this node speaks", s.Speaks)
	row(w, "copies", s.DefaultCopies, "a write waits for", s.MinAck)
	h := s.Shards
	row(w, "shards", h.Total, "full", h.Full, "under-replicated", h.UnderReplicated, "refusing writes", h.RefusingWrites, "lost", h.Lost)
	i := s.Isolation
	row(w, "kernels", "isolation", i.Level, "processes", i.Workers, "of at most", i.MaxWorkers, "with", size(i.WorkerBytes))
	m := i.MachineCode
	row(w, "machine code", "modules", m.Modules, "bytes", size(m.Bytes), "of at most", size(m.LimitBytes), "compiled", m.Made, "reused", m.Hits, "refused", m.Refused)
	row(w, "scrub", "rounds", s.Scrub.Rounds, "the last took", fmt.Sprintf("%d s", s.Scrub.PeriodSeconds), "damaged", s.Scrub.Damaged, "repaired", s.Scrub.Repaired)
	if s.Scrub.LastFinding != "" {
		row(w, "", "last finding", time.Unix(s.Scrub.LastUnix, 0).UTC().Format(time.DateTime), s.Scrub.LastFinding)
	}
	row(w)
	row(w, "NODE", "NAME", "STATE", "LEASE", "VOTER", "ADDRESS", "MEMORY", "USED", "SPILL", "ON DISK", "CACHED", "HITS", "PRIMARY OF", "MEMBER OF", "SPEAKS", "PROGRAM")
	for _, n := range s.Nodes {
		row(w, short(n.ID), n.Name, n.State, yes(n.Lease), yes(n.Voter), n.Address, size(n.CapacityBytes), size(n.ResidentBytes), size(n.SpillBytes), size(n.SpilledBytes), size(n.CachedBytes), hits(n), n.Primaries, n.Members, n.Speaks, orDash(n.Program))
	}
	if len(s.Refusals) > 0 {
		row(w)
		row(w, "REFUSED HERE", "TIMES")
		for _, reason := range slices.Sorted(maps.Keys(s.Refusals)) {
			row(w, reason, s.Refusals[reason])
		}
	}
	row(w)
	row(w, "PROTECTION", "HOLDS", "")
	for _, m := range s.Posture {
		row(w, m.Name, yes(m.Holds), m.Detail)
	}
	for _, warning := range s.Warnings {
		row(w)
		row(w, "! "+warning)
	}
}

func orDash(s string) string { return cmp.Or(s, "-") }

// hits is the part of the reads of other nodes' pages that the cache answered.
func hits(n holocompute.NodeStatus) string {
	all := n.CacheHits + n.CacheMisses
	if all == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(n.CacheHits)/float64(all))
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
