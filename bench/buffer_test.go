package bench_test

import (
	"context"
	"testing"

	"github.com/holocompute/holocompute/bench"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
)

// BenchmarkBuffer compares a record of 100 bytes on its way through a buffer,
// appended, taken and committed in batches of 500, with writing and reading as
// many bytes of an array in pieces as long, both at the node that is home.
func BenchmarkBuffer(b *testing.B) {
	const batch, size = 500, 100
	n, plain, c, buffer := homeOfBuffer(b)
	ctx := context.Background()
	records, bytes := make([][]byte, batch), make([]byte, batch*size)
	for i := range records {
		records[i] = bytes[i*size:][:size]
		records[i][7] = byte(i)
	}
	if _, err := n.OpenProducer(ctx, c, &holov1.OpenBufferRequest{Array: buffer, Producer: 1}); err != nil {
		b.Fatal(err)
	}
	next, taken := uint64(1), uint64(0)
	bench.Compare(b, 100*batch, size, func(k int) {
		for range k / batch {
			if err := n.WriteBytes(ctx, c, plain, 0, bytes); err != nil {
				b.Fatal(err)
			}
			if err := n.ReadBytes(ctx, c, plain, 0, bytes); err != nil {
				b.Fatal(err)
			}
		}
	}, func(k int) {
		for range k / batch {
			if _, err := n.AppendRecords(ctx, c, &holov1.AppendRequest{Array: buffer, Producer: 1, Sequence: next, Records: records}); err != nil {
				b.Fatal(err)
			}
			next, taken = next+batch, taken+1
			t, err := n.TakeRecords(ctx, c, &holov1.TakeRequest{Array: buffer, Consumer: 2, Sequence: taken})
			if err != nil || len(t.GetRecords()) != batch {
				b.Fatalf("%d records: %v", len(t.GetRecords()), err)
			}
			if err := n.SettleRecords(ctx, c, &holov1.SettleRequest{Array: buffer, Consumer: 2, Lane: t.GetLane(), Number: t.GetNumber()}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
