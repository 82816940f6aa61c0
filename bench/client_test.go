package bench_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/bench"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/node"
)

// clients are two clients of one node in this process: over its socket, and
// over a link on loopback as from another machine.
func clients(b *testing.B) (here, far *holocompute.Cluster) {
	b.Helper()
	root := must(os.MkdirTemp("", "holo-bench-")) // short: a socket's path must be
	b.Cleanup(func() { os.RemoveAll(root) })
	dir, config := filepath.Join(root, "node"), filepath.Join(root, "config")
	c := must(node.Init(b.Context(), node.InitConfig{Dir: dir, ConfigDir: config, NodeName: "bench"}))
	yes := true
	n := must(node.Start(b.Context(), node.Config{Dir: dir, MemoryBytes: 256 << 20, Socket: node.SocketPath(dir), Clients: &yes}))
	b.Cleanup(func() { _ = n.Close() })
	here = must(holocompute.Connect(b.Context(), holocompute.Options{Socket: node.SocketPath(dir), Config: config}))
	b.Cleanup(func() { here.Close() })
	pin := identity.Pin{Cluster: c.ID, Owner: c.Owner}
	far = must(holocompute.Connect(b.Context(), holocompute.Options{Address: n.Addr(), Pin: pin.Fingerprint(), Config: config}))
	b.Cleanup(func() { far.Close() })
	return here, far
}

// BenchmarkClient moves 4 MiB between a client and its node, and asks for the
// list of arrays, as from another machine; the baseline is the same over the
// node's socket.
func BenchmarkClient(b *testing.B) {
	here, far := clients(b)
	const size = 4 << 20
	if _, err := here.CreateRaw(b.Context(), "a", holocompute.U8, size, holocompute.ArrayOptions{}); err != nil {
		b.Fatal(err)
	}
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(i * 7919 >> 8)
	}
	check := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	put := func(c *holocompute.Cluster) func(int) {
		a := must(c.OpenRaw(b.Context(), "a"))
		return func(n int) {
			for range n {
				check(a.WriteBytes(b.Context(), 0, content))
			}
		}
	}
	get := func(c *holocompute.Cluster) func(int) {
		a, dst := must(c.OpenRaw(b.Context(), "a")), make([]byte, size)
		return func(n int) {
			for range n {
				check(a.ReadBytes(b.Context(), 0, dst))
			}
		}
	}
	list := func(c *holocompute.Cluster) func(int) {
		return func(n int) {
			for range n {
				must(c.Arrays(b.Context()))
			}
		}
	}
	b.Run("put", func(b *testing.B) { bench.Compare(b, 4, size, put(here), put(far)) })
	b.Run("get", func(b *testing.B) { bench.Compare(b, 4, size, get(here), get(far)) })
	b.Run("list", func(b *testing.B) { bench.Compare(b, 50, 0, list(here), list(far)) })
}
