package jobs_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
)

const (
	runs      = 10 // of the same two jobs, on each number of nodes
	killEvery = 3  // runs on three nodes in which one dies
)

// repeated is a cluster with the input of a float sum, and an array each of whose
// pages a map counts up in place, so that a page that is written twice shows.
type repeated struct {
	*cluster
	sum, count *holov1.SubmitRequest
	reverse    *holov1.SubmitRequest // general tasks
	sums       []byte
	counter    []int64
	reversed   []byte
	died       int
}

func newRepeated(t *testing.T, size int) *repeated {
	c := newCluster(t, size)
	c.until("the cluster knows general tasks", func(s *holov1.StatusResponse) bool { return s.Protocol >= 2 })
	c.push("basic")
	c.push("tasks")
	const extent, n = holo.PageSize / 8, 120 * holo.PageSize / 8
	rng := rand.New(rand.NewPCG(9, 9))
	v, counter, ones := make([]float64, n), make([]int64, n), make([]int64, n)
	for i := range v {
		v[i], counter[i], ones[i] = (rng.Float64()-0.5)*math.Exp2(float64(rng.IntN(60))), int64(i), 1
	}
	in := c.array("v", "f64", 8, extent, bytesOf(v))
	to, one := c.array("counter", "i64", 8, extent, bytesOf(counter)), c.array("ones", "i64", 8, extent, bytesOf(ones))
	c.seal(in)
	back := c.array("back", "f64", 8, extent, make([]byte, 8*n))
	backwards := slices.Clone(v)
	slices.Reverse(backwards)
	return &repeated{
		cluster: c, counter: counter, reversed: bytesOf(backwards),
		reverse: &holov1.SubmitRequest{Kernel: "tasks", Function: "reverse", Kind: "task", Inputs: []uint64{in}, Output: back},
		sum:     &holov1.SubmitRequest{Kernel: "basic", Function: "stats", Kind: "reduce", Inputs: []uint64{in}, AccBytes: 120},
		count:   &holov1.SubmitRequest{Kernel: "basic", Function: "add", Kind: "map", Inputs: []uint64{to, one}, Output: to},
	}
}

// run does all jobs once, and has a node die in each where it is told to.
func (r *repeated) run(kill bool) {
	r.sums = r.once(r.sum, kill).Result
	r.once(r.count, kill)
	for i := range r.counter {
		r.counter[i]++
	}
	if got := r.content(r.count.Output, 8*len(r.counter)); !bytes.Equal(got, bytesOf(r.counter)) {
		r.Fatal("a page was not counted up exactly once")
	}
	if err := r.WriteRange(r.ctx, holo.ArrayID(r.reverse.Output), 0, make([]byte, len(r.reversed))); err != nil {
		r.Fatal(err)
	}
	r.once(r.reverse, kill)
	if !bytes.Equal(r.content(r.reverse.Output, len(r.reversed)), r.reversed) {
		r.Fatal("general tasks wrote something else")
	}
}

func (r *repeated) once(m *holov1.SubmitRequest, kill bool) *holov1.Job {
	if !kill {
		return r.cluster.run(m, nil)
	}
	each, victim := r.killMidJob()
	j := r.cluster.run(m, each)
	if *victim == "" {
		return j // it was done before a node had one task done and another begun
	}
	if j.Progress.Retried == 0 {
		r.Errorf("%s died in the middle of a job, of which nothing was tried again", *victim)
	}
	r.died++
	r.join(fmt.Sprintf("another%d", r.died))
	r.until("another node has its copies and its vote", func(s *holov1.StatusResponse) bool {
		return leases(s) == 3 && s.Shards.Full == s.Shards.Total &&
			!slices.ContainsFunc(s.Voters, func(v *holov1.Voter) bool { return v.Id == *victim })
	})
	return j
}

// The same jobs give the same bytes in ten runs on each number of nodes, and in
// those in which a node is killed; each page of a map is written once in each.
func TestSameJobsGiveTheSameBytesInTenRunsOnAnyNodes(t *testing.T) {
	runs := runs
	if testing.Short() {
		runs = 1 // and no death: other tests of this package have some
	}
	var first []byte
	for size := 1; size <= 3; size++ {
		r := newRepeated(t, size)
		for i := range runs {
			r.run(size == 3 && i%killEvery == 1)
			if first == nil {
				first = r.sums
			}
			if !bytes.Equal(r.sums, first) {
				t.Errorf("run %d on %d nodes: other sums", i, size)
			}
		}
		if size == 3 && runs > killEvery && r.died == 0 {
			t.Error("no node died in the middle of a job: the test was without trouble")
		}
		t.Logf("%d nodes: %d runs alike, %d nodes died", size, runs, r.died)
	}
}
