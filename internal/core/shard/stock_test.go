package shard

import (
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// cachedPage is a page of 64 KiB as a reader got it.
func cachedPage(array holo.ArrayID, i int) View {
	return View{Page: at(array, holo.PageIndex(i)), Kind: wire.PageData, Data: make([]byte, holo.PageSize)}
}

const pageCost = holo.PageSize + entryBytes

func granted(n uint64) Lease { return Lease{Epoch: 1, Number: n, For: holo.Second} }

func TestCacheNeverExceedsItsBytes(t *testing.T) {
	c := NewCache(8 * pageCost)
	for i := range 1000 {
		c.Put(1, 0, granted(uint64(i+1)), []View{cachedPage(1, i%37)})
		c.Get(2, at(1, holo.PageIndex(i%5)))
		if c.Bytes() > 8*pageCost {
			t.Fatalf("%d bytes are kept of %d", c.Bytes(), 8*pageCost)
		}
	}
	c.Resize(2 * pageCost)
	if c.Bytes() > 2*pageCost || len(c.pages) != 2 {
		t.Errorf("%d bytes in %d pages after the cache shrank to 2", c.Bytes(), len(c.pages))
	}
	c.Clear()
	if c.Bytes() != 0 || c.stock.main.Len()+c.stock.small.Len() != 0 {
		t.Errorf("%d bytes are left of nothing", c.Bytes())
	}
}

// Pages without data cost something too: else millions of them would be free.
func TestZeroPagesAreBoundedToo(t *testing.T) {
	c := NewCache(10 * entryBytes)
	for i := range 100 {
		c.PutSealed(1, []View{{Page: at(1, holo.PageIndex(i))}})
	}
	if len(c.pages) > 10 {
		t.Errorf("%d zero pages in room for 10", len(c.pages))
	}
}

func TestPagesWhoseTimeIsOverAreSwept(t *testing.T) {
	c := NewCache(10 * pageCost)
	c.Put(1, 0, granted(1), []View{cachedPage(1, 0)})
	c.PutSealed(1, []View{cachedPage(2, 0), cachedPage(2, 1)})
	c.Get(holo.Time(50*holo.Second), at(2, 1))
	for _, want := range []struct {
		at    holo.Duration
		pages int
	}{{holo.Second / 2, 3}, {2 * holo.Second, 2}, {121 * holo.Second, 1}, {171 * holo.Second, 0}} {
		if c.Sweep(holo.Time(want.at)); len(c.pages) != want.pages || c.Bytes() != want.pages*pageCost {
			t.Errorf("after %v there are %d pages in %d bytes, want %d", want.at, len(c.pages), c.Bytes(), want.pages)
		}
	}
}

// One pass over many pages leaves what is read again and again where it is.
func TestPassOverManyPagesLeavesTheHotOnes(t *testing.T) {
	c, hot := NewCache(20*pageCost), 5
	number := uint64(0)
	read := func(array holo.ArrayID, i int) bool {
		number++
		if _, ok := c.Get(2, at(array, holo.PageIndex(i))); ok {
			return true
		}
		c.Put(1, 0, granted(number), []View{cachedPage(array, i)})
		return false
	}
	for range 3 {
		for i := range hot {
			read(1, i)
		}
	}
	for i := range 1000 {
		read(2, i)
	}
	for i := range hot {
		if !read(1, i) {
			t.Errorf("hot page %d was pushed out by pages that were read once", i)
		}
	}
}

func TestBulkReadAsksForLeasesTheSecondTime(t *testing.T) {
	c := NewCache(pageCost)
	var run []holo.PageID
	for i := range holo.PageIndex(16) {
		run = append(run, at(1, i))
	}
	if !c.Asks(run[:2]) {
		t.Error("a read of two pages does not ask")
	}
	if c.Asks(run) {
		t.Error("a long read asks the first time")
	}
	if c.Asks(append(run[8:], at(1, 16))) {
		t.Error("a long read asks though one of its pages is new")
	}
	if !c.Asks(run) {
		t.Error("a long read does not ask the second time")
	}
	for i := range 10 * maxSeen {
		c.stock.see(at(2, holo.PageIndex(i)))
	}
	if n := len(c.stock.seen) + len(c.stock.before); n > 2*maxSeen {
		t.Errorf("%d pages are remembered as seen", n)
	}
}

// asked reads pages at the first machine of a group for a reader.
func (g *group) asked(who wire.Member, pages ...holo.PageID) *Read {
	g.t.Helper()
	rd, err := g.machines[0].BeginRead(g.now, ReadRequest{Shard: g.config.Shard, Pages: pages, Holder: who})
	if err == nil {
		err = g.machines[0].FinishRead(g.now, rd)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	return rd
}

func (g *group) invals() (list []*wire.Inval) {
	g.drain(0)
	for _, l := range g.mail {
		if m, ok := l.msg.(*wire.Inval); ok {
			list = append(list, m)
		}
	}
	g.mail = nil
	return list
}

func TestReadLeasesAreBoundedAndTheOldestWithdrawn(t *testing.T) {
	limits := DefaultLimits()
	limits.Leases = 8
	g := newGroup(t, 2, 2, 2, limits)
	m, reader := g.machines[0], node(8)
	caches := NewCache(1 << 20)
	var rd *Read
	for i := range holo.PageIndex(6) {
		rd = g.asked(reader, at(1, i))
		caches.Put(g.now, g.config.Shard, rd.Lease, rd.Pages)
	}
	rd = g.asked(reader, at(1, 6)) // more than three quarters
	caches.Put(g.now, g.config.Shard, rd.Lease, rd.Pages)
	asked := g.invals()
	if len(asked) != 1 || len(asked[0].Pages) != 2 || asked[0].Pages[0] != at(1, 0) {
		t.Fatalf("withdrawn: %+v, want the two oldest in one message", asked)
	}
	if rd.Lease.For <= 0 {
		t.Error("no lease was granted though there was room")
	}
	g.asked(reader, at(1, 7))
	if late := g.asked(reader, at(1, 8)); late.Lease.For > 0 || len(m.granted.list) > 8 {
		t.Errorf("a lease of %v with %d in the book of 8", late.Lease.For, len(m.granted.list))
	}
	// A lease that was withdrawn still blocks writers until its holder says so.
	g.invals()
	id := g.start(writeTo(1, fill(0, 7)))
	g.drain(0)
	if _, done := g.answers[id]; done {
		t.Fatal("a write did not wait for a lease that was withdrawn and not given up")
	}
	m.Step(g.now, reader.Node, caches.Withdraw(reader.Incarnation, asked[0]))
	g.drain(0)
	if _, ok := caches.Get(g.now, at(1, 0)); ok {
		t.Error("the copy is still there")
	}
	g.settle()
	if a, done := g.answers[id]; !done || a.Err != nil {
		t.Errorf("the write after that: %+v", a)
	}
	if again := g.asked(reader, at(1, 8)); again.Lease.For <= 0 {
		t.Error("no lease though two were given up")
	}
}

func TestWriteOfManyPagesAsksEachReaderOnce(t *testing.T) {
	g := newGroup(t, 2, 2, 2, DefaultLimits())
	var pages []holo.PageID
	mu := writeTo(1)
	for i := range holo.PageIndex(16) {
		pages = append(pages, at(1, i))
		mu.Changes = append(mu.Changes, fill(i, 7))
	}
	for _, who := range []wire.Member{node(7), node(8)} {
		g.asked(who, pages...)
	}
	g.start(mu)
	list := g.invals()
	if len(list) != 2 || len(list[0].Pages) != 16 || len(list[1].Pages) != 16 {
		t.Fatalf("%d invalidations, want one of 16 pages for each of two readers", len(list))
	}
}

func TestWriterWaitsForADeadReaderNoLongerThanItsLease(t *testing.T) {
	g := newGroup(t, 2, 2, 2, DefaultLimits())
	rd := g.asked(node(8), at(1, 0))
	id := g.start(writeTo(1, fill(0, 7)))
	g.tick(rd.Lease.For)
	if _, done := g.answers[id]; done {
		t.Fatal("the write took effect within the lease of a reader that did not answer")
	}
	g.tick(rd.Lease.For / 10)
	g.settle()
	if a, done := g.answers[id]; !done || a.Err != nil {
		t.Errorf("the write after the lease: %+v", a)
	}
}

// Pages of a sealed array go when it is deleted; those of others stay.
func TestPagesOfADeletedArrayAreForgotten(t *testing.T) {
	c := NewCache(100 * holo.PageSize)
	for i := range holo.PageIndex(5) {
		c.PutSealed(1, []View{{Page: at(1, i)}, {Page: at(2, i)}})
	}
	c.PutSealed(1, []View{{Page: at(1, 0)}}) // once more
	c.Forget(1)
	c.Forget(1)
	for i := range holo.PageIndex(5) {
		if _, ok := c.Get(2, at(1, i)); ok {
			t.Errorf("page %d of the deleted array is there", i)
		}
		if _, ok := c.Get(2, at(2, i)); !ok {
			t.Errorf("page %d of another array is gone", i)
		}
	}
	if c.Clear(); len(c.sealed) != 0 {
		t.Errorf("pages of %d arrays are counted where there are none", len(c.sealed))
	}
}
