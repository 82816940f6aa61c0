package memory

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/holocompute/holocompute/internal/core/pagecache"
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

func TestFlowWaitsForRoomAndLetsALargeOneGoAlone(t *testing.T) {
	t.Parallel()
	f, peer := newFlows(), holo.NodeID{1}
	large, err := f.take(context.Background(), peer, 2*flowBytes)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan error, 1)
	g := wait.NewGroup()
	g.Run(func(context.Context) {
		release, err := f.take(ctx, peer, 1)
		if err == nil {
			release()
		}
		got <- err
	})
	large()
	must(t, <-got)
	full, err := f.take(ctx, peer, flowBytes)
	must(t, err)
	cancel()
	_, err = f.take(ctx, peer, 1)
	if holo.ReasonOf(err) != ReasonBusy {
		t.Errorf("what is too much goes on its way: %v", err)
	}
	full()
	g.Close()
}

func TestChangesCoverASpanExactly(t *testing.T) {
	t.Parallel()
	a := &wire.ArrayRecord{ID: 1, Class: 1, Affinity: "x", Shape: holo.Shape{Type: holo.U8, Length: 5*holo.PageSize + 100, Extent: 2 * holo.PageSize}}
	for _, k := range []struct{ offset, length uint64 }{
		{0, 1}, {0, a.Shape.Bytes()}, {holo.PageSize - 1, 2}, {2*holo.PageSize - 1, holo.PageSize + 2}, {5 * holo.PageSize, 100}, {5*holo.PageSize + 1, 99},
	} {
		src, got := noise(1, int(k.length)), make([]byte, 6*holo.PageSize)
		for _, s := range spans(a, k.offset, k.length) {
			if s.offset/(2*holo.PageSize) != (s.offset+s.length-1)/(2*holo.PageSize) {
				t.Errorf("span %+v crosses extents", s)
			}
			for _, c := range changes(a, s, func(dst []byte, at uint64) { copy(dst, src[at-k.offset:]) }) {
				copy(got[uint64(c.Page)*holo.PageSize+uint64(c.Offset):], c.Data)
			}
		}
		want := make([]byte, len(got))
		copy(want[k.offset:], src)
		if !bytes.Equal(got, want) {
			t.Errorf("write of %d bytes at %d gives other bytes", k.length, k.offset)
		}
	}
	whole := changes(a, spans(a, 5*holo.PageSize, 100)[0], func(dst []byte, _ uint64) { copy(dst, noise(2, 100)) })
	if len(whole) != 1 || whole[0].Kind != wire.PageData {
		t.Errorf("all elements of the last page do not make a whole page: %+v", whole[0].Kind)
	}
	if z := changes(a, spans(a, 0, holo.PageSize)[0], func([]byte, uint64) {}); z[0].Kind != wire.PageZero {
		t.Error("a page of zeros takes memory")
	}
}

func TestHomeThatLiesAboutItsLeaseIsNotBelieved(t *testing.T) {
	t.Parallel()
	c, run := newReadCache(), wire.PageRun{First: 3, Count: 1}
	c.resize(1 << 20)
	page := []Content{{Kind: wire.PageFill, Data: []byte{7}}}
	c.put(1, 1, run, &wire.ReadLease{Epoch: 1, Number: 1, For: 10 * holo.Second}, page)
	if _, rest := c.look(2, 1, run); rest.Count != 0 {
		t.Fatal("the page is not there at all")
	}
	if _, rest := c.look(holo.Time(3*holo.Second), 1, run); rest.Count == 0 {
		t.Error("a lease of 10 s still holds after 3 s: an honest home grants 2 s")
	}
}

func TestPartOfARunThatIsMissingIsFetched(t *testing.T) {
	t.Parallel()
	c := newReadCache()
	c.resize(1 << 20)
	for _, i := range []holo.PageIndex{10, 13} {
		c.putSealed(1, 1, wire.PageRun{First: i, Count: 1}, []Content{{Kind: wire.PageFill, Data: []byte{byte(i)}}})
	}
	pages, rest := c.look(1, 1, wire.PageRun{First: 10, Count: 4})
	if rest.First != 11 || rest.Count != 2 || pages[0].Data[0] != 10 || pages[3].Data[0] != 13 {
		t.Errorf("of pages 10 to 13, with 10 and 13 there, %d+%d are to be fetched", rest.First, rest.Count)
	}
}

// alone is the memory of a node that knows no other, and that no goroutine
// drives: the test takes its turns.
func alone(t *testing.T, spillDir string) *Node {
	t.Helper()
	g := wait.NewGroup()
	now := func() holo.Time { return 1 }
	n := New(Config{
		Self: holo.NodeID{1}, Incarnation: 1, Bytes: LeastSpillMemory, SpillDir: spillDir, SpillLimit: 256 << 20,
		Turns: wait.NewTurns("this node", now, g.Done()), Group: g, Now: now, Refused: func(string) {}, Recorded: func(string) {}, Copied: func(shard.Event) {}, Log: slog.New(slog.DiscardHandler),
	})
	must(t, n.Open())
	t.Cleanup(func() {
		g.Close()
		must(t, n.Close())
	})
	return n
}

// Pages of other nodes take no room from a node's own.
func TestCachedPagesYieldToANodesOwn(t *testing.T) {
	t.Parallel()
	n := alone(t, "")
	page := Content{Kind: wire.PageData, Data: make([]byte, holo.PageSize)}
	n.yield()
	for i := range holo.PageIndex(2 * n.config.Bytes / holo.PageSize) {
		n.cache.putSealed(1, 1, wire.PageRun{First: i, Count: 1}, []Content{page})
	}
	if got, want := n.cache.bytes(), n.config.Bytes/cachePart; got > want || got < want/2 {
		t.Errorf("%d bytes are cached where %d may be", got, want)
	}
	n.leave(n.config.Bytes - 10*holo.PageSize)
	if got := n.cache.bytes(); got > 10*holo.PageSize {
		t.Errorf("%d bytes are cached where the node's own pages leave 10 pages free", got)
	}
}

func TestPagesWaitForRoomAndThenAreDropped(t *testing.T) {
	t.Parallel()
	n, ctx := alone(t, filepath.Join(t.TempDir(), "spill")), context.Background()
	pages, other := &wire.Snap{}, &wire.Seal{}
	must(t, n.Admit(ctx, pages))
	n.spill.full.set(true)
	must(t, n.Admit(ctx, other))
	admitted := make(chan error, 1)
	n.group.Run(func(context.Context) { admitted <- n.Admit(ctx, pages) })
	n.spill.flush(1) // finds out that it is not so, and whoever waits goes on
	must(t, <-admitted)
	over, end := context.WithCancel(ctx)
	end()
	n.spill.full.set(true)
	if err := n.Admit(over, pages); holo.ReasonOf(err) != pagecache.ReasonBusy {
		t.Errorf("whoever may wait no longer is let through: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// noise is bytes that repeat nowhere, the same for a seed.
func noise(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	b := make([]byte, n)
	r.Read(b)
	return b
}
