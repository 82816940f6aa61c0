package bench_test

import (
	"context"
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

// pair is a cluster of two nodes in this process, on loopback, and an array of
// 4 MiB of one copy of which the second node holds nothing.
func pair(b *testing.B) (second *node.Node, array holo.ArrayID) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	dir := filepath.Join(b.TempDir(), "node")
	must(node.Init(ctx, node.InitConfig{Dir: dir, ConfigDir: dir + "-config", NodeName: "one", MemoryBytes: 256 << 20}))
	one := must(node.Start(b.Context(), node.Config{Dir: dir, MemoryBytes: 256 << 20}))
	b.Cleanup(func() { _ = one.Close() })
	awaitLeases(b, ctx, one, 1)
	user := must(identity.ReadSigner(filepath.Join(dir+"-config", identity.UserKeyFile)))
	create := &holov1.CreateArrayRequest{Name: "far", Type: "u8", Length: extentBytes, ExtentElements: extentBytes, Copies: 1}
	a := must(one.CreateArray(ctx, door.Ask(one, user, holov1connect.ArrayServiceCreateProcedure, create), create))
	content := make([]byte, extentBytes)
	for i := range content {
		content[i] = byte(i * 7919 >> 8)
	}
	if err := one.WriteRange(ctx, holo.ArrayID(a.Id), 0, content); err != nil {
		b.Fatal(err)
	}

	owner := must(identity.ReadSigner(filepath.Join(dir+"-config", identity.OwnerKeyFile)))
	i := identity.NewInvite(one.Cluster(), holo.PrincipalID(owner.Public()), time.Now().Add(time.Hour))
	public, psk := i.Signer().Public(), i.PSK()
	i.Addresses = must(one.CreateInvite(ctx, door.Caller{}, &holov1.CreateInviteRequest{
		InviteKey: public[:], Psk: psk.Key.Bytes(), ExpiresUnix: i.Expires.Unix(),
		OwnerSignature: owner.Sign(api.InviteProof(one.Cluster(), public[:], i.Expires.Unix())),
	})).Addresses
	must(node.Join(ctx, node.JoinConfig{Dir: dir + "2", ConfigDir: dir + "2-config", Invite: i.Text(), NodeName: "two", MemoryBytes: 1 << 20}))
	second = must(node.Start(b.Context(), node.Config{Dir: dir + "2", MemoryBytes: 64 << 20}))
	b.Cleanup(func() { _ = second.Close() })
	awaitLeases(b, ctx, second, 2)
	return second, holo.ArrayID(a.Id)
}

func awaitLeases(b *testing.B, ctx context.Context, n *node.Node, want int) {
	b.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for {
		have := 0
		if s, err := n.Status(ctx, door.Caller{}); err == nil {
			for _, one := range s.Nodes {
				if one.Lease {
					have++
				}
			}
		}
		if have >= want {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			b.Fatal("the nodes never had leases")
		}
	}
}

// BenchmarkCachedRead reads a page of another node, and 1 MiB, again and again
// under a read lease; the baseline fetches it each time, as a read of pages not
// seen before does.
func BenchmarkCachedRead(b *testing.B) {
	n, array := pair(b)
	read := func(size int, forget bool) func(int) {
		dst := make([]byte, size)
		return func(times int) {
			for range times {
				if forget {
					n.ForgetCached()
				}
				if err := n.ReadRange(b.Context(), array, 0, dst); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.Run("64KiB", func(b *testing.B) { bench.Compare(b, 100, 64<<10, read(64<<10, true), read(64<<10, false)) })
	b.Run("1MiB", func(b *testing.B) { bench.Compare(b, 20, 1<<20, read(1<<20, true), read(1<<20, false)) })
}
