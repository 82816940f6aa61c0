package shard

import (
	"container/list"

	"github.com/holocompute/holocompute/internal/holo"
)

const (
	// smallRead is how many pages a read may have for all of them to be worth
	// keeping at its first time: an element, or 64 KiB wherever they begin. A
	// longer one is most often a pass over an array, whose pages are not read
	// again soon; keeping those would cost their home a lease each.
	smallRead = 2
	// smallShare is the part of the bytes that the small queue is to have.
	smallShare = 10
	// hottest bounds the count of uses: more would only make what was hot once
	// stay longer.
	hottest = 3
	// entryBytes is about what a cached page takes besides its data.
	entryBytes = 256
	// maxSeen is how many pages are remembered as seen, twice: those of 1 GiB.
	maxSeen = 1 << 14
)

// stock decides which cached pages stay. It is S3-FIFO, as for the node's own
// pages (core/pagecache): what comes in waits in a small queue, and only what is
// used there, or was seen before, gets into the main one. So a pass over many
// pages leaves what is read again and again where it is.
type stock struct {
	limit, bytes int
	small, main  queue
	seen, before map[holo.PageID]struct{} // left the small queue unused, or were read in bulk
}

// queue holds *cached, the oldest first.
type queue struct {
	list.List
	bytes int
}

// size is what a page takes.
func (p *cached) size() int { return len(p.Data) + entryBytes }

func (p *cached) used() { p.heat = min(p.heat+1, hottest) }

// Asks reports whether a read of pages should ask for a lease: it is small, or
// all of them were seen before. From now on they were.
func (c *Cache) Asks(pages []holo.PageID) bool {
	if len(pages) <= smallRead {
		return true
	}
	known := true
	for _, id := range pages {
		known = c.stock.knows(id) && known
		c.stock.see(id)
	}
	return known
}

func (s *stock) knows(id holo.PageID) bool {
	_, now := s.seen[id]
	_, then := s.before[id]
	return now || then
}

// see remembers a page, and at most maxSeen that came after it.
func (s *stock) see(id holo.PageID) {
	if s.seen == nil || len(s.seen) >= maxSeen {
		s.seen, s.before = map[holo.PageID]struct{}{}, s.seen
	}
	s.seen[id] = struct{}{}
}

func (s *stock) queue(p *cached) *queue {
	if p.main {
		return &s.main
	}
	return &s.small
}

// add puts a new page into its queue.
func (s *stock) add(p *cached) {
	p.main = s.knows(p.Page)
	s.bytes += p.size()
	s.push(p)
}

func (s *stock) push(p *cached) {
	q := s.queue(p)
	p.at = q.PushBack(p)
	q.bytes += p.size()
}

func (s *stock) pop(p *cached) {
	q := s.queue(p)
	q.Remove(p.at)
	q.bytes -= p.size()
}

// take takes a page away.
func (s *stock) take(p *cached) {
	s.pop(p)
	s.bytes -= p.size()
}

// victim is the page to let go of next; there must be one.
func (s *stock) victim() holo.PageID {
	for {
		small := s.small.bytes*smallShare > s.limit || s.main.Len() == 0
		q := &s.main
		if small {
			q = &s.small
		}
		p := q.Front().Value.(*cached)
		switch {
		case p.heat == 0 && small:
			s.see(p.Page)
			return p.Page
		case p.heat == 0:
			return p.Page
		}
		s.pop(p)
		if p.heat--; small {
			p.heat, p.main = 0, true
		}
		s.push(p)
	}
}
