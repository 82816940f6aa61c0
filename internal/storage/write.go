package storage

import (
	"errors"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/invariant"
)

// Write keeps a page of 64 KiB under its reference. An error of kind Exhausted
// says that there is no space, any other that the disk fails; either way the
// page is not kept, and all others are as they were.
func (s *Store) Write(p Page, data []byte) error {
	invariant.Check(len(data) == holo.PageSize && p.Ref != 0, "storage: write %d bytes under reference %d", len(data), p.Ref)
	if err := s.put(p, data, nil, false); !errors.Is(err, errShort) {
		return err
	}
	s.moving.Lock()
	defer s.moving.Unlock()
	if err := s.makeRoom(); err != nil {
		return err
	}
	return s.put(p, data, nil, true)
}

// put writes a record and then makes it findable: in place of the one at from,
// if that is still there, or as a new one. A mover holds moving.
func (s *Store) put(p Page, data []byte, from *spot, mover bool) error {
	g, at, k, err := s.take(mover)
	if err != nil {
		return err
	}
	record := buffers.Get().(*[recordSize]byte)
	defer buffers.Put(record)
	k.seal(record, p, at, data)
	_, err = g.file.WriteAt(record[:], int64(at.slot)*recordSize)
	s.mu.Lock()
	defer s.mu.Unlock()
	g.writers--
	s.written.Broadcast()
	if err != nil {
		g.failed = append(g.failed, at.slot)
		s.release(k, 1)
		s.let(g)
		return failure("write to", err)
	}
	s.publish(g, p, at, from)
	return nil
}

func (s *Store) publish(g *segment, p Page, at spot, from *spot) {
	old, there := s.mu.index[p.Ref]
	if from != nil && (!there || old != *from) {
		s.release(g.keys[at.slot], 1)
		s.let(g) // forgotten while it was moved
		return
	}
	invariant.Check(from != nil || !there, "storage: reference %d is in use", p.Ref)
	if there {
		s.vacate(old)
	}
	g.pages[at.slot] = p
	g.live++
	s.mu.index[p.Ref] = at
}

// vacate makes a slot no record's.
func (s *Store) vacate(at spot) {
	if g := s.mu.segments[at.segment]; g != nil {
		g.pages[at.slot] = Page{}
		g.live--
		s.release(g.keys[at.slot], 1)
		s.let(g)
	}
}

// Forget lets go of a page. A read of it that is under way still succeeds.
func (s *Store) Forget(ref uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, there := s.mu.index[ref]; there {
		delete(s.mu.index, ref)
		s.vacate(at)
	}
}
