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
	turn       = round / size
	slowTurn   = turn / 5
	slowJob    = 8 * time.Second // about what the job takes at full speed, long beside what help waits for
	slowTable  = 96 * mib
	slowExtent = mib / 2

	fewCentroids  = 32
	mostCentroids = 2048
	slowBar       = 1.4  // of the ideal
	slowMore      = 1.05 // of the time without the slow node: two runs of one job differ by that
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
	two, err := j.timed(ctx, turn, turn)
	if err != nil {
		return nil, err
	}
	if err := c.third(ctx); err != nil {
		return nil, err
	}
	full, err := j.timed(ctx, turn, turn, turn)
	if err != nil {
		return nil, err
	}
	held, err := j.timed(ctx, turn, turn, slowTurn)
	if err != nil {
		return nil, err
	}
	return judgeSlow(two, full, held)
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

// took is how long a job took, what part of the time each node had meanwhile, and
// what part of the processors others left.
type took struct {
	wall   time.Duration
	speeds []float64
	left   float64
}

// speed is how fast some of the nodes are together if all work alike, as a part of
// the machine. What others take while it is no node's turn is taken from nobody.
func (t took) speed(nodes int) float64 {
	sum := 0.0
	for _, s := range t.speeds[:nodes] {
		sum += s
	}
	return min(sum, t.left)
}

// work is what the job would have taken a node that is the whole machine.
func (t took) work() float64 { return t.wall.Seconds() * t.speed(len(t.speeds)) }

func (t took) String() string {
	return fmt.Sprintf("%.1f s (speeds %.2f, %.0f %% of the processors left)", t.wall.Seconds(), t.speeds, t.left*100)
}

// judgeSlow takes the work from the run in which no node was slow. How long the two
// would take alone, at the speeds that they had beside the slow one, it only tells:
// what else the machine does weighs more than the difference, which is held in
// internal/core/sched.
func judgeSlow(two, full, held took) (slow, err error) {
	if s := held.speeds; s[2] > s[0]*0.35 {
		return nil, fmt.Errorf("control: the slow node had %.2f of the time and the first %.2f", s[2], s[0])
	}
	ideal, alone := full.work()/held.speed(size), two.work()/held.speed(size-1)
	ratio, beside := held.wall.Seconds()/ideal, held.wall.Seconds()/alone
	fmt.Printf("capacity: a job on two nodes: %s\ncapacity: on three: %s\ncapacity: on three of which one is slow: %s\n", two, full, held)
	fmt.Printf("capacity: with the slow node it took %.2f times the ideal of %.1f s (bar %.2f), and %.2f times the %.1f s of the two without it\n", ratio, ideal, slowBar, beside, alone)
	if ratio > slowBar {
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

// lengthen finds how many centroids it takes.
func (j *longJob) lengthen(ctx context.Context) error {
	var began time.Time
	for range 2 { // the first time the kernel is compiled
		began, j.at = time.Now(), spread(fewCentroids)
		if _, err := j.run(ctx); err != nil {
			return err
		}
	}
	j.at = spread(min(fewCentroids*int(slowJob/time.Since(began)+1), mostCentroids))
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

// timed runs the job while the nodes take turns.
func (j *longJob) timed(ctx context.Context, parts ...time.Duration) (out took, err error) {
	m, t := watchTrees(j.c.nodes), takeTurns(j.c.nodes, parts...)
	began := time.Now()
	got, err := j.run(ctx)
	out.wall, out.speeds = time.Since(began), t.end()
	if err != nil {
		return out, err
	}
	if j.want == nil {
		j.want = &got
	}
	if !reflect.DeepEqual(got, *j.want) {
		return out, errors.New("the job comes to something else than it did on two nodes")
	}
	out.left, err = m.share()
	return out, err
}
