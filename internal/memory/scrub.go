package memory

import (
	"cmp"
	"context"

	"github.com/holocompute/holocompute/internal/core/pagecache"
	"github.com/holocompute/holocompute/internal/core/shard"
	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/scrub"
)

// scrubSource is a node's pages as the scrubbing reads them: those in memory
// as they are, those on disk past the cache, which would else keep what nobody
// uses.
type scrubSource struct {
	n    *Node
	page []byte
}

// Scrub goes over the node's pages until the node ends.
func (n *Node) Scrub(ctx context.Context) {
	scrub.Run(ctx, &scrubSource{n, make([]byte, holo.PageSize)}, cmp.Or(n.config.ScrubRate, scrub.DefaultRate), &n.Found)
}

// Shards implements scrub.Source.
func (s *scrubSource) Shards(ctx context.Context) ([]holo.ShardID, error) {
	var list []holo.ShardID
	if err := s.n.turns.Do(ctx, func(holo.Time) { list = s.n.machine.Stocked() }); err != nil {
		return nil, err // and the loop may yet write to list
	}
	return list, nil
}

// Pages implements scrub.Source.
func (s *scrubSource) Pages(ctx context.Context, id holo.ShardID) ([]scrub.Page, error) {
	var list []scrub.Page
	err := s.n.turns.Do(ctx, func(holo.Time) {
		for _, p := range s.n.machine.Stock(id) {
			list = append(list, scrub.Page{Shard: p.Shard, ID: p.Page, Version: p.Version})
		}
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Check implements scrub.Source.
func (s *scrubSource) Check(ctx context.Context, p scrub.Page) (bytes int, err error) {
	var v shard.View
	var ok bool
	var frame pagecache.Page
	err = s.n.turns.Do(ctx, func(holo.Time) {
		if v, ok = s.n.machine.Committed(p.Shard, p.ID, p.Version); ok && s.n.spill != nil {
			frame, _, _ = s.n.spill.cache.Has(p.ID)
		}
	})
	if err != nil || !ok || v.Damaged {
		return 0, err
	}
	if !v.Away {
		if bytes, err = holo.PageSize, s.checkMemory(ctx, p, &v); err != nil {
			return bytes, err
		}
	}
	if frame.Version != p.Version {
		return bytes, nil
	}
	n, err := s.checkDisk(ctx, p, frame)
	return bytes + n, err
}

// checkMemory holds a page in memory against its digest; one that has none yet
// gets it.
func (s *scrubSource) checkMemory(ctx context.Context, p scrub.Page, v *shard.View) error {
	sum := digest.Of(v.Data)
	return s.n.turns.Do(ctx, func(holo.Time) {
		m := s.n.machine
		now, ok := m.Committed(p.Shard, p.ID, p.Version)
		switch {
		case !ok:
		case !now.Hashed:
			m.Hashed(p.Shard, p.ID, p.Version, sum)
		case now.Digest != sum:
			m.Damaged(p.Shard, p.ID, p.Version)
		}
	})
}

// checkDisk reads a page's copy in the spill folder, if it has one.
func (s *scrubSource) checkDisk(ctx context.Context, p scrub.Page, frame pagecache.Page) (int, error) {
	outcome := loaded(s.n.spill.store.Read(recordOf(frame), s.page))
	if outcome == pagecache.Broken {
		return 0, nil // no copy there, or a disk that fails, which writing finds out
	}
	sum := digest.Of(s.page)
	return holo.PageSize, s.n.turns.Do(ctx, func(holo.Time) {
		m := s.n.machine
		v, ok := m.Committed(p.Shard, p.ID, p.Version)
		now, _, _ := s.n.spill.cache.Has(p.ID)
		if !ok || now.Ref != frame.Ref || outcome == pagecache.Done && (!v.Hashed || v.Digest == sum) {
			return
		}
		if v.Away {
			m.Damaged(p.Shard, p.ID, p.Version)
			return
		}
		s.n.Found.Add(scrub.Entry{Page: p.ID, Where: "on disk"})
		s.n.spill.cache.Put(p.ID, p.Version, p.Shard) // the copy in memory goes there anew
		s.n.Found.Add(scrub.Entry{Page: p.ID, Healed: true, Where: "memory"})
	})
}

// heard takes up what the replicas tell of damage.
func (n *Node) heard(e shard.Event) {
	switch e.Kind {
	case shard.PageDamaged:
		n.recorded(pagecache.ReasonDamaged)
		n.Found.Add(scrub.Entry{Page: e.Page, Where: "on this node"})
		n.log.Error("a page's copy on this node is not what was written", "page", e.Page.String(), "shard", uint64(e.Shard))
	case shard.PageHealed:
		n.Found.Add(scrub.Entry{Page: e.Page, Healed: true, Where: "node " + e.Node.String()})
	}
}
