package shard

import (
	"cmp"
	"container/list"
	"maps"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Cache is the other side of read leases: the pages that a process keeps
// because their home promised to say before they change. It is not for
// concurrent use.
//
// Invariant: what Get gives is what its home shows, or showed at the time that
// Get was given. Which of the pages stay when they do not fit is the stock's
// business (stock.go); their leases end in any case.
type Cache struct {
	pages map[holo.PageID]*cached
	// invalid is, for each shard, the newest grant that was withdrawn. An answer
	// that was on its way meanwhile carries an older grant, and is not kept.
	invalid map[holo.ShardID]grantID
	sealed  map[holo.ArrayID]int // pages of each sealed array
	stock   stock
}

type cached struct {
	View
	until  holo.Time
	sealed bool

	heat uint8         // times used since it came into its queue
	main bool          // is in the main queue
	at   *list.Element // there
}

const (
	// sealedFor is how long a page of a sealed array is kept after it was used
	// last. It is right for ever; who learns that its array was deleted says so
	// (Forget).
	sealedFor = 120 * holo.Second
	// sweepPages is how many pages one Sweep looks at: a few hundred
	// microseconds.
	sweepPages = 4096
)

// grantID orders the grants of one shard: numbers count up in one process, and
// a shard's next home has a later epoch.
type grantID struct {
	epoch  holo.Epoch
	number uint64
}

func (g grantID) after(o grantID) bool {
	return cmp.Or(cmp.Compare(g.epoch, o.epoch), cmp.Compare(g.number, o.number)) > 0
}

// NewCache makes an empty cache of so many bytes.
func NewCache(bytes int) *Cache {
	return &Cache{pages: map[holo.PageID]*cached{}, invalid: map[holo.ShardID]grantID{}, sealed: map[holo.ArrayID]int{}, stock: stock{limit: bytes}}
}

// Put keeps pages under a lease that was asked for at the time sent, on this
// process's clock: a lease counted from any later moment would outlive its
// home's memory of it.
func (c *Cache) Put(sent holo.Time, s holo.ShardID, l Lease, pages []View) {
	if l.For <= 0 || !(grantID{l.Epoch, l.Number}).after(c.invalid[s]) {
		return
	}
	for _, v := range pages {
		c.keep(&cached{View: v, until: sent.Add(l.For)})
	}
}

// PutSealed keeps pages of a sealed array, which need no lease: the caller has
// compared them with what was sealed, and they never change.
func (c *Cache) PutSealed(now holo.Time, pages []View) {
	for _, v := range pages {
		c.keep(&cached{View: v, until: now.Add(sealedFor), sealed: true})
	}
}

func (c *Cache) keep(p *cached) {
	c.remove(p.Page)
	c.pages[p.Page] = p
	if p.sealed {
		c.sealed[p.Page.Array]++
	}
	c.stock.add(p)
	c.fit()
}

// Get finds a page whose lease still runs.
func (c *Cache) Get(now holo.Time, id holo.PageID) (View, bool) {
	p, ok := c.pages[id]
	if !ok {
		return View{}, false
	}
	if now >= p.until {
		c.remove(id)
		return View{}, false
	}
	if p.used(); p.sealed {
		p.until = now.Add(sealedFor)
	}
	return p.View, true
}

// Withdraw drops the pages that an Inval names and returns the answer to send
// back to its sender. self is this process's incarnation.
func (c *Cache) Withdraw(self holo.Incarnation, msg *wire.Inval) *wire.InvalAck {
	for _, id := range msg.Pages {
		c.remove(id)
	}
	if g := (grantID{msg.Epoch, msg.UpTo}); g.after(c.invalid[msg.Shard]) {
		c.invalid[msg.Shard] = g
	}
	return &wire.InvalAck{
		ShardHead: wire.ShardHead{Shard: msg.Shard, Epoch: msg.Epoch, From: self, To: msg.From},
		UpTo:      msg.UpTo, Pages: msg.Pages,
	}
}

// Sweep drops pages whose time is over. It looks at a part of them, another one
// each time.
func (c *Cache) Sweep(now holo.Time) {
	left := sweepPages
	for id, p := range c.pages {
		if now >= p.until {
			c.remove(id)
		}
		if left--; left == 0 {
			return
		}
	}
}

// Sealed are the sealed arrays of which there are pages, in order.
func (c *Cache) Sealed() []holo.ArrayID { return slices.Sorted(maps.Keys(c.sealed)) }

// Forget drops the pages of a sealed array that was deleted.
func (c *Cache) Forget(array holo.ArrayID) {
	if c.sealed[array] == 0 {
		return
	}
	for id := range c.pages {
		if id.Array == array {
			c.remove(id)
		}
	}
}

// Clear drops every page: the clock cannot be trusted to have moved.
func (c *Cache) Clear() {
	for id := range c.pages {
		c.remove(id)
	}
}

// Resize gives the cache another number of bytes.
func (c *Cache) Resize(bytes int) {
	c.stock.limit = bytes
	c.fit()
}

// Bytes is what the pages take.
func (c *Cache) Bytes() int { return c.stock.bytes }

// fit lets go of pages until the rest fits.
func (c *Cache) fit() {
	for c.stock.bytes > c.stock.limit {
		c.remove(c.stock.victim())
	}
}

func (c *Cache) remove(id holo.PageID) {
	if p, ok := c.pages[id]; ok {
		delete(c.pages, id)
		c.stock.take(p)
		c.unseal(p)
	}
}

func (c *Cache) unseal(p *cached) {
	if !p.sealed {
		return
	}
	if c.sealed[p.Page.Array]--; c.sealed[p.Page.Array] == 0 {
		delete(c.sealed, p.Page.Array)
	}
}

func sortPages(ids []holo.PageID) {
	slices.SortFunc(ids, func(a, b holo.PageID) int {
		return cmp.Or(cmp.Compare(a.Array, b.Array), cmp.Compare(a.Index, b.Index))
	})
}
