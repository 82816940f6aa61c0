package holocompute_test

import (
	"context"
	"fmt"
	"log"

	"github.com/holocompute/holocompute"
)

// A buffer carries records from those who make them to those who work on them.
func ExampleCluster_CreateBuffer() {
	ctx := context.Background()
	cluster, err := holocompute.Connect(ctx, holocompute.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	b, err := cluster.CreateBuffer(ctx, "example/orders", holocompute.BufferOptions{})
	if err != nil {
		log.Fatal(err)
	}
	p, err := b.Producer(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := p.Append(ctx, []byte("two apples"), []byte("a pear")); err != nil {
		log.Fatal(err)
	}
	batch, err := b.Consumer(0).Next(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range batch.Records {
		fmt.Println(r.Sequence, string(r.Data))
	}
	if err := batch.Commit(ctx); err != nil { // they are ours alone, and gone
		log.Fatal(err)
	}
	// Output:
	// 1 two apples
	// 2 a pear
}
