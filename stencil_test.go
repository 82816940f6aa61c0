package holocompute_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"math"
	"slices"
	"testing"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/kernels"
)

// Each element less the one before it, with nothing before the first.
func ExampleCluster_Stencil() {
	ctx := context.Background()
	cluster, err := holocompute.Connect(ctx, holocompute.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	o := holocompute.ArrayOptions{Affinity: "example-stencil"}
	in, err := holocompute.Create[int32](ctx, cluster, "example/heights", 5, o)
	if err != nil {
		log.Fatal(err)
	}
	out, err := holocompute.Create[int32](ctx, cluster, "example/steps", 5, o)
	if err != nil {
		log.Fatal(err)
	}
	if err := in.Write(ctx, 0, []int32{3, 4, 8, 8, 2}); err != nil {
		log.Fatal(err)
	}
	job, err := cluster.Stencil(ctx, out.Raw(), in.Raw(), holocompute.EdgeZero, holocompute.NumberOf[int32](-1), holocompute.NumberOf[int32](1), holocompute.NumberOf[int32](0))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := job.Wait(ctx); err != nil {
		log.Fatal(err)
	}
	steps := make([]int32, 5)
	if err := out.Read(ctx, 0, steps); err != nil {
		log.Fatal(err)
	}
	fmt.Println(steps)
	// Output: [3 1 4 0 -6]
}

// What a kernel logs comes with its task.
func ExampleJob_Log() {
	ctx := context.Background()
	cluster, err := holocompute.Connect(ctx, holocompute.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	if _, err := cluster.PushKernel(ctx, "logs", kernels.Get("logs")); err != nil {
		log.Fatal(err)
	}
	o := holocompute.ArrayOptions{Affinity: "example-log"}
	in, err := holocompute.Create[uint8](ctx, cluster, "example/said", 5, o)
	if err != nil {
		log.Fatal(err)
	}
	out, err := holocompute.Create[uint8](ctx, cluster, "example/copied", 5, o)
	if err != nil {
		log.Fatal(err)
	}
	call := holocompute.Call{Kernel: "logs", Function: "say", Inputs: []*holocompute.Raw{in.Raw()}, Params: []byte("hello\n\x1b[31mred")}
	job, err := cluster.Map(ctx, call, out.Raw())
	if err != nil {
		log.Fatal(err)
	}
	lost, err := job.Log(ctx, true, func(line holocompute.LogLine) error { // until the job has ended
		fmt.Printf("task %d: %s\n", line.Task, line.Text)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(lost, "lost")
	// Output:
	// task 0: hello
	// task 0: �[31mred
	// 0 lost
}

// A graph keeps the halo of each stage, the first one's too.
func TestStagesOfAGraphHaveHalos(t *testing.T) {
	c := connect(t)
	in := create[float64](t, c, "sdk/halo", 1, 10, 100, 1000)
	middle, out := create[float64](t, c, "sdk/halo/middle", 0, 0, 0, 0), create[float64](t, c, "sdk/halo/out", 0, 0, 0, 0)
	weights := func(w ...float64) (params []byte) {
		for _, v := range w {
			params = binary.LittleEndian.AppendUint64(params, math.Float64bits(v))
		}
		return params
	}
	stage := func(from *holocompute.Array[float64], edge string, params []byte) holocompute.Call {
		return holocompute.Call{Kernel: "std/stencil", Function: "stencil", Inputs: []*holocompute.Raw{from.Raw()}, Params: params, Halo: 1, Edge: edge}
	}
	var g holocompute.Graph
	g.Map(stage(in, holocompute.EdgeWrap, weights(1, 0, 0)), middle.Raw())
	g.Map(stage(middle, holocompute.EdgeClamp, weights(0, 0, 1)), out.Raw())
	job, err := c.Submit(t.Context(), &g)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := job.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := make([]float64, 4)
	if err := out.Read(t.Context(), 0, got); err != nil || !slices.Equal(got, []float64{1, 10, 100, 100}) {
		t.Errorf("%v, %v", got, err) // to the right around the end, and back without
	}
}
