package memory

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// cachePart is the part of the page memory that other nodes' pages may have,
// where this node's own leave so much free.
const cachePart = 4

// readCache keeps pages of other nodes under read leases, and of sealed arrays
// without. Readers use it from any goroutine; the loop says how large it may be.
type readCache struct {
	hits, misses atomic.Uint64 // pages
	mu           struct {
		sync.Mutex
		pages *shard.Cache
	}
}

func newReadCache() *readCache {
	c := &readCache{}
	c.mu.pages = shard.NewCache(0)
	return c
}

// look finds the pages of a run that are here. rest is the part of it from the
// first that is not to the last; its Count is 0 when all are.
func (c *readCache) look(now holo.Time, array holo.ArrayID, run wire.PageRun) (pages []Content, rest wire.PageRun) {
	pages = make([]Content, run.Count)
	first, last := run.Count, uint32(0)
	c.mu.Lock()
	for i := range run.Count {
		v, ok := c.mu.pages.Get(now, holo.PageID{Array: array, Index: run.First + holo.PageIndex(i)})
		if !ok {
			first, last = min(first, i), i
			continue
		}
		pages[i] = Content{v.Kind, v.Data, v.Digest, v.Hashed}
	}
	c.mu.Unlock()
	rest = wire.PageRun{Shard: run.Shard, First: run.First + holo.PageIndex(first)}
	if first < run.Count {
		rest.Count = last - first + 1
	}
	c.hits.Add(uint64(run.Count - rest.Count))
	c.misses.Add(uint64(rest.Count))
	return pages, rest
}

// asks reports whether a read of a run should ask for a lease.
func (c *readCache) asks(array holo.ArrayID, run wire.PageRun) bool {
	ids := make([]holo.PageID, run.Count)
	for i := range ids {
		ids[i] = holo.PageID{Array: array, Index: run.First + holo.PageIndex(i)}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.pages.Asks(ids)
}

// put keeps pages that were asked for at the time sent. A home that lies about
// its lease is believed no longer than an honest one's would be.
func (c *readCache) put(sent holo.Time, array holo.ArrayID, run wire.PageRun, l *wire.ReadLease, pages []Content) {
	lease := shard.Lease{Epoch: l.Epoch, Number: l.Number, For: min(l.For, timing().ReadTTL)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.pages.Put(sent, run.Shard, lease, viewsOf(array, run, pages))
}

// putSealed keeps pages that are what was sealed.
func (c *readCache) putSealed(now holo.Time, array holo.ArrayID, run wire.PageRun, pages []Content) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.pages.PutSealed(now, viewsOf(array, run, pages))
}

func viewsOf(array holo.ArrayID, run wire.PageRun, pages []Content) []shard.View {
	views := make([]shard.View, len(pages))
	for i, p := range pages {
		views[i] = shard.View{Page: holo.PageID{Array: array, Index: run.First + holo.PageIndex(i)}, Kind: p.Kind, Data: p.Data, Digest: p.Digest, Hashed: p.Hashed}
	}
	return views
}

// withdraw drops what a home withdraws.
func (c *readCache) withdraw(self holo.Incarnation, msg *wire.Inval) *wire.InvalAck {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.pages.Withdraw(self, msg)
}

func (c *readCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.pages.Clear()
}

// sealed are the sealed arrays of which there are pages.
func (c *readCache) sealed() []holo.ArrayID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.pages.Sealed()
}

// forget drops the pages of a sealed array that was deleted.
func (c *readCache) forget(array holo.ArrayID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.pages.Forget(array)
}

func (c *readCache) sweep(now holo.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.pages.Sweep(now)
}

func (c *readCache) resize(bytes uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.pages.Resize(int(bytes))
}

func (c *readCache) bytes() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return uint64(c.mu.pages.Bytes())
}

// cached reads a run of pages of another node: what the cache has from there,
// and the rest by fetch.
func (n *Node) cached(array holo.ArrayID, run wire.PageRun, fetch func(rest wire.PageRun) ([]Content, error)) (pages []Content, moved bool, err error) {
	pages, rest := n.cache.look(n.now(), array, run)
	if rest.Count == 0 {
		return pages, false, nil
	}
	got, err := fetch(rest)
	if err != nil {
		return nil, true, err
	}
	copy(pages[rest.First-run.First:], got)
	return pages, true, nil
}

// fetchOpen reads pages from their home, and keeps them if it grants a lease.
func (n *Node) fetchOpen(ctx context.Context, home holo.NodeID, array holo.ArrayID, run wire.PageRun) ([]Content, error) {
	ctx, stop := n.whileHome(ctx, run.Shard, home)
	defer stop()
	req := &wire.RangeRead{Array: array, Run: run}
	if n.cache.asks(array, run) {
		req.Reader = n.incarnation
	}
	sent := n.now()
	pages, lease, err := n.readFrom(ctx, home, req)
	if err != nil {
		n.links.Corrupt(home, err)
		return nil, err
	}
	if lease != nil {
		n.cache.put(sent, array, run, lease, pages)
	}
	return pages, nil
}

// ServeInval drops the copies that a home withdraws, at once and not behind what
// waits for the loop: a writer waits for the answer. Anybody may have copies
// dropped: that costs a read and no more.
func (n *Node) ServeInval(_ context.Context, r *Request) error {
	m := r.Msg.(*wire.Inval)
	if m.To != n.incarnation {
		return nil // its copies went with the process
	}
	n.links.Send(r.From, transport.Control, n.cache.withdraw(n.incarnation, m))
	return nil
}
