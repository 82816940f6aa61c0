package memory

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/holocompute/holocompute/internal/core/pagecache"
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/invariant"
	"github.com/holocompute/holocompute/internal/storage"
	"github.com/holocompute/holocompute/internal/wait"
)

// pageRead is a reader that waits for pages that are away.
type pageRead struct {
	views []shard.View
	done  chan error // has room for the one answer
	id    uint64
	pages []pagecache.Page // that are away
}

// pageRef is where the bytes of a page go.
type pageRef struct {
	read *pageRead
	view int
}

// await begins to fetch the pages that are away. It returns nil where none is.
func (s *spill) await(views []shard.View) (*pageRead, error) {
	var pages []pagecache.Page
	var at []int
	for i := range views {
		v := &views[i]
		p, memory, there := s.cache.Has(v.Page)
		if !v.Away {
			s.cache.Touch(v.Page)
			continue
		}
		invariant.Check(there && !memory, "page %v is away, and the cache does not know it", v.Page)
		pages, at = append(pages, p), append(at, i)
	}
	if len(pages) == 0 {
		return nil, nil
	}
	s.last++
	if _, err := s.cache.Use(s.last, pages); err != nil {
		return nil, err
	}
	r := &pageRead{views: views, done: make(chan error, 1), id: s.last, pages: pages}
	s.reads[s.last] = r
	for k, p := range pages {
		s.of[p.Ref] = append(s.of[p.Ref], pageRef{r, at[k]})
	}
	return r, nil
}

// endRead tells a reader how it ended.
func (s *spill) endRead(id uint64, err error) {
	if r := s.reads[id]; r != nil {
		s.over(r)
		r.done <- err
	}
}

// over forgets a reader.
func (s *spill) over(r *pageRead) {
	delete(s.reads, r.id)
	for _, p := range r.pages {
		left := slices.DeleteFunc(s.of[p.Ref], func(to pageRef) bool { return to.read == r })
		if s.of[p.Ref] = left; len(left) == 0 {
			delete(s.of, p.Ref)
		}
	}
}

// fetched waits for the pages of a read that are away. A reader that gives up
// lets go of them.
func (n *Node) fetched(ctx context.Context, r *pageRead) error {
	if r == nil {
		return nil
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
	case <-n.group.Done():
	}
	n.turns.Post(n.group.Context(), func(holo.Time) { n.spill.giveUp(r.id) })
	return n.turns.Gone(ctx)
}

func (s *spill) giveUp(id uint64) {
	if r := s.reads[id]; r != nil {
		s.over(r)
		s.cache.Release(id)
	}
}

// work does what the loop cannot wait for, until ctx is done.
func (s *spill) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case do := <-s.jobs:
			do()
		}
	}
}

// then has the loop take up a result. It runs after the node began to close
// only by chance, and nobody needs it then.
func (s *spill) then(f func(now holo.Time)) { s.n.turns.Post(s.n.group.Context(), f) }

func recordOf(p pagecache.Page) storage.Page {
	return storage.Page{Ref: uint64(p.Ref), ID: p.ID, Version: p.Version}
}

// write gives a page to a worker.
func (s *spill) write(p pagecache.Page) {
	v, ok := s.n.machine.Committed(p.Shard, p.ID, p.Version)
	invariant.Check(ok && !v.Away, "page %v at %v is to be written and is not in memory", p.ID, p.Version)
	s.jobs <- func() {
		sum := v.Sum()
		outcome := written(s.store.Write(recordOf(p), v.Data))
		s.then(func(now holo.Time) {
			if outcome == pagecache.Done {
				s.n.machine.Hashed(p.Shard, p.ID, p.Version, sum)
			}
			s.cache.Wrote(now, p.Ref, outcome)
		})
	}
}

func written(err error) pagecache.Outcome {
	switch {
	case err == nil:
		return pagecache.Done
	case holo.KindOf(err) == holo.Exhausted:
		return pagecache.NoSpace
	}
	return pagecache.Broken
}

// read has a worker fetch a page. What comes back is held against the digest
// that stayed in memory, where the page has not been replaced since.
func (s *spill) read(p pagecache.Page) {
	v, ok := s.n.machine.Committed(p.Shard, p.ID, p.Version)
	s.jobs <- func() {
		data := make([]byte, holo.PageSize)
		outcome := loaded(s.store.Read(recordOf(p), data))
		if outcome == pagecache.Done && ok && v.Hashed && !digest.Check(data, v.Digest) {
			outcome = pagecache.Damaged
		}
		s.then(func(holo.Time) { s.arrived(p, data, outcome) })
	}
}

func loaded(err error) pagecache.Outcome {
	switch {
	case err == nil:
		return pagecache.Done
	case holo.KindOf(err) == holo.Corrupt:
		return pagecache.Damaged
	}
	return pagecache.Broken
}

// arrived hands a page to the replica and to the readers who wait for it.
func (s *spill) arrived(p pagecache.Page, data []byte, o pagecache.Outcome) {
	if o == pagecache.Done {
		s.n.machine.Back(p.Shard, p.ID, p.Version, data)
		for _, to := range s.of[p.Ref] {
			v := &to.read.views[to.view]
			v.Data, v.Away = data, false
		}
	}
	if now, _, _ := s.cache.Has(p.ID); o == pagecache.Damaged && now.Ref == p.Ref {
		s.n.machine.Damaged(p.Shard, p.ID, p.Version)
	}
	delete(s.of, p.Ref)
	s.cache.Loaded(p.Ref, o)
}

// forgetSome gives a worker all that is to be forgotten, one batch at a time.
func (s *spill) forgetSome() {
	if s.forgetting || len(s.forget) == 0 {
		return
	}
	list := s.forget
	s.forget, s.forgetting = nil, true
	s.jobs <- func() {
		for _, p := range list {
			s.store.Forget(uint64(p.Ref))
		}
		s.then(func(holo.Time) { s.forgetting = false })
	}
}

// tidyUp moves what little lies in files that are mostly forgotten.
func (s *spill) tidyUp() {
	s.n.trim(s.store)
	more, err := s.store.Tidy()
	s.then(func(now holo.Time) {
		s.tidying = false
		if more && err == nil {
			s.tidy = now
		}
	})
}

// pressure is a state that the loop sets and others wait to end.
type pressure struct {
	on  atomic.Bool
	end wait.Signal
}

func (p *pressure) set(on bool) {
	if p.on.Swap(on) && !on {
		p.end.Fire()
	}
}

// wait waits until the pressure ends, at most a second; true means that it has not.
func (p *pressure) wait(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for {
		ended := p.end.Wait()
		if !p.on.Load() {
			return false
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return true
		}
	}
}
