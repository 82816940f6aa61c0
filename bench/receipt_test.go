package bench_test

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"testing"

	"github.com/holocompute/holocompute/bench"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/wire"
)

// BenchmarkReceipt compares what a task's receipt costs, signed by its node and
// checked by the coordinator, with the two curve operations that are in it.
func BenchmarkReceipt(b *testing.B) {
	node, cluster := key.GenerateSigner(), holo.ClusterID{1}
	task := &wire.RunTask{
		Job: 1, Kind: wire.TaskReduce, Function: "by_hour", AccBytes: 4096, Length: 1 << 20, Extent: 1 << 19, Count: 1 << 19,
		Inputs: []wire.TaskArray{{Array: 1, Type: holo.I16}, {Array: 2, Type: holo.I16}},
	}
	said := &wire.Receipt{Node: node.Public(), Time: 1, Prices: "gas/1", Gas: 1 << 30, Inputs: make([]holo.Digest, 2)}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	msg := said.Proof(cluster, task)
	bench.Compare(b, 50, 0, func(k int) {
		for range k {
			if !ed25519.Verify(public, msg, ed25519.Sign(private, msg)) {
				b.Fatal("not signed")
			}
		}
	}, func(k int) {
		for range k {
			copy(said.Signature[:], node.Sign(said.Proof(cluster, task)))
			if !key.Verify(said.Node, said.Proof(cluster, task), said.Signature[:]) {
				b.Fatal("not signed")
			}
		}
	})
}

// BenchmarkAtomicAdd compares adding to an element with writing one, both at
// the node that is home to it, with one copy.
func BenchmarkAtomicAdd(b *testing.B) {
	n, id, c := home(b)
	ctx, one := context.Background(), []byte{1}
	op := uint64(0)
	bench.Compare(b, 500, 0, func(k int) {
		for range k {
			if err := n.WriteBytes(ctx, c, id, 7, one); err != nil {
				b.Fatal(err)
			}
		}
	}, func(k int) {
		for range k {
			op++
			req := &holov1.ApplyAtomicRequest{
				Array: uint64(id), Index: 7, Kind: "add", Operand: one, Operation: binary.BigEndian.AppendUint64([]byte("bench..."), op),
			}
			if _, err := n.Atomic(ctx, c, req); err != nil {
				b.Fatal(err)
			}
		}
	})
}
