package memory

import (
	"context"

	"github.com/holocompute/holocompute/internal/core/pagecache"
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/storage"
	"github.com/holocompute/holocompute/internal/wire"
)

// Sizes of what is under way to and from the disk, in pages.
const (
	// spillWrites keeps the disk busy while pages are sealed: 2 MiB.
	spillWrites = 32
	// spillReads is an extent: the most that one read needs at once. It is also
	// how far the memory may be exceeded.
	spillReads = holo.MaxExtentPages
	// spillWaiting is how many reads may wait, as many as the streams of a few peers.
	spillWaiting = 256
	// spillWorkers wait for the disk; more gain nothing on one.
	spillWorkers = 4
	// leastLead is room for the largest mutation, so that one finds it at once.
	leastLead = holo.MaxExtentPages
	// LeastSpillMemory is the page memory below which a node does not spill:
	// four times what one mutation takes.
	LeastSpillMemory = 4 * leastLead * holo.PageSize
	// spillRetry is the first wait after a write that failed.
	spillRetry = 250 * holo.Millisecond
)

// spill stands between the replicas, the cache that decides which of their
// pages are in memory, and the folder where the others lie. The loop owns it;
// its workers only read and write (spillio.go).
type spill struct {
	n     *Node
	cache *pagecache.Machine
	store *storage.Store
	jobs  chan func() // for the workers; has room for all that can be under way

	last  uint64                      // use
	reads map[uint64]*pageRead        // uses that a reader waits for
	of    map[pagecache.Ref][]pageRef // where the bytes of a page go when they come
	wants map[uint64]shard.Want       // uses that a replica waits for
	later []holo.ShardID              // to be resumed at the next tick

	forget     []pagecache.Page // not given to a worker yet
	forgetting bool
	tidying    bool
	tidy       holo.Time // when next

	full pressure // the memory is more than full

	disk word // of which the log is told
}

// spillLimits is what a cache may hold for a node's memory and spill limit.
func spillLimits(memory, limit uint64) pagecache.Limits {
	pages := int(memory / holo.PageSize)
	return pagecache.Limits{
		// The disk lags behind the cache by what is to be forgotten.
		Memory: pages, Disk: storage.Capacity(limit) * 15 / 16, Lead: max(leastLead, min(pages/8, 1024)),
		Writes: spillWrites, Reads: spillReads, Waiting: spillWaiting, Retry: spillRetry,
	}
}

// spillRoom is how much more a node of so much memory can hold with a spill
// folder of a limit.
func spillRoom(memory, limit uint64) uint64 {
	if limit == 0 {
		return 0
	}
	l := spillLimits(memory, limit)
	return uint64(max(0, l.Capacity()-l.Memory)) * holo.PageSize
}

// Open opens the spill folder, where the node has one. It comes before the first
// turn.
func (n *Node) Open() error {
	c := &n.config
	if c.SpillDir == "" {
		return nil
	}
	if c.Bytes < LeastSpillMemory {
		return holo.Errorf(holo.Invalid, "spill to %s: %d bytes of page memory, at least %d are needed", c.SpillDir, c.Bytes, LeastSpillMemory)
	}
	store, err := storage.Open(storage.Config{Dir: c.SpillDir, Limit: c.SpillLimit})
	if err != nil {
		return err
	}
	n.spill = &spill{
		n: n, cache: pagecache.New(spillLimits(c.Bytes, c.SpillLimit)), store: store,
		jobs:  make(chan func(), spillWrites+spillReads+2), // and one that forgets, and one that tidies
		reads: map[uint64]*pageRead{}, of: map[pagecache.Ref][]pageRef{}, wants: map[uint64]shard.Want{},
	}
	for range spillWorkers {
		n.group.Run(n.spill.work)
	}
	return nil
}

// reserve keeps room for the pages of a mutation until release.
func (s *spill) reserve(mu *wire.Mutation) (release func(), err error) {
	more := shard.More(mu)
	pages, fresh := more, more
	for i := range mu.Changes {
		if c := &mu.Changes[i]; c.Kind != wire.PageData && c.Kind != wire.PageDelta {
			continue
		}
		pages++
		if _, _, there := s.cache.Has(holo.PageID{Array: mu.Array, Index: mu.Changes[i].Page}); !there {
			fresh++
		}
	}
	if err := s.cache.Reserve(pages, fresh); err != nil {
		return nil, err
	}
	return func() { s.cache.Unreserve(pages, fresh) }, nil
}

