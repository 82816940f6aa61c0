package holocompute_test

import (
	"context"
	"fmt"
	"log"

	"github.com/holocompute/holocompute"
)

// Statistics are exact: the large numbers cancel and the small one is left.
func ExampleArray_Stats() {
	ctx := context.Background()
	cluster, err := holocompute.Connect(ctx, holocompute.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	a, err := holocompute.Create[float64](ctx, cluster, "example/measured", 4, holocompute.ArrayOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if err := a.Write(ctx, 0, []float64{1e16, 1, -1e16, 3}); err != nil {
		log.Fatal(err)
	}
	s, err := a.Stats(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.Count, "numbers from", s.Min, "to", s.Max, "sum", s.Sum, "mean", s.Mean)
	// Output: 4 numbers from -1e+16 to 1e+16 sum 4 mean 1
}

// A sum of integers is as long as it has to be.
func ExampleArray_Sum() {
	ctx := context.Background()
	cluster, err := holocompute.Connect(ctx, holocompute.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	a, err := holocompute.Create[uint64](ctx, cluster, "example/large", 1_000_000, holocompute.ArrayOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if err := a.Fill(ctx, 0, a.Len(), 1<<64-1); err != nil {
		log.Fatal(err)
	}
	sum, err := a.Sum(ctx)
	if err != nil {
		log.Fatal(err)
	}
	_, fits := sum.Uint64()
	fmt.Println(sum, fits)
	// Output: 18446744073709551615000000 false
}

// The largest elements and where they are; how many exceed a value; how they
// are spread.
func ExampleArray_Top() {
	ctx := context.Background()
	cluster, err := holocompute.Connect(ctx, holocompute.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	a, err := holocompute.Create[int16](ctx, cluster, "example/late", 8, holocompute.ArrayOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if err := a.Write(ctx, 0, []int16{3, -5, 40, 16, 0, 40, 7, 120}); err != nil {
		log.Fatal(err)
	}
	top, err := a.Top(ctx, 3)
	if err != nil {
		log.Fatal(err)
	}
	late, err := a.CountIf(ctx, holocompute.Greater, 15)
	if err != nil {
		log.Fatal(err)
	}
	h, err := a.Histogram(ctx, 0, 60, 4)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(top, late)
	fmt.Println(h.Edges, h.Bins, "below", h.Below, "above", h.Above)
	// Output:
	// [{7 120} {2 40} {5 40}] 4
	// [0 15 30 45 60] [3 1 2 0] below 1 above 1
}

// Arithmetic on whole arrays, with constants where they are wanted.
func ExampleCluster_Apply() {
	ctx := context.Background()
	cluster, err := holocompute.Connect(ctx, holocompute.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	together := holocompute.ArrayOptions{Affinity: "example/apply"}
	celsius, err := holocompute.Create[float32](ctx, cluster, "example/celsius", 3, together)
	if err != nil {
		log.Fatal(err)
	}
	fahrenheit, err := holocompute.Create[float32](ctx, cluster, "example/fahrenheit", 3, together)
	if err != nil {
		log.Fatal(err)
	}
	if err := celsius.Write(ctx, 0, []float32{-40, 0, 37}); err != nil {
		log.Fatal(err)
	}
	job, err := cluster.Apply(ctx, "muladd", fahrenheit.Raw(), celsius, holocompute.Const[float32](1.8), holocompute.Const[float32](32))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := job.Wait(ctx); err != nil {
		log.Fatal(err)
	}
	got := make([]float32, 3)
	if err := fahrenheit.Read(ctx, 0, got); err != nil {
		log.Fatal(err)
	}
	dot, err := celsius.Dot(ctx, fahrenheit)
	if err != nil {
		log.Fatal(err)
	}
	norm, err := celsius.Norm(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got, dot.Float64() > 0, norm > 54)
	// Output: [-40 32 98.6] true true
}
