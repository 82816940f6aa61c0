package bench_test

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/holocompute/holocompute/bench"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/core/sched"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/kernels/std"
)

// The graph of both benchmarks: 10,000 tasks in 40 stages of 250 extents.
const (
	graphStages  = 40
	graphExtents = 250
	graphTasks   = graphStages * graphExtents
)

// taskOverhead is what a task may take its node beyond its work. It takes a fifth.
const taskOverhead = time.Millisecond

// BenchmarkSchedule is the machine alone: 10,000 tasks on three nodes, each
// stage after the one before it, extent by extent. It reports the median time
// from handing a task out to having counted it, and the memory of a task that
// is queued.
func BenchmarkSchedule(b *testing.B) {
	stages := make([]sched.Stage, graphStages)
	for i := range stages {
		stages[i].Shards = make([]holo.ShardID, graphExtents)
		for e := range stages[i].Shards {
			stages[i].Shards[e] = holo.MakeShardID(1, uint64(e))
		}
		if i > 0 {
			stages[i].Each = []int{i - 1}
		}
	}
	home := func(s holo.ShardID) (holo.NodeID, bool) { return holo.NodeID{31: byte(1 + s%3)}, true }
	before := liveBytes()
	j := sched.NewGraph(stages, sched.Options{})
	queued := liveBytes() - before
	runtime.KeepAlive(j)
	var each []float64
	for b.Loop() {
		j := sched.NewGraph(stages, sched.Options{})
		var out []sched.Assign
		for state, _ := j.State(); state == sched.Running; state, _ = j.State() {
			start := time.Now()
			out = append(out, j.Next(0, home)...)
			a := out[0]
			out = out[1:]
			j.Done(0, a, sched.Result{})
			each = append(each, float64(time.Since(start)))
		}
	}
	slices.Sort(each)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(each[len(each)/2], "median-ns/task")
	b.ReportMetric(float64(queued)/graphTasks, "queued-B/task")
}

// BenchmarkTasks is all of it on one node: 10,000 tasks of one graph, submitted,
// run in a worker process and counted. Each looks at one page of zeros: about
// as little as a kernel can do. The baseline counts them in Go. The processor
// time is the node's, the worker's own is not in it, and is held to taskOverhead.
func BenchmarkTasks(b *testing.B) {
	n, user := oneNode(b)
	ctx := b.Context()
	create := &holov1.CreateArrayRequest{Name: "x", Type: "i64", Length: graphExtents * holo.PageSize / 8, ExtentElements: holo.PageSize / 8, Affinity: "bench", Copies: 1}
	x := must(n.CreateArray(ctx, door.Ask(n, user, holov1connect.ArrayServiceCreateProcedure, create), create))
	stage := func() *holov1.SubmitRequest {
		equal := append([]byte{1, 7: 0}, make([]byte, 8)...)
		return &holov1.SubmitRequest{Kernel: std.Count, Function: "count", Kind: "reduce", Inputs: []uint64{x.Id}, AccBytes: 16, Params: equal}
	}
	graph := stage()
	for range graphStages - 1 {
		graph.Then = append(graph.Then, stage())
	}
	run := func() {
		j := must(n.SubmitJob(ctx, door.Ask(n, user, holov1connect.JobServiceSubmitProcedure, graph), graph))
		id := holo.JobID(j.Id)
		if err := n.WatchJob(ctx, door.Caller{}, id, func(*holov1.JobProgress) error { return nil }); err != nil {
			b.Fatal(err)
		}
		if j = must(n.GetJob(ctx, door.Caller{}, id)); j.State != "done" || len(j.Result) != 16*graphStages {
			b.Fatal(j.State, j.Error, len(j.Result))
		}
	}
	run() // compile
	before, rounds, zeros := liveBytes(), 0, make([]int64, holo.PageSize/8)
	cost := bench.Compare(b, graphTasks, 0, func(n int) {
		for range n {
			equal := 0
			for _, v := range zeros {
				if v == 0 {
					equal++
				}
			}
			if equal != len(zeros) {
				b.Fatal("zeros are not counted")
			}
		}
	}, func(int) { run(); rounds++ })
	cost.Within(b, taskOverhead)
	b.ReportMetric(float64(liveBytes()-before)/float64(rounds)/graphTasks, "kept-B/task")
}

// liveBytes is what is reachable now.
func liveBytes() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
