package holocompute_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"testing"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/kernels"
)

// A graph doubles the numbers twice and adds up what comes out: one job of
// three stages, each waiting for the extents that it reads.
func ExampleGraph() {
	ctx := context.Background()
	cluster, err := holocompute.Connect(ctx, holocompute.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	if _, err := cluster.PushKernel(ctx, "basic", kernels.Get("basic")); err != nil {
		log.Fatal(err)
	}
	var arrays [3]*holocompute.Array[int64]
	for i := range arrays {
		o := holocompute.ArrayOptions{Affinity: "example-graph"}
		if arrays[i], err = holocompute.Create[int64](ctx, cluster, fmt.Sprintf("example/graph%d", i), 100_000, o); err != nil {
			log.Fatal(err)
		}
	}
	if err := arrays[0].Fill(ctx, 0, arrays[0].Len(), 3); err != nil {
		log.Fatal(err)
	}
	call := func(function string, in *holocompute.Array[int64], params []byte) holocompute.Call {
		return holocompute.Call{Kernel: "basic", Function: function, Inputs: []*holocompute.Raw{in.Raw()}, Params: params}
	}
	var g holocompute.Graph
	two := holocompute.Bytes([]int64{2})
	g.Map(call("scale", arrays[0], two), arrays[1].Raw())
	g.Map(call("scale", arrays[1], two), arrays[2].Raw())
	stats := g.Reduce(call("stats", arrays[2], nil), 120)
	job, err := cluster.Submit(ctx, &g)
	if err != nil {
		log.Fatal(err)
	}
	result, err := job.Wait(ctx)
	if err != nil {
		log.Fatal(err)
	}
	b, err := stats.Result(result)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(int64(binary.LittleEndian.Uint64(b[16:])))
	// Output: 1200000
}

func TestGraphsThatAreWrongAreRefused(t *testing.T) {
	c, ctx := connect(t), t.Context()
	a := create[int64](t, c, "sdk/graph", 1, 2, 3)
	call := holocompute.Call{Kernel: "std/elementwise", Function: "add", Inputs: []*holocompute.Raw{a.Raw(), a.Raw()}}
	for text, build := range map[string]func(g *holocompute.Graph){
		"want 1 to 256":               func(*holocompute.Graph) {},
		"no output array":             func(g *holocompute.Graph) { g.Map(call, nil) },
		"an accumulator of 0 bytes":   func(g *holocompute.Graph) { g.Reduce(call, 0) },
		"no reduce of this graph":     func(g *holocompute.Graph) { g.Map(call, a.Raw(), g.Map(call, a.Raw())) },
		"which stage 0 writes":        func(g *holocompute.Graph) { g.Map(call, a.Raw()); g.Map(call, a.Raw()) },
		"stage 1: submit job: kernel": func(g *holocompute.Graph) { g.Map(call, a.Raw()); g.Reduce(holocompute.Call{Inputs: call.Inputs}, 8) },
	} {
		var g holocompute.Graph
		build(&g)
		_, err := c.Submit(ctx, &g)
		wantKind(t, err, holocompute.Invalid, text)
	}
}
