package bench_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/holocompute/holocompute/bench"
	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/node"
)

// copied is what lacks a copy when the second node begins anew.
const copied = 256 << 20

// BenchmarkCopy makes the second copy of 256 MiB of pages: a node begins anew with
// nothing, and learns all from the other. Its processor time is that of both ends,
// against a sealed stream of the transport that carries as many bytes.
func BenchmarkCopy(b *testing.B) {
	one, dir := keeper(b)
	get := streamOf(b, holo.PageSize, 8)
	var base, ours time.Duration
	for b.Loop() {
		began := bench.ProcessorTime()
		for range copied / holo.PageSize {
			get()
		}
		base += bench.ProcessorTime() - began
		ours += learn(b, one, dir)
	}
	gib := float64(b.N) * copied / (1 << 30)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(base.Seconds()/gib, "base-cpu-s/GiB")
	b.ReportMetric(ours.Seconds()/gib, "ours-cpu-s/GiB")
	b.ReportMetric(ours.Seconds()/base.Seconds(), "cpu-ratio")
}

// keeper is a node that holds an array of two copies, and the folder of a second
// one that is a member and does not run.
func keeper(b *testing.B) (one *node.Node, second string) {
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	one, second = nodeAndSecond(b, ctx)
	two := must(node.Start(b.Context(), node.Config{Dir: second, MemoryBytes: 2 * copied}))
	awaitLeases(b, ctx, two, 2)
	create := &holov1.CreateArrayRequest{Name: "pages", Type: "u8", Length: copied, ExtentElements: extentBytes, Copies: 2}
	user := must(identity.ReadSigner(filepath.Join(filepath.Dir(second), "one-config", identity.UserKeyFile)))
	a := must(one.CreateArray(ctx, door.Ask(one, user, holov1connect.ArrayServiceCreateProcedure, create), create))
	piece := make([]byte, extentBytes)
	for at := uint64(0); at < copied; at += extentBytes {
		for i := range piece {
			piece[i] = byte((uint64(i) + at) * 7919 >> 8)
		}
		check(b, one.WriteRange(ctx, holo.ArrayID(a.Id), at, piece))
	}
	check(b, two.Close())
	awaitCopies(b, ctx, one, false)
	return one, second
}

// nodeAndSecond is a node that runs, and the folder of another that has joined it.
func nodeAndSecond(b *testing.B, ctx context.Context) (one *node.Node, second string) {
	root := b.TempDir()
	dir := filepath.Join(root, "one")
	must(node.Init(ctx, node.InitConfig{Dir: dir, ConfigDir: dir + "-config", NodeName: "one", MemoryBytes: 2 * copied}))
	one = must(node.Start(b.Context(), node.Config{Dir: dir, MemoryBytes: 2 * copied}))
	b.Cleanup(func() { _ = one.Close() })
	awaitLeases(b, ctx, one, 1)
	owner := must(identity.ReadSigner(filepath.Join(dir+"-config", identity.OwnerKeyFile)))
	i := identity.NewInvite(one.Cluster(), holo.PrincipalID(owner.Public()), time.Now().Add(time.Hour))
	public, psk := i.Signer().Public(), i.PSK()
	i.Addresses = must(one.CreateInvite(ctx, door.Caller{}, &holov1.CreateInviteRequest{
		InviteKey: public[:], Psk: psk.Key.Bytes(), ExpiresUnix: i.Expires.Unix(),
		OwnerSignature: owner.Sign(api.InviteProof(one.Cluster(), public[:], i.Expires.Unix())),
	})).Addresses
	second = filepath.Join(root, "two")
	must(node.Join(ctx, node.JoinConfig{Dir: second, ConfigDir: second + "-config", Invite: i.Text(), NodeName: "two", MemoryBytes: 2 * copied}))
	return one, second
}

// learn has the second node begin anew, and gives the processor time until every
// page has its second copy.
func learn(b *testing.B, one *node.Node, second string) time.Duration {
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	began := bench.ProcessorTime()
	two := must(node.Start(b.Context(), node.Config{Dir: second, MemoryBytes: 2 * copied}))
	awaitCopies(b, ctx, one, true)
	took := bench.ProcessorTime() - began
	check(b, two.Close())
	awaitCopies(b, ctx, one, false)
	return took
}

// awaitCopies waits until every page has all its copies, or until one lacks some.
func awaitCopies(b *testing.B, ctx context.Context, n *node.Node, all bool) {
	b.Helper()
	look := time.NewTicker(100 * time.Millisecond) // looking costs processor time too
	defer look.Stop()
	for {
		s, err := n.Status(ctx, door.Caller{})
		if err == nil && (s.Shards.Full == s.Shards.Total) == all {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			b.Fatal(fmt.Errorf("copies: all %v does not come: %v (last error %v)", all, s.GetShards(), err))
		}
	}
}
