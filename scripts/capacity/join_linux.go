package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/holocompute/holocompute"
)

const (
	joinMemory = 512 * mib
	joinTable  = 96 * mib         // what the jobs read: short ones, so that there are hundreds
	joinOther  = 300 * mib        // what else has to move
	moveRate   = 32 * mib         // that agents run with
	settle     = 10 * time.Second // for which a node that comes is left alone
	joinAlone  = 5 * time.Second
	joinAfter  = 20 * time.Second
	joinLimit  = 2 * time.Minute // for the share to be there
	joinSlower = 0.20            // of the 95th percentile, where each node has its own processors
	joinJobs   = 40              // fewer say nothing about the slowest twentieth
)

// join has a fourth node join three while jobs run one after the other, and
// compares how long they take while it is given its share with how long they take
// beside it before, when it is not yet given anything, and after, when it has it.
func join(holo string) error {
	return best(func() (slow, err error) {
		err = with(holo, joinMemory, 0, func(ctx context.Context, c *cluster) (err error) {
			slow, err = c.join(ctx)
			return err
		})
		return slow, err
	})
}

// join is slow where the jobs were slowed down too much and all else held.
func (c *cluster) join(ctx context.Context) (slow, err error) {
	sum, err := c.fillForJoin(ctx)
	if err != nil {
		return nil, err
	}
	j, err := c.jobs(ctx)
	if err != nil {
		return nil, err
	}
	if slow, err = j.compare(ctx); err != nil {
		return nil, err
	}
	return slow, c.sharedOut(ctx, sum)
}

func (j *jobs) compare(ctx context.Context) (slow, err error) {
	alone, err := j.last(ctx, joinAlone)
	if err != nil {
		return nil, err
	}
	started := time.Now()
	if err := j.c.add(size, 0); err != nil {
		return nil, err
	}
	quiet, err := j.last(ctx, settle-time.Since(started))
	if err != nil {
		return nil, err
	}
	if _, held, err := j.c.evened(ctx); err != nil || held > 0 {
		return nil, fmt.Errorf("control: %d bytes were moved to a node that is not settled: %w", held, err)
	}
	machine := watchNodes(j.c.nodes)
	moving, err := j.whileMoving(ctx)
	if err != nil {
		return nil, err
	}
	left, err := machine.share()
	if err != nil {
		return nil, err
	}
	after, err := j.last(ctx, joinAfter)
	if err != nil {
		return nil, err
	}
	fmt.Printf("capacity: 95th percentiles: %s before it joined, %s before it was given its share, %s meanwhile, %s after\n", alone, quiet, moving, after)
	return gentle(moving, append(quiet, after...), left), nil
}

// fillForJoin writes what is to move besides the table.
func (c *cluster) fillForJoin(ctx context.Context) (sum [32]byte, err error) {
	if err := c.create(ctx, "other", joinOther, 2); err != nil {
		return sum, err
	}
	return c.write(ctx, "other", joinOther)
}

// jobs are jobs over a table, each like the one before.
type jobs struct {
	c     *cluster
	table *holocompute.Raw
	want  []byte // the result
}

func (c *cluster) jobs(ctx context.Context) (*jobs, error) {
	if _, err := c.query(c.nodes[0], "kernel", "push", "sample:basic"); err != nil {
		return nil, err
	}
	a, err := holocompute.Create[int64](ctx, c.nodes[0].Cluster, "table", joinTable/8, holocompute.ArrayOptions{Copies: 2})
	if err != nil {
		return nil, err
	}
	values := make([]int64, step/8)
	for first := uint64(0); first < a.Len(); first += uint64(len(values)) {
		for i := range values {
			values[i] = int64(first) + int64(i)*7919
		}
		if err := a.Write(ctx, first, values); err != nil {
			return nil, err
		}
	}
	j := &jobs{c: c, table: a.Raw()}
	j.want, err = j.run(ctx) // which also compiles the kernel
	return j, err
}

func (j *jobs) run(ctx context.Context) ([]byte, error) {
	job, err := j.c.nodes[0].Reduce(ctx, holocompute.Call{Kernel: "basic", Function: "stats", Inputs: []*holocompute.Raw{j.table}}, 120)
	if err != nil {
		return nil, err
	}
	return job.Wait(ctx)
}

// times is how long jobs took, in seconds.
type times []float64

func (t times) p95() float64 {
	sorted := slices.Sorted(slices.Values(t))
	return sorted[len(sorted)*95/100]
}

