package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/holocompute/holocompute"
)

const (
	slowPart   = 5               // a slow node has a fifth of what the others have
	slowJob    = 8 * time.Second // about what the job takes on two nodes, long beside what help waits for
	slowTable  = 96 * mib
	slowExtent = mib / 2

	fewCentroids  = 32
	mostCentroids = 2048
	slowBar       = 1.4 // of the ideal
	slowMore      = 1.1 // of the time without the slow node: two runs of one job differ by that
)

// slow compares a job on two nodes, on three, and on three of which one is slow.
func slow(holo string) error {
	return best(func() (slow, err error) {
		err = withNodes(holo, size-1, joinMemory, 0, func(ctx context.Context, c *cluster) (err error) {
			slow, err = c.slow(ctx)
			return err
		})
		return slow, err
	})
}

// slow is so where the job took too long and came to what it should.
func (c *cluster) slow(ctx context.Context) (slow, err error) {
	j, err := c.longJob(ctx)
	if err != nil {
		return nil, err
	}
	full := fullPart()
	two, err := j.timed(ctx, full, full)
	if err != nil {
		return nil, err
	}
	if err := c.third(ctx); err != nil {
		return nil, err
	}
	three, err := j.timed(ctx, full, full, full)
	if err != nil {
		return nil, err
	}
	held, err := j.timed(ctx, full, full, full/slowPart)
	if err != nil {
		return nil, err
	}
	return judgeSlow(two, three, held)
}

// third adds a node and has it given its share.
func (c *cluster) third(ctx context.Context) error {
	if err := c.add(size-1, 0); err != nil {
		return err
	}
	if err := c.nodes[0].Rebalance(ctx); err != nil {
		return err
	}
	_, err := c.nodes[0].AwaitBalance(ctx, nil)
	return err
}

// took is how long a job took, and what part of one processor each node used.
type took struct {
	wall time.Duration
	used []float64
}

func (t took) String() string {
	return fmt.Sprintf("%.1f s, in which the nodes used %.2f processors", t.wall.Seconds(), t.used)
}

// judgeSlow takes the ideal from the run in which no node was slow.
func judgeSlow(two, three, held took) (slow, err error) {
	fmt.Printf("capacity: a job on two nodes: %s\ncapacity: on three: %s\ncapacity: on three of which one is slow: %s\n", two, three, held)
	if u := held.used; u[2] > u[0]*0.35 {
		return errors.New("control: the slow node was not slow beside the others: this machine has too much else to do"), nil
	}
	ideal := three.wall.Seconds() * size / (size - 1 + 1.0/slowPart)
	ratio, beside := held.wall.Seconds()/ideal, held.wall.Seconds()/two.wall.Seconds()
	fmt.Printf("capacity: with the slow node it took %.2f times the ideal of %.1f s (bar %.2f), and %.2f times what the two took alone (bar %.2f)\n", ratio, ideal, slowBar, beside, slowMore)
	if ratio > slowBar || beside > slowMore {
		slow = errors.New("a slow node made a job too slow")
	}
	return slow, nil
}

// longJob is a step of k-means with so many centroids that it takes about slowJob.
type longJob struct {
	c     *cluster
	table *holocompute.Raw
	at    [][]float64
	want  *holocompute.Clusters // what it came to first
}

func (c *cluster) longJob(ctx context.Context) (*longJob, error) {
	a, err := holocompute.Create[float64](ctx, c.nodes[0].Cluster, "table", slowTable/8, holocompute.ArrayOptions{Extent: slowExtent / 8, Copies: 2})
	if err != nil {
		return nil, err
	}
	values := make([]float64, step/8)
	for first := uint64(0); first < a.Len(); first += uint64(len(values)) {
		for i := range values {
			values[i] = float64((first + uint64(i)) * 7919 % 100_003)
		}
		if err := a.Write(ctx, first, values); err != nil {
			return nil, err
		}
	}
	j := &longJob{c: c, table: a.Raw()}
	return j, j.lengthen(ctx)
}

// lengthen finds how many centroids it takes, at the speed that nodes will have.
func (j *longJob) lengthen(ctx context.Context) error {
	var first took
	for range 2 { // the first time the kernel is compiled
		j.at, j.want = spread(fewCentroids), nil
		var err error
		if first, err = j.timed(ctx, fullPart(), fullPart()); err != nil {
			return err
		}
	}
	j.at, j.want = spread(min(fewCentroids*int(slowJob/first.wall+1), mostCentroids)), nil
	return nil
}

func spread(count int) (at [][]float64) {
	for i := range count {
		at = append(at, []float64{float64(i) * 100_003 / float64(count)})
	}
	return at
}

func (j *longJob) run(ctx context.Context) (holocompute.Clusters, error) {
	return j.c.nodes[0].KMeans(ctx, holocompute.KMeansOptions{Start: j.at, Iterations: 1}, j.table)
}

// timed runs the job on nodes that are held to so many processors each.
func (j *longJob) timed(ctx context.Context, parts ...float64) (out took, err error) {
	before, err := j.hold(parts)
	if err != nil {
		return out, err
	}
	began := time.Now()
	got, err := j.run(ctx)
	out.wall = time.Since(began)
	if err != nil {
		return out, err
	}
	if j.want == nil {
		j.want = &got
	}
	if !reflect.DeepEqual(got, *j.want) {
		return out, errors.New("the job comes to something else than it did on two nodes")
	}
	for i, n := range j.c.nodes {
		ticks, err := treeTicks(n.agent.Process.Pid)
		if err != nil {
			return out, err
		}
		out.used = append(out.used, float64(ticks-before[i])/ticksPerSecond/out.wall.Seconds())
	}
	return out, nil
}

// hold holds the nodes, and gives the ticks that they have used.
func (j *longJob) hold(parts []float64) (ticks []uint64, err error) {
	for i, n := range j.c.nodes {
		if err := n.hold(parts[i]); err != nil {
			return nil, err
		}
		t, err := treeTicks(n.agent.Process.Pid)
		if err != nil {
			return nil, err
		}
		ticks = append(ticks, t)
	}
	return ticks, nil
}
