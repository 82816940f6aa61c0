// Package demo is `holo demo`: real nodes as processes of their own on
// loopback, real flights, a kernel that runs where they lie, a node that is
// killed while it computes, and attacks that are refused. Every figure it
// prints was measured in that run; it fails when any promise does, and leaves
// nothing behind. It is a client like any other: it starts the `holo` binary and
// speaks to it through the SDK.
package demo

import (
	"context"
	"io"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

// Options of a demo.
type Options struct {
	Holo   string    // the binary to start nodes from
	Full   string    // a file with the flights, "" for the 200,000 that are built in
	Mark   string    // a text to put into array names, array data and kernel arguments, so that a capture can look for it
	Out    io.Writer // the story, for people; discarded for JSON
	Memory uint64    // page memory of each node in bytes, 0: 512 MiB
}

// limit ends a demo that hangs, whatever the reason.
const limit = 10 * time.Minute

// Run runs the demo. The report holds what was measured, also when an error
// tells which promise failed.
func Run(ctx context.Context, o Options) (*Report, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	start := time.Now()
	s := &story{Options: o, say: narrator{o.Out}, report: &Report{Mark: o.Mark}}
	if s.Memory == 0 {
		s.Memory = 512 << 20
	}
	err := s.tell(ctx)
	s.report.Seconds = time.Since(start).Seconds()
	if err == nil {
		s.say.end(s.report)
	}
	return s.report, err
}

// story is one run of the demo.
type story struct {
	Options
	say     narrator
	report  *Report
	flights *flights
}

func (s *story) tell(ctx context.Context) (err error) {
	if s.flights, err = openFlights(s.Full); err != nil {
		return err
	}
	defer s.flights.close()
	s.say.title(s.flights)
	if err := s.withCluster(ctx, 3, s.main); err != nil {
		return err
	}
	if err := s.withCluster(ctx, 2, s.twoNodes); err != nil {
		return err
	}
	return s.withCluster(ctx, 1, s.oneNode)
}

// withCluster starts a cluster of n nodes, and ends it whatever happens.
func (s *story) withCluster(ctx context.Context, n int, f func(context.Context, *cluster) error) error {
	c, err := startCluster(ctx, s.Holo, n, s.Memory)
	if err != nil {
		return err
	}
	err = f(ctx, c)
	if err != nil {
		err = holo.Errorf(holo.KindOf(err), "on %d nodes: %w%s", n, err, c.lastWords())
	}
	if ended := c.stop(); err == nil && ended != nil {
		err = ended
	}
	return err
}

// main is the cluster of three: the table, the bootstrap with a death in the
// middle, the table again on the two that are left.
func (s *story) main(ctx context.Context, c *cluster) error {
	s.say.cluster(c)
	data, err := s.load(ctx, c)
	if err != nil {
		return err
	}
	if err := c.attachFarthest(ctx, data); err != nil {
		return err
	}
	if data, err = data.through(ctx, c); err != nil {
		return err
	}
	hours, err := s.table(ctx, c, data)
	if err != nil {
		return err
	}
	s.report.Hours = hours
	s.report.Rows, s.report.SumDelay = totals(hours)
	if err := s.surviveDeath(ctx, c, data); err != nil {
		return err
	}
	again, err := s.table(ctx, c, data)
	if err != nil {
		return err
	}
	return s.record(c, 3, 2, again)
}

func (s *story) twoNodes(ctx context.Context, c *cluster) error {
	hours, err := s.loadAndTable(ctx, c)
	if err != nil {
		return err
	}
	if err := s.record(c, 2, 2, hours); err != nil {
		return err
	}
	if err := s.attacks(ctx, c); err != nil {
		return err
	}
	return s.audited(c)
}

func (s *story) oneNode(ctx context.Context, c *cluster) error {
	hours, err := s.loadAndTable(ctx, c)
	if err != nil {
		return err
	}
	return s.record(c, 1, 1, hours)
}

func (s *story) loadAndTable(ctx context.Context, c *cluster) ([]Hour, error) {
	data, err := s.load(ctx, c)
	if err != nil {
		return nil, err
	}
	return s.table(ctx, c, data)
}

// record holds a cluster's table against the first one, integer by integer.
func (s *story) record(c *cluster, nodes, survived int, hours []Hour) error {
	_, sum := totals(hours)
	equal := sameIntegers(hours, s.report.Hours)
	s.report.Clusters = append(s.report.Clusters, Cluster{Nodes: nodes, Survived: survived, Suite: c.suite, SumDelay: sum, Equal: equal})
	s.say.compared(nodes, survived, sum, equal)
	if !equal {
		return holo.Errorf(holo.Corrupt, "the table of %d nodes differs: sum of delays %d, want %d", nodes, sum, s.report.SumDelay)
	}
	return nil
}

func sameIntegers(a, b []Hour) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Count != b[i].Count || a[i].SumDelay != b[i].SumDelay || a[i].Late != b[i].Late {
			return false
		}
	}
	return true
}