func (t times) String() string {
	sorted := slices.Sorted(slices.Values(t))
	return fmt.Sprintf("%.0f ms (median %.0f, of %d jobs)", t.p95()*1000, sorted[len(t)/2]*1000, len(t))
}

// timed runs jobs for as long as there is more to see.
func (j *jobs) timed(ctx context.Context, more func() bool) (t times, err error) {
	for len(t) == 0 || more() {
		began := time.Now()
		got, err := j.run(ctx)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(got, j.want) {
			return nil, fmt.Errorf("a job's result is %x, that of the first %x", got, j.want)
		}
		t = append(t, time.Since(began).Seconds())
	}
	return t, nil
}

// last runs jobs for a time, and asks for the status after each as whileMoving does.
func (j *jobs) last(ctx context.Context, d time.Duration) (times, error) {
	end := time.Now().Add(d)
	var seen error
	t, err := j.timed(ctx, func() bool {
		_, _, seen = j.c.evened(ctx)
		return seen == nil && time.Now().Before(end)
	})
	return t, errors.Join(err, seen)
}

// whileMoving runs jobs until the newest node has its share.
func (j *jobs) whileMoving(ctx context.Context) (times, error) {
	began, held, even := time.Now(), uint64(0), false
	var seen error
	t, err := j.timed(ctx, func() bool {
		even, held, seen = j.c.evened(ctx)
		return seen == nil && !even && time.Since(began) < joinLimit
	})
	if err := errors.Join(err, seen); err != nil {
		return nil, err
	}
	took := time.Since(began).Seconds()
	fmt.Printf("capacity: a fourth node was given %d MiB in %.1f s, %.1f MiB/s (cap %d)\n", held/mib, took, float64(held)/mib/took, moveRate/mib)
	switch {
	case !even:
		return nil, fmt.Errorf("the node has not its share after %s", joinLimit)
	case float64(held) > moveRate*took+step:
		return nil, errors.New("more was moved than the cap allows")
	}
	return t, nil
}

// gentle compares jobs while copies move with jobs beside the same processes. What
// moving takes of the processors is more of them where all nodes share two than
// where each has two.
func gentle(moving, quiet times, left float64) error {
	crowd := max(1, float64(ownProcessors*(size+1))/(left*float64(runtime.NumCPU())))
	ratio, bar := moving.p95()/quiet.p95(), 1+joinSlower*crowd
	fmt.Printf("capacity: %d jobs while copies moved and %d while none did: the ratio of the 95th percentiles is %.2f (bar %.2f: %.0f %% of %d processors were left to the nodes; where each node has %d to itself it is %.2f)\n",
		len(moving), len(quiet), ratio, bar, left*100, runtime.NumCPU(), ownProcessors, 1+joinSlower)
	switch {
	case min(len(moving), len(quiet)) < joinJobs:
		return fmt.Errorf("control: fewer than %d jobs say nothing", joinJobs)
	case ratio > bar:
		return errors.New("jobs were slowed down too much")
	}
	return nil
}

// evened reports whether the newest node is a member of its share of the shards,
// and what it has of their pages.
func (c *cluster) evened(ctx context.Context) (even bool, held uint64, err error) {
	s, err := c.nodes[0].Status(ctx)
	if err != nil {
		return false, 0, err
	}
	all, newest := 0, 0
	for _, n := range s.Nodes {
		if all += n.Members; n.Name == fmt.Sprint("n", size+1) {
			newest, held = n.Members, n.ResidentBytes
		}
	}
	return 10*newest*len(s.Nodes) > 9*all, held, nil
}

// sharedOut checks that everything is there as it was, in all its copies, and that
// the newest node still has its share.
func (c *cluster) sharedOut(ctx context.Context, want [32]byte) error {
	if got, err := c.nodes[0].sum(ctx, "other"); err != nil || got != want {
		return fmt.Errorf("%d bytes read after the move: SHA-256 %x, want %x: %w", joinOther, got, want, err)
	}
	even, held, err := c.evened(ctx)
	if err != nil || !even {
		return fmt.Errorf("the fourth node has %d bytes and not its share: %w", held, err)
	}
	s, err := c.nodes[0].Status(ctx)
	if err != nil || s.Shards.Full != s.Shards.Total {
		return fmt.Errorf("%d of %d shards have all their copies: %w", s.Shards.Full, s.Shards.Total, err)
	}
	fmt.Printf("capacity: %d MiB are as they were written, and every shard has all its copies\n", joinOther/mib)
	return nil
}