// follow tells the cache what came and went in the replicas, and begins to
// fetch what they want.
func (s *spill) follow(r *shard.Ready) {
	for _, c := range r.Pages {
		if c.Gone {
			s.cache.Drop(c.Page)
		} else {
			s.cache.Put(c.Page, c.Version, c.Shard)
		}
	}
	for _, w := range r.Wants {
		s.want(w)
	}
}

func (s *spill) want(w shard.Want) {
	pages := make([]pagecache.Page, len(w.Pages))
	for i, c := range w.Pages {
		pages[i] = pagecache.Page{ID: c.Page, Version: c.Version}
	}
	s.last++
	granted, err := s.cache.Use(s.last, pages)
	switch {
	case err != nil:
		s.later = append(s.later, w.Shard)
	case granted:
		s.cache.Release(s.last)
		s.later = append(s.later, w.Shard)
	default:
		s.wants[s.last] = w
	}
}

// flush does what the cache asks for, and reports whether replicas go on.
func (s *spill) flush(now holo.Time) (busy bool) {
	r := s.cache.Ready(now)
	for _, p := range r.Evict {
		s.n.machine.Away(p.Shard, p.ID, p.Version)
	}
	for _, p := range r.Write {
		s.write(p)
	}
	for _, p := range r.Read {
		s.read(p)
	}
	s.forget = append(s.forget, r.Forget...)
	s.forgetSome()
	for _, id := range r.Granted {
		busy = s.granted(now, id) || busy
	}
	for _, f := range r.Failed {
		s.failed(now, f)
	}
	for _, e := range r.Events {
		s.event(now, e)
	}
	u := s.cache.Usage()
	s.full.set(u.Resident > s.cache.Limits().Memory)
	return busy || len(r.Granted) > 0
}

// granted ends the waiting of a reader, or of a replica while its pages are
// still held.
func (s *spill) granted(now holo.Time, id uint64) bool {
	defer s.cache.Release(id)
	if w, ok := s.wants[id]; ok {
		delete(s.wants, id)
		s.n.machine.Resume(now, w.Shard)
		return true
	}
	s.endRead(id, nil)
	return false
}

func (s *spill) failed(now holo.Time, f pagecache.Failure) {
	err := holo.Refuse(holo.Unavailable, storage.ReasonDisk, "read page %v: the disk of the spill folder fails", f.Page.ID)
	if f.Outcome == pagecache.Damaged {
		err = s.n.machine.Spoilt(f.Page.Shard, f.Page.ID)
	}
	if w, ok := s.wants[f.Use]; ok {
		delete(s.wants, f.Use)
		s.later = append(s.later, w.Shard)
		return
	}
	s.endRead(f.Use, err)
}

// tick has what failed go on, and the folder tidied.
func (s *spill) tick(now holo.Time) {
	s.tell(now)
	list := s.later
	s.later = nil
	for _, id := range list {
		s.n.machine.Resume(now, id)
	}
	if now >= s.tidy && !s.tidying {
		s.tidying, s.tidy = true, now.Add(holo.Second)
		s.jobs <- s.tidyUp
	}
}

// event tells of what changed; of damaged pages the replicas do.
func (s *spill) event(now holo.Time, e pagecache.Event) {
	switch e.Kind {
	case pagecache.DiskFull, pagecache.DiskBroken:
		s.disk.fails, s.disk.why = true, e.Kind.String()
	case pagecache.DiskWorks:
		s.disk.fails = false
	}
	s.tell(now)
}

// Admit has a message with pages wait while the memory is more than full, for a
// second: then it is dropped, and sent again.
func (n *Node) Admit(ctx context.Context, m wire.Message) error {
	s := n.spill
	if s == nil || !carriesPages(m) || !s.full.wait(ctx) {
		return nil
	}
	return holo.Refuse(holo.Unavailable, pagecache.ReasonBusy, "take pages: the memory is full and the disk of the spill folder is slow")
}

func carriesPages(m wire.Message) bool {
	switch m := m.(type) {
	case *wire.Repl:
		return len(m.Entries) > 0
	case *wire.Recon, *wire.Snap:
		return true
	}
	return false
}
