package sim

import (
	"math/rand/v2"

	"github.com/holocompute/holocompute/internal/core/pagecache"
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

// disk is where a process's pages go that its memory has no room for, and the
// driver of the cache that decides which: as in the real node, only that the
// disk is as slow as it likes, fails, damages records, and is full for a while. It is lost with
// the process, as the real one's key is.
type disk struct {
	n       *node
	rng     *rand.Rand
	cache   *pagecache.Machine
	content map[pagecache.Ref][]byte
	fullTo  holo.Time // true time

	last  uint64
	reads map[uint64]*reading
	of    map[pagecache.Ref][]*reading
	wants map[uint64]holo.ShardID
	later []holo.ShardID
}

// reading is an answer that waits for pages that are away.
type reading struct {
	from address
	ask  *ask
	rd   *shard.Read
}

// newDisk makes the memory so small that hardly a page stays in it.
func newDisk(n *node) *disk {
	return &disk{
		n: n, rng: rand.New(rand.NewPCG(n.w.o.Seed, uint64(n.life))), content: map[pagecache.Ref][]byte{},
		cache: pagecache.New(pagecache.Limits{Memory: 6, Disk: 64, Lead: 4, Writes: 3, Reads: 4, Waiting: 8, Retry: 20 * ms}),
		reads: map[uint64]*reading{}, of: map[pagecache.Ref][]*reading{}, wants: map[uint64]holo.ShardID{},
	}
}

// takes is how long one page takes: mostly a few milliseconds, at times longer
// than a member may be silent.
func (d *disk) takes() holo.Duration {
	if d.rng.IntN(40) == 0 {
		return holo.Duration(d.rng.Int64N(int64(400 * ms)))
	}
	return holo.Duration(d.rng.Int64N(int64(4 * ms)))
}

// fails draws whether the disk does not do what it is asked; it is full for a
// while when it is.
func (d *disk) full() bool {
	if d.n.w.faults.over {
		return false
	}
	if d.rng.IntN(60) == 0 {
		d.fullTo = d.n.w.now.Add(holo.Duration(d.rng.Int64N(int64(300 * ms))))
		d.n.w.tally("disk full")
	}
	return d.n.w.now < d.fullTo
}

// submit gives a mutation to the machine if memory and disk have room.
func (d *disk) reserve(mu *wire.Mutation) (release func(), err error) {
	more := shard.More(mu)
	pages, fresh := more, more
	for i := range mu.Changes {
		if mu.Changes[i].Kind == wire.PageFill {
			continue
		}
		pages++
		if _, _, there := d.cache.Has(holo.PageID{Array: mu.Array, Index: mu.Changes[i].Page}); !there {
			fresh++
		}
	}
	err = d.cache.Reserve(pages, fresh)
	return func() { d.cache.Unreserve(pages, fresh) }, err
}

func (d *disk) follow(r *shard.Ready) {
	for _, c := range r.Pages {
		if c.Gone {
			d.cache.Drop(c.Page)
		} else {
			d.cache.Put(c.Page, c.Version, c.Shard)
		}
	}
	for _, w := range r.Wants {
		d.n.w.tally("want")
		pages := make([]pagecache.Page, len(w.Pages))
		for i, c := range w.Pages {
			pages[i] = pagecache.Page{ID: c.Page, Version: c.Version}
		}
		d.last++
		granted, err := d.cache.Use(d.last, pages)
		if granted {
			d.cache.Release(d.last)
		}
		if granted || err != nil {
			d.later = append(d.later, w.Shard)
		} else {
			d.wants[d.last] = w.Shard
		}
	}
}

// flush does what the cache asks for, and reports whether the machine has more
// to say.
func (d *disk) flush() (busy bool) {
	r := d.cache.Ready(d.n.now())
	for _, p := range r.Evict {
		d.n.machine.Away(p.Shard, p.ID, p.Version)
	}
	for _, p := range r.Write {
		d.write(p)
	}
	for _, p := range r.Read {
		d.n.later(d.takes(), func() { d.arrived(p) })
	}
	for _, p := range r.Forget {
		delete(d.content, p.Ref)
	}
	for _, id := range r.Granted {
		busy = d.granted(id) || busy
	}
	for _, f := range r.Failed {
		d.failed(f)
	}
	return busy || len(r.Granted) > 0
}

func (d *disk) granted(id uint64) bool {
	defer d.cache.Release(id)
	if s, ok := d.wants[id]; ok {
		delete(d.wants, id)
		d.n.machine.Resume(d.n.now(), s)
		return true
	}
	r := d.reads[id]
	delete(d.reads, id)
	d.n.w.tally("read from disk")
	d.n.show(r.from, r.ask, r.rd)
	return false
}

func (d *disk) failed(f pagecache.Failure) {
	if s, ok := d.wants[f.Use]; ok {
		delete(d.wants, f.Use)
		d.later = append(d.later, s)
		return
	}
	r := d.reads[f.Use]
	delete(d.reads, f.Use)
	d.n.refuse(r.from, r.ask, holo.Refuse(holo.Unavailable, "spill_disk", "read page %v: the disk fails", f.Page.ID))
}

func (d *disk) write(p pagecache.Page) {
	v, _ := d.n.machine.Committed(p.Shard, p.ID, p.Version)
	d.n.later(d.takes(), func() {
		if v.Away || v.Data == nil {
			d.n.w.fail("a page is to be written that is not in memory")
		}
		if d.full() {
			d.cache.Wrote(d.n.now(), p.Ref, pagecache.NoSpace)
		} else {
			d.content[p.Ref] = v.Data
			d.n.machine.Hashed(p.Shard, p.ID, p.Version, v.Sum())
			d.cache.Wrote(d.n.now(), p.Ref, pagecache.Done)
		}
		d.n.drain()
	})
}

func (d *disk) arrived(p pagecache.Page) {
	data, ok := d.content[p.Ref]
	switch {
	case !ok:
		d.n.w.fail("a page is to be read that is not on disk")
		return
	case !d.n.w.faults.over && d.rng.IntN(30) == 0:
		d.cache.Loaded(p.Ref, pagecache.Broken)
	case d.rng.IntN(15) == 0 && d.n.w.faults.spoils(d.n):
		if now, _, _ := d.cache.Has(p.ID); now.Ref == p.Ref {
			d.n.machine.Damaged(p.Shard, p.ID, p.Version)
		}
		d.cache.Loaded(p.Ref, pagecache.Damaged)
	default:
		if v, ok := d.n.machine.Committed(p.Shard, p.ID, p.Version); ok && !digest.Check(data, v.Digest) {
			d.n.w.fail("a page came back with other bytes")
		}
		d.n.machine.Back(p.Shard, p.ID, p.Version, data)
		for _, r := range d.of[p.Ref] {
			r.rd.Pages[0].Data, r.rd.Pages[0].Away = data, false
		}
		d.cache.Loaded(p.Ref, pagecache.Done)
	}
	delete(d.of, p.Ref)
	d.n.drain()
}

// show answers a read, when its page is in memory.
func (d *disk) show(from address, a *ask, rd *shard.Read) {
	v := &rd.Pages[0]
	p, _, _ := d.cache.Has(v.Page)
	if v.Damaged {
		d.n.refuse(from, a, d.n.machine.Spoilt(a.shard, v.Page))
		return
	}
	if !v.Away {
		d.cache.Touch(v.Page)
		d.n.show(from, a, rd)
		return
	}
	d.last++
	granted, err := d.cache.Use(d.last, []pagecache.Page{{ID: v.Page, Version: v.Version}})
	switch {
	case err != nil:
		d.n.refuse(from, a, err)
		return
	case granted: // it came back since the read began
		rd.Pages[0], _ = d.n.machine.Committed(a.shard, v.Page, v.Version)
		d.cache.Release(d.last)
		d.n.show(from, a, rd)
		return
	}
	r := &reading{from, a, rd}
	d.reads[d.last] = r
	d.of[p.Ref] = append(d.of[p.Ref], r)
}

// tick has what failed go on.
func (d *disk) tick() {
	list := d.later
	d.later = nil
	for _, s := range list {
		d.n.machine.Resume(d.n.now(), s)
	}
}
