package storage

import (
	"errors"
	"fmt"
	"io"

	"github.com/holocompute/holocompute/internal/holo"
)

// folder is where the segments lie, and file is one of them. They stand
// between the store and the operating system so that the tests can have a
// disk fail at any moment.
type folder interface {
	create(name string) (file, error)
	remove(name string) error
	close() error
}

type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(sizeBytes int64) error
}

// segment is one file. Slots are handed out in order; one whose write failed is
// handed out again.
type segment struct {
	number  uint32
	file    file
	pages   []Page     // of the slots handed out; zero: no record, or forgotten
	keys    []*dataKey // that the slots' records are sealed under
	failed  []uint32   // slots to hand out again
	live    int
	writers int // writes under way, whose records are not among the live
	readers int // reads under way
}

// kept is how many records it has, or soon has.
func (g *segment) kept() int { return g.live + g.writers }

func (g *segment) name() string { return segmentName(g.number) }

func segmentName(n uint32) string { return fmt.Sprintf("%08x%s", n, suffix) }

const suffix = ".spill"

// errShort says that only the last file there may be has slots left, and those
// are for who moves records.
var errShort = holo.Errorf(holo.Internal, "storage: the last file has been begun")

// take hands out a slot for a record, and the secret to seal it under, and
// keeps its segment and the secret until done.
func (s *Store) take(mover bool) (*segment, spot, *dataKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return nil, spot{}, nil, closed()
	}
	g := s.mu.current
	full := g == nil || len(g.pages) == s.slots && len(g.failed) == 0
	if n := len(s.mu.segments); !mover && (n == maxSegments || full && n == maxSegments-1) {
		return nil, spot{}, nil, errShort
	}
	if full {
		if err := s.roll(); err != nil {
			return nil, spot{}, nil, err
		}
		g = s.mu.current
	}
	at := spot{g.number, uint32(len(g.pages))}
	if n := len(g.failed); n > 0 {
		at.slot, g.failed = g.failed[n-1], g.failed[:n-1]
	} else {
		g.pages, g.keys = append(g.pages, Page{}), append(g.keys, nil)
	}
	g.keys[at.slot] = s.mu.key
	s.mu.key.needed++
	g.writers++
	return g, at, s.mu.key, nil
}

// roll begins the next segment.
func (s *Store) roll() error {
	if len(s.mu.segments) >= maxSegments {
		return holo.Refuse(holo.Exhausted, ReasonFull, "write to the spill folder: its %d files of %d pages are full", maxSegments, s.slots)
	}
	f, err := s.folder.create(segmentName(s.mu.last + 1))
	if err != nil {
		return failure("begin a file in", err)
	}
	s.mu.last++
	before := s.mu.current
	s.mu.current = &segment{number: s.mu.last, file: f}
	s.mu.segments[s.mu.last] = s.mu.current
	if before != nil {
		s.let(before)
	}
	return nil
}

// let removes a segment that has no record left, is not appended to, and into
// which nobody writes; its file goes when nobody reads it any more. One that
// cannot be removed is removed at the next start; its space is missed until then, and
// nothing else.
func (s *Store) let(g *segment) {
	if g.live > 0 || g.writers > 0 || g == s.mu.current || s.mu.closed {
		return
	}
	delete(s.mu.segments, g.number)
	if g.readers == 0 {
		_ = errors.Join(g.file.Close(), s.folder.remove(g.name()))
	}
}

// failure sorts what the disk says.
func failure(what string, err error) error {
	if noSpace(err) {
		return holo.Refuse(holo.Exhausted, ReasonFull, "%s the spill folder: no space is left on its disk: %w", what, err)
	}
	return holo.Refuse(holo.Unavailable, ReasonDisk, "%s the spill folder: %w", what, err)
}
