package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/holocompute/holocompute"
)

const (
	joinMemory = 512 * mib
	joinData   = 384 * mib // of two copies: 256 MiB on each of three nodes, 192 on each of four
	joinBefore = 40        // jobs before the join
	moveRate   = 32 * mib  // what a cluster runs with
	joinLimit  = 2 * time.Minute
)

// join has a fourth node join while jobs run, and compares how long they take
// while it is given its share with how long they took before, each by what others
// left of the processors.
func join(holo string) error {
	return with(holo, joinMemory, 0, func(ctx context.Context, c *cluster) error {
		run, err := c.jobs(ctx)
		if err != nil {
			return err
		}
		before, err := c.timed(run, func(n int) bool { return n < joinBefore })
		if err != nil {
			return err
		}
		if err := c.add(size, 0); err != nil {
			return err
		}
		began, held := time.Now(), uint64(0)
		var seen error
		during, err := c.timed(run, func(int) bool {
			var even bool
			even, held, seen = c.evened(ctx)
			return seen == nil && !even && time.Since(began) < joinLimit
		})
		if err := errors.Join(err, seen); err != nil {
			return err
		}
		took := time.Since(began)
		fmt.Printf("capacity: a fourth node joined and got %d MiB in %.1f s, %.1f MiB/s (cap %d): %d jobs meanwhile, p95 %.0f ms; before %.0f ms: ratio %.2f of what others left (bar 1.20)\n",
			held/mib, took.Seconds(), float64(held)/mib/took.Seconds(), moveRate/mib, during.jobs, during.p95*1000, before.p95*1000, during.p95/before.p95)
		if float64(held) > moveRate*took.Seconds()+joinData/100 {
			return errors.New("more was moved than the cap allows")
		}
		return nil
	})
}

// jobs makes an array and gives a job over all of it.
func (c *cluster) jobs(ctx context.Context) (run func() error, err error) {
	if _, err := c.query(c.nodes[0], "kernel", "push", "sample:basic"); err != nil {
		return nil, err
	}
	a, err := holocompute.Create[int64](ctx, c.nodes[0].Cluster, "table", joinData/8, holocompute.ArrayOptions{Copies: 2})
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
	return func() error {
		job, err := c.nodes[0].Reduce(ctx, holocompute.Call{Kernel: "basic", Function: "stats", Inputs: []*holocompute.Raw{a.Raw()}}, 120)
		if err == nil {
			_, err = job.Wait(ctx)
		}
		return err
	}, nil
}

// times is how long jobs took, in seconds of what others left of the processors.
type times struct {
	jobs int
	p95  float64
}

func (c *cluster) timed(run func() error, more func(n int) bool) (times, error) {
	var list []float64
	for more(len(list)) || len(list) < 5 {
		m, began := watchMachine(c.nodes), time.Now()
		if err := run(); err != nil {
			return times{}, err
		}
		share, err := m.share()
		if err != nil {
			return times{}, err
		}
		list = append(list, time.Since(began).Seconds()*share)
	}
	slices.Sort(list)
	return times{len(list), list[len(list)*95/100]}, nil
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
