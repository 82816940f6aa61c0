package bench_test

import (
	"context"
	"encoding/binary"
	"path/filepath"
	"testing"
	"time"

	"github.com/holocompute/holocompute/bench"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/module"
	"github.com/holocompute/holocompute/internal/node"
	"github.com/holocompute/holocompute/kernels"
)

// oneNode is a cluster of one node, with leases granted.
func oneNode(b *testing.B) (*node.Node, key.Signer) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	dir := filepath.Join(b.TempDir(), "node")
	_, err := node.Init(ctx, node.InitConfig{Dir: dir, ConfigDir: dir + "-config", NodeName: "bench", MemoryBytes: 256 << 20})
	if err != nil {
		b.Fatal(err)
	}
	n := must(node.Start(b.Context(), node.Config{Dir: dir, MemoryBytes: 256 << 20}))
	b.Cleanup(func() { _ = n.Close() })
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for {
		if s, err := n.Status(ctx, door.Caller{}); err == nil && s.Nodes[0].Lease {
			return n, must(identity.ReadSigner(filepath.Join(dir+"-config", identity.UserKeyFile)))
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			b.Fatal("the node never had a lease")
		}
	}
}

// BenchmarkJob adds up 64 MiB of i64 as a job on one node, from the request to
// the result, in 16 tasks of 4 MiB; and adds two such arrays into a third, whose
// pages are hashed and committed. The baseline is the loop in Go over one
// slice. What a job costs beside its kernel shows best against BenchmarkReduce
// and BenchmarkMap.
func BenchmarkJob(b *testing.B) {
	n, user := oneNode(b)
	ctx := b.Context()
	m := must(module.Admit(kernels.Get("basic")))
	push := &holov1.PushKernelRequest{Name: "basic", Module: m.ID[:], Size: uint64(len(m.Original)), Functions: m.Names()}
	ask := door.Ask(n, user, holov1connect.KernelServicePushProcedure, push)
	ask.Attached = m.Original
	if _, err := n.PushKernel(ctx, ask, push); err != nil {
		b.Fatal(err)
	}
	const size = 16 * extentBytes
	content := make([]byte, size)
	for i := range size / 8 {
		binary.LittleEndian.PutUint64(content[8*i:], uint64(i*7919))
	}
	array := func(name string) uint64 {
		create := &holov1.CreateArrayRequest{Name: name, Type: "i64", Length: size / 8, ExtentElements: extentBytes / 8, Affinity: "bench", Copies: 1}
		a := must(n.CreateArray(ctx, door.Ask(n, user, holov1connect.ArrayServiceCreateProcedure, create), create))
		if err := n.WriteRange(ctx, holo.ArrayID(a.Id), 0, content); err != nil {
			b.Fatal(err)
		}
		return a.Id
	}
	x, out := array("x"), array("out")
	run := func(m *holov1.SubmitRequest) func(int) {
		return func(times int) {
			for range times {
				j := must(n.SubmitJob(ctx, door.Ask(n, user, holov1connect.JobServiceSubmitProcedure, m), m))
				id := holo.JobID(j.Id)
				if err := n.WatchJob(ctx, door.Caller{}, id, func(*holov1.JobProgress) error { return nil }); err != nil {
					b.Fatal(err)
				}
				if j = must(n.GetJob(ctx, door.Caller{}, id)); j.State != "done" {
					b.Fatal(j.Error)
				}
			}
		}
	}
	var sum, low, high int64
	values, sums := elements[int64](content), make([]int64, size/8)
	b.Run("reduce", func(b *testing.B) {
		bench.Compare(b, 1, size, func(times int) {
			for range times {
				for _, v := range values {
					sum, low, high = sum+v, min(low, v), max(high, v)
				}
			}
		}, run(&holov1.SubmitRequest{Kernel: "basic", Function: "stats", Kind: "reduce", Inputs: []uint64{x}, AccBytes: 120}))
	})
	b.Run("map", func(b *testing.B) {
		bench.Compare(b, 1, 3*size, func(times int) {
			for range times {
				for i, v := range values {
					sums[i] = v + v
				}
			}
		}, run(&holov1.SubmitRequest{Kernel: "basic", Function: "add", Kind: "map", Inputs: []uint64{x, x}, Output: out}))
	})
}
