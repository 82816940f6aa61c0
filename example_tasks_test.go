package holocompute_test

import (
	"context"
	"fmt"
	"log"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/kernels"
)

// A task asks for the elements that it needs, wherever they lie: the last ones of an
// array, from its end.
func ExampleCluster_RunTasks() {
	ctx := context.Background()
	cluster, err := holocompute.Connect(ctx, holocompute.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	if _, err := cluster.PushKernel(ctx, "tasks", kernels.Get("tasks")); err != nil {
		log.Fatal(err)
	}
	in, err := holocompute.Create[int64](ctx, cluster, "example/forwards", 5, holocompute.ArrayOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if err := in.Write(ctx, 0, []int64{1, 2, 3, 4, 5}); err != nil {
		log.Fatal(err)
	}
	if err := in.Seal(ctx); err != nil {
		log.Fatal(err)
	}
	out, err := holocompute.Create[int64](ctx, cluster, "example/backwards", 3, holocompute.ArrayOptions{})
	if err != nil {
		log.Fatal(err)
	}
	job, err := cluster.RunTasks(ctx, holocompute.Call{Kernel: "tasks", Function: "reverse", Inputs: []*holocompute.Raw{in.Raw()}}, out.Raw())
	if err != nil {
		log.Fatal(err)
	}
	if _, err := job.Wait(ctx); err != nil {
		log.Fatal(err)
	}
	last := make([]int64, 3)
	if err := out.Read(ctx, 0, last); err != nil {
		log.Fatal(err)
	}
	fmt.Println(last)
	// Output: [5 4 3]
}
