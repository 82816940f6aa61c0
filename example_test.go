package holocompute_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/kernels"
)

// Connect finds the node on this machine by itself.
func ExampleConnect() {
	ctx := context.Background()
	cluster, err := holocompute.Connect(ctx, holocompute.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	status, err := cluster.Status(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, n := range status.Nodes {
		fmt.Println(n.Name, n.State)
	}
	// Output: n1 active
}

// An array takes and gives slices.
func ExampleCreate() {
	ctx := context.Background()
	cluster, err := holocompute.Connect(ctx, holocompute.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	a, err := holocompute.Create[int32](ctx, cluster, "example/squares", 1_000_000, holocompute.ArrayOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if err := a.Write(ctx, 500_000, []int32{0, 1, 4, 9, 16}); err != nil {
		log.Fatal(err)
	}
	got := make([]int32, 7)
	if err := a.Read(ctx, 499_999, got); err != nil {
		log.Fatal(err)
	}
	fmt.Println(got)
	// Output: [0 0 1 4 9 16 0]
}

// A map writes an array, element by element, where the elements lie.
func ExampleCluster_Map() {
	ctx := context.Background()
	cluster, err := holocompute.Connect(ctx, holocompute.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	if _, err := cluster.PushKernel(ctx, "basic", kernels.Get("basic")); err != nil {
		log.Fatal(err)
	}
	together := holocompute.ArrayOptions{Affinity: "example"}
	in, err := holocompute.Create[float64](ctx, cluster, "example/in", 100_000, together)
	if err != nil {
		log.Fatal(err)
	}
	if err := in.Fill(ctx, 0, in.Len(), 1.5); err != nil {
		log.Fatal(err)
	}
	out, err := holocompute.Create[float64](ctx, cluster, "example/out", 100_000, together)
	if err != nil {
		log.Fatal(err)
	}
	job, err := cluster.Map(ctx, holocompute.Call{
		Kernel: "basic", Function: "scale", Inputs: []*holocompute.Raw{in.Raw()}, Params: holocompute.Bytes([]float64{4}),
	}, out.Raw())
	if err != nil {
		log.Fatal(err)
	}
	if _, err := job.Wait(ctx); err != nil {
		log.Fatal(err)
	}
	last := make([]float64, 2)
	if err := out.Read(ctx, 99_998, last); err != nil {
		log.Fatal(err)
	}
	fmt.Println(last)
	// Output: [6 6]
}

// A reduce gives back its accumulator; the progress says where the work was.
func ExampleCluster_Reduce() {
	ctx := context.Background()
	cluster, err := holocompute.Connect(ctx, holocompute.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	if _, err := cluster.PushKernel(ctx, "basic", kernels.Get("basic")); err != nil {
		log.Fatal(err)
	}
	a, err := holocompute.Create[int16](ctx, cluster, "example/delays", 200_000, holocompute.ArrayOptions{Extent: 65536})
	if err != nil {
		log.Fatal(err)
	}
	if err := a.Fill(ctx, 0, a.Len(), 7); err != nil {
		log.Fatal(err)
	}
	job, err := cluster.Reduce(ctx, holocompute.Call{Kernel: "basic", Function: "stats", Inputs: []*holocompute.Raw{a.Raw()}}, 120)
	if err != nil {
		log.Fatal(err)
	}
	acc, err := job.Wait(ctx)
	if err != nil {
		log.Fatal(err)
	}
	stats, err := holocompute.Values[int64](acc)
	if err != nil {
		log.Fatal(err)
	}
	progress, err := job.Progress(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("count", stats[0], "sum", stats[2])
	fmt.Println("tasks", progress.Committed, "bytes processed", progress.BytesProcessed, "bytes moved", progress.BytesMoved)
	// Output:
	// count 200000 sum 1400000
	// tasks 4 bytes processed 400000 bytes moved 0
}

// Many programs may count in one element at once; each addition counts once.
func ExampleArray_Add() {
	ctx := context.Background()
	cluster, err := holocompute.Connect(ctx, holocompute.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	counters, err := holocompute.Create[int64](ctx, cluster, "example/counters", 8, holocompute.ArrayOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for range 3 {
		if _, err := counters.Add(ctx, 2, 7); err != nil {
			log.Fatal(err)
		}
	}
	before, err := counters.Max(ctx, 2, 100)
	if err != nil {
		log.Fatal(err)
	}
	met, swapped, err := counters.CompareAndSwap(ctx, 2, 99, 5)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(before, met, swapped)
	// Output: 21 100 false
}

// Each node signs what it did for a job. The receipts can be checked anywhere,
// and `holo verify` runs the tasks again.
func ExampleJob_Receipts() {
	ctx := context.Background()
	cluster, err := holocompute.Connect(ctx, holocompute.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	if _, err := cluster.PushKernel(ctx, "basic", kernels.Get("basic")); err != nil {
		log.Fatal(err)
	}
	a, err := holocompute.Create[int16](ctx, cluster, "example/proven", 200_000, holocompute.ArrayOptions{Extent: 65536})
	if err != nil {
		log.Fatal(err)
	}
	if err := a.Seal(ctx); err != nil {
		log.Fatal(err)
	}
	job, err := cluster.Reduce(ctx, holocompute.Call{Kernel: "basic", Function: "stats", Inputs: []*holocompute.Raw{a.Raw()}}, 120)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := job.Wait(ctx); err != nil {
		log.Fatal(err)
	}
	receipts, err := job.Receipts(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(receipts.Tasks()), "tasks, signatures:", receipts.Check())
	// Output: 4 tasks, signatures: <nil>
}

// Errors have a kind that says what can be done about them.
func ExampleError() {
	ctx := context.Background()
	cluster, err := holocompute.Connect(ctx, holocompute.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	_, err = holocompute.Open[float32](ctx, cluster, "example/nothing")
	var e *holocompute.Error
	if errors.As(err, &e) {
		fmt.Println(e.Kind == holocompute.NotFound, e)
	}
	// Output: true open array example/nothing: there is no array example/nothing
}
