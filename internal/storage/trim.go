package storage

import (
	"errors"

	"github.com/holocompute/holocompute/internal/holo"
)

// Trim cuts off what lies behind the places that were handed out in each file, and
// gives its length in bytes: only somebody else can have put it there. No read
// ever reaches it, and a record that is written in its place replaces it: what was
// replaced before this is called is not told. Files that cannot be looked at or cut
// are left as they are, and tried again by the next call.
func (s *Store) Trim() (strangeBytes int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, g := range s.mu.segments {
		n, err := g.trim()
		strangeBytes, errs = strangeBytes+n, append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return strangeBytes, holo.Refuse(holo.Unavailable, ReasonDisk, "look at the files of the spill folder: %w", err)
	}
	return strangeBytes, nil
}

// trim leaves a file no longer than the slots that were handed out, of which the
// store's lock keeps there from being more meanwhile.
func (g *segment) trim() (strangeBytes int64, err error) {
	known := int64(len(g.pages)) * recordSize
	size, err := g.file.Size()
	if err != nil || size <= known {
		return 0, err
	}
	if err := g.file.Truncate(known); err != nil {
		return 0, err
	}
	return size - known, nil
}
