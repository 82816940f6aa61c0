package storage

import "github.com/holocompute/holocompute/internal/holo"

// movesPerWrite is how many records are moved for one that is written, when
// space runs short. Of a file of which three quarters are left that makes
// 3/4 moves and 3/16 writes, which the last file has room for.
const movesPerWrite = 4

// makeRoom moves some records out of the emptiest file, where the one that is
// appended to is the last there may be. So of that one's slots none is used
// that does not bring the next file nearer. The caller holds moving.
func (s *Store) makeRoom() error {
	s.mu.Lock()
	last := len(s.mu.segments) == maxSegments
	s.mu.Unlock()
	if !last {
		return nil
	}
	_, err := s.move(movesPerWrite, s.slots-1)
	return err
}

// Tidy moves a few records: those that lie under an older secret, or else where
// more than half of what lies on disk is forgotten. It reports whether it is
// worth calling again.
func (s *Store) Tidy() (more bool, err error) {
	s.moving.Lock()
	defer s.moving.Unlock()
	if more, err = s.reseal(); more || err != nil {
		return more, err
	}
	if !s.wasteful() {
		return false, nil
	}
	return s.move(movesPerWrite, s.slots/2)
}

func (s *Store) wasteful() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := 0
	for _, g := range s.mu.segments {
		held += len(g.pages)
	}
	return held > 2*len(s.mu.index)+s.slots
}

// move moves up to n records out of the emptiest file that has no more than
// most. It reports whether it did. The caller holds moving.
func (s *Store) move(n, most int) (moved bool, err error) {
	for _, r := range s.emptiest(n, most) {
		if err := s.moveOne(r.page, r.at, true); err != nil {
			return moved, err
		}
		moved = true
	}
	return moved, nil
}

// resident is a record and where it lies.
type resident struct {
	page Page
	at   spot
}

// emptiest lists up to n records of the file that has the fewest, if no more
// than most.
func (s *Store) emptiest(n, most int) (list []resident) {
	s.mu.Lock()
	defer s.mu.Unlock()
	least := s.least(most)
	for least != nil && least.writers > 0 { // it cannot be emptied before, and what is moved meanwhile takes the last slots
		s.written.Wait()
		least = s.least(most)
	}
	if least == nil {
		return nil
	}
	for slot, p := range least.pages {
		if p.Ref != 0 && len(list) < n {
			list = append(list, resident{p, spot{least.number, uint32(slot)}})
		}
	}
	return list
}

// least is the file with the fewest records, those included that are being written,
// if no more than most: of two the older one.
func (s *Store) least(most int) (least *segment) {
	for _, g := range s.mu.segments {
		if g == s.mu.current || g.kept() > most {
			continue
		}
		if least == nil || g.kept() < least.kept() || g.kept() == least.kept() && g.number < least.number {
			least = g
		}
	}
	return least
}

// moveOne writes a record anew elsewhere. One that is damaged has nothing that
// could be moved: it is remembered as such, and its space given up.
func (s *Store) moveOne(p Page, from spot, mover bool) error {
	err := s.Read(p, s.scratch[:])
	switch {
	case err == nil:
		return s.put(p, s.scratch[:], &from, mover)
	case holo.KindOf(err) == holo.Corrupt:
		s.quarantine(p, from)
		return nil
	case holo.KindOf(err) == holo.NotFound:
		return nil // forgotten meanwhile
	}
	return err
}

func (s *Store) quarantine(p Page, from spot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.index[p.Ref] == from {
		s.mu.index[p.Ref] = spot{}
		s.vacate(from)
	}
}
