package shard

import (
	"cmp"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// Cache is the other side of read leases: the pages that a process keeps
// because their home promised to say before they change. It is not for
// concurrent use.
type Cache struct {
	pages map[holo.PageID]cached
	// invalid is, for each shard, the newest grant that was withdrawn. An answer
	// that was on its way meanwhile carries an older grant, and is not kept.
	invalid map[holo.ShardID]grantID
}

type cached struct {
	View
	shard holo.ShardID
	until holo.Time
}

// grantID orders the grants of one shard: numbers count up in one process, and
// a shard's next home has a later epoch.
type grantID struct {
	epoch  holo.Epoch
	number uint64
}

func (g grantID) after(o grantID) bool {
	return cmp.Or(cmp.Compare(g.epoch, o.epoch), cmp.Compare(g.number, o.number)) > 0
}

// NewCache makes an empty cache.
func NewCache() *Cache {
	return &Cache{pages: map[holo.PageID]cached{}, invalid: map[holo.ShardID]grantID{}}
}

// Put keeps pages under a lease that was asked for at the time sent, on this
// process's clock: a lease counted from any later moment would outlive its
// home's memory of it.
func (c *Cache) Put(sent holo.Time, s holo.ShardID, l Lease, pages []View) {
	if l.For <= 0 || !(grantID{l.Epoch, l.Number}).after(c.invalid[s]) {
		return
	}
	for _, v := range pages {
		c.pages[v.Page] = cached{View: v, shard: s, until: sent.Add(l.For)}
	}
}

// Get finds a page whose lease still runs.
func (c *Cache) Get(now holo.Time, id holo.PageID) (View, bool) {
	p, ok := c.pages[id]
	if !ok || now >= p.until {
		delete(c.pages, id)
		return View{}, false
	}
	return p.View, true
}

// Withdraw drops the pages that an Inval names and returns the answer to send
// back to its sender. self is this process's incarnation.
func (c *Cache) Withdraw(self holo.Incarnation, msg *wire.Inval) *wire.InvalAck {
	for _, id := range msg.Pages {
		delete(c.pages, id)
	}
	if g := (grantID{msg.Epoch, msg.UpTo}); g.after(c.invalid[msg.Shard]) {
		c.invalid[msg.Shard] = g
	}
	return &wire.InvalAck{
		ShardHead: wire.ShardHead{Shard: msg.Shard, Epoch: msg.Epoch, From: self, To: msg.From},
		UpTo:      msg.UpTo, Pages: msg.Pages,
	}
}

// Forget drops the pages of an array, or every page whose lease is over for 0.
func (c *Cache) Forget(now holo.Time, array holo.ArrayID) {
	for id, p := range c.pages {
		if id.Array == array && array != 0 || now >= p.until {
			delete(c.pages, id)
		}
	}
}

func sortPages(ids []holo.PageID) {
	slices.SortFunc(ids, func(a, b holo.PageID) int {
		return cmp.Or(cmp.Compare(a.Array, b.Array), cmp.Compare(a.Index, b.Index))
	})
}
