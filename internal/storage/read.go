package storage

import (
	"errors"
	"io"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/invariant"
)

// Read writes a page into dst, which holds 64 KiB. An error of kind Corrupt
// says that what lies on disk is not what was written; NotFound that the page is
// not kept; any other that the disk fails, and may work again. With an error
// dst holds nothing of the page.
func (s *Store) Read(p Page, dst []byte) error {
	invariant.Check(len(dst) == holo.PageSize, "storage: read into %d bytes", len(dst))
	g, at, k, err := s.hold(p)
	if err != nil {
		return err
	}
	err = s.load(g, at, k, p, dst)
	s.mu.Lock()
	defer s.mu.Unlock()
	g.readers--
	s.release(k, 1)
	s.let(g)
	return err
}

// hold finds a page, and the secret that it lies under, and keeps both its
// segment and the secret until the read is done.
func (s *Store) hold(p Page) (*segment, spot, *dataKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return nil, spot{}, nil, closed()
	}
	at, there := s.mu.index[p.Ref]
	if there && at.segment == 0 {
		return nil, spot{}, nil, damaged(p, "it was damaged when it was to be moved")
	}
	g := s.mu.segments[at.segment]
	if !there || g.pages[at.slot] != p {
		return nil, spot{}, nil, holo.Errorf(holo.NotFound, "read page %v at %v from the spill folder: it is not kept there", p.ID, p.Version)
	}
	g.readers++
	k := g.keys[at.slot]
	k.needed++
	return g, at, k, nil
}

func (s *Store) load(g *segment, at spot, k *dataKey, p Page, dst []byte) error {
	record := buffers.Get().(*[recordSize]byte)
	defer buffers.Put(record)
	n, err := g.file.ReadAt(record[:], int64(at.slot)*recordSize)
	switch {
	case n < recordSize && (err == nil || errors.Is(err, io.EOF)):
		return damaged(p, "its file is shorter than it was")
	case n < recordSize:
		return failure("read from", err)
	case !k.open(dst, p, at, record[:]):
		return damaged(p, "what lies in its place is not its record")
	}
	return nil
}
