package bench_test

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/holocompute/holocompute/bench"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/node"
	"github.com/holocompute/holocompute/internal/transport"
)

// paths are the four ways in which pages are used one at a time.
var paths = []struct {
	name          string
	write, random bool
}{{"sequential-read", false, false}, {"random-read", false, true}, {"sequential-write", true, false}, {"random-write", true, true}}

// pageAfter gives the page to use next.
func pageAfter(pages int, random bool) func() uint64 {
	next := 0
	return func() uint64 {
		if random {
			return rand.Uint64N(uint64(pages)) * holo.PageSize
		}
		next = (next + 1) % pages
		return uint64(next) * holo.PageSize
	}
}

// benchPaths compares every path over an array with a baseline for reads and one
// for writes. before comes before each read.
func benchPaths(b *testing.B, n *node.Node, array holo.ArrayID, pages, batch int, before func(), read, write func(at uint64, page []byte)) {
	page := make([]byte, holo.PageSize)
	rand.NewChaCha8([32]byte{1}).Read(page)
	for _, p := range paths {
		base, ours := read, func(at uint64, page []byte) {
			before()
			check(b, n.ReadRange(b.Context(), array, at, page))
		}
		if p.write {
			base, ours = write, func(at uint64, page []byte) { check(b, n.WriteRange(b.Context(), array, at, page)) }
		}
		over := func(do func(uint64, []byte)) func(int) {
			next := pageAfter(pages, p.random)
			return func(times int) {
				for range times {
					do(next(), page)
				}
			}
		}
		b.Run(p.name, func(b *testing.B) { bench.Compare(b, batch, holo.PageSize, over(base), over(ours)) })
	}
}

func nothing() {}

// arrayOf makes an array of one copy, and fills it.
func arrayOf(b *testing.B, n *node.Node, user key.Signer, bytes uint64) holo.ArrayID {
	create := &holov1.CreateArrayRequest{Name: "pages", Type: "u8", Length: bytes, ExtentElements: extentBytes, Copies: 1}
	a := must(n.CreateArray(b.Context(), door.Ask(n, user, holov1connect.ArrayServiceCreateProcedure, create), create))
	piece, chance := make([]byte, extentBytes), rand.NewChaCha8([32]byte{2})
	for at := uint64(0); at < bytes; at += extentBytes {
		chance.Read(piece)
		check(b, n.WriteRange(b.Context(), holo.ArrayID(a.Id), at, piece))
	}
	return holo.ArrayID(a.Id)
}

// BenchmarkLocalPages reads and writes pages of 64 KiB at their home, against
// copying them from and to a slice as long as the array.
func BenchmarkLocalPages(b *testing.B) {
	const size = 64 << 20
	n, user := oneNode(b)
	plain := make([]byte, size)
	rand.NewChaCha8([32]byte{3}).Read(plain)
	benchPaths(b, n, arrayOf(b, n, user, size), size/holo.PageSize, 512, nothing,
		func(at uint64, page []byte) { copy(page, plain[at:]) }, func(at uint64, page []byte) { copy(plain[at:], page) })
}

// BenchmarkRemotePages does so at another node, against a sealed stream of the
// transport that carries as many bytes one way and the request or the answer the
// other.
func BenchmarkRemotePages(b *testing.B) {
	n, array := pair(b)
	get, put := streamOf(b, holo.PageSize, 8), streamOf(b, 8, holo.PageSize)
	benchPaths(b, n, array, extentBytes/holo.PageSize, 100, n.ForgetCached, func(uint64, []byte) { get() }, func(uint64, []byte) { put() })
}

// BenchmarkSpilledPages does so where three quarters of the pages lie on a disk,
// against a plain file as long on the same disk.
func BenchmarkSpilledPages(b *testing.B) {
	const size = 64 << 20
	n, user := nodeWith(b, 16<<20, 512<<20)
	f := plainFile(b, make([]byte, holo.PageSize))
	for at := 0; at < size; at += holo.PageSize {
		_, err := f.file.WriteAt(f.page, int64(at))
		check(b, err)
	}
	benchPaths(b, n, arrayOf(b, n, user, size), size/holo.PageSize, 256, nothing,
		func(at uint64, page []byte) { _, err := f.file.ReadAt(page, int64(at)); check(b, err) },
		func(at uint64, page []byte) { _, err := f.file.WriteAt(page, int64(at)); check(b, err) })
}

// nodeWith is a node of so much memory, and a spill folder where spill is not 0.
func nodeWith(b *testing.B, memory, spill uint64) (*node.Node, key.Signer) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	dir := filepath.Join(b.TempDir(), "node")
	must(node.Init(ctx, node.InitConfig{Dir: dir, ConfigDir: dir + "-config", NodeName: "bench", MemoryBytes: memory}))
	c := node.Config{Dir: dir, MemoryBytes: memory}
	if spill > 0 {
		c.SpillDir, c.SpillLimit = filepath.Join(dir, "spill"), spill
	}
	n := must(node.Start(b.Context(), c))
	b.Cleanup(func() { _ = n.Close() })
	awaitLeases(b, ctx, n, 1)
	return n, must(identity.ReadSigner(filepath.Join(dir+"-config", identity.UserKeyFile)))
}

// BenchmarkHeld measures what a node of one copy takes for what it holds: heap
// beyond the stored bytes, and processor time per second in which nobody asks
// anything (scrubbing, leases and clocks), with 1 GiB and with nothing.
func BenchmarkHeld(b *testing.B) {
	const size, idle = 1 << 30, 10 * time.Second
	n, user := nodeWith(b, size*9/8, 0)
	empty, before := idleShare(idle), heap()
	arrayOf(b, n, user, size)
	overhead, full := float64(heap()-before)/size-1, idleShare(idle)
	for b.Loop() { // which forgets what was reported before
		runtime.KeepAlive(n)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(overhead, "overhead-B/B")
	b.ReportMetric(empty, "idle-cpu-s/s-empty")
	b.ReportMetric(full, "idle-cpu-s/s-full")
}

// idleShare is the processor time of this process for each second of a while.
func idleShare(d time.Duration) float64 {
	began := bench.ProcessorTime()
	time.Sleep(d)
	return (bench.ProcessorTime() - began).Seconds() / d.Seconds()
}

// streamOf carries messages over a sealed stream of the transport, on loopback: so
// many bytes one way, so many back.
func streamOf(b *testing.B, answer, ask int) (exchange func()) {
	near, far := side(b), side(b)
	dialled := make(chan *transport.Session, 1)
	go func() { // ends with the dial
		s, err := near.Dial(b.Context(), far.Addr().String(), local(), transport.Data, holo.NodeID{})
		if err != nil {
			b.Error(err)
		}
		dialled <- s
	}()
	accepted := must(far.Accept(b.Context()))
	st := must((<-dialled).Open(b.Context()))
	_, err := st.Write([]byte{0}) // so that the far end hears of it
	check(b, err)
	other := must(accepted.Accept(b.Context()))
	go func() { _ = echo(other, answer, ask) }() // ends with its stream
	out, in := make([]byte, ask), make([]byte, answer)
	return func() {
		_, err := st.Write(out)
		check(b, err)
		_, err = io.ReadFull(st, in)
		check(b, err)
	}
}

func echo(s io.ReadWriter, answer, ask int) error {
	in, out := make([]byte, ask), make([]byte, answer)
	if _, err := io.ReadFull(s, in[:1]); err != nil {
		return err
	}
	for {
		if _, err := io.ReadFull(s, in); err != nil {
			return err
		}
		binary.LittleEndian.PutUint64(out, uint64(len(in)))
		if _, err := s.Write(out); err != nil {
			return err
		}
	}
}

var benchPSK = handshake.NewPSK(key.Random())

func local() handshake.Local {
	return handshake.Local{
		Kind: handshake.KindNode, Accept: []handshake.Kind{handshake.KindNode}, PSK: benchPSK,
		Static:  must(handshake.NewStatic(key.GenerateSigner(), holo.ClusterID{1}, "bench", time.Now().Unix())),
		FindPSK: func(_ handshake.Kind, id [8]byte) (handshake.PSK, bool) { return benchPSK, id == benchPSK.ID },
		Admit:   func(handshake.Kind, holo.NodeID, string, []byte) error { return nil },
	}
}

func side(b *testing.B) *transport.Transport {
	t := must(transport.Listen(transport.Config{Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler), Local: local}))
	b.Cleanup(func() { _ = t.Close() })
	return t
}
