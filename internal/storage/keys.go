package storage

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// maxKeys bounds the secrets that are in memory at a time: the one that seals,
// and those under which records still lie.
const maxKeys = 4

// dataKey is a secret that records are sealed under, and who needs it: records
// that can be found, and reads and writes that are under way. One that is not
// the newest is wiped by whoever needs it last.
type dataKey struct {
	secret     key.Secret
	generation uint32
	created    time.Time
	needed     int
}

func newDataKey(generation uint32) *dataKey {
	return &dataKey{secret: key.Random(), generation: generation, created: time.Now()}
}

// Keys says which secret seals, and what still lies under older ones.
type Keys struct {
	Generation uint32 // counts the secrets of this process, from 1
	Created    time.Time
	Older      int // secrets before it that are not wiped yet
	Records    int // that lie under those
}

// Keys says which secret seals, and what still lies under older ones.
func (s *Store) Keys() Keys {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := Keys{Generation: s.mu.key.generation, Created: s.mu.key.created, Older: len(s.mu.older)}
	for _, old := range s.mu.older {
		k.Records += old.needed
	}
	return k
}

// Rotate seals everything from now on under a new secret, if the one of a
// generation seals now. What lies under older ones is sealed anew by Tidy, little
// by little; each is wiped when the last record has left it.
func (s *Store) Rotate(from uint32) (Keys, error) {
	if err := s.rotate(from); err != nil {
		return Keys{}, err
	}
	return s.Keys(), nil
}

func (s *Store) rotate(from uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.mu.closed:
		return closed()
	case from != s.mu.key.generation:
		return holo.Refuse(holo.Conflict, ReasonStaleKey, "replace key %d of the spill folder: the key now is %d", from, s.mu.key.generation)
	case len(s.mu.older) == maxKeys-1:
		return holo.Refuse(holo.Conflict, ReasonRotating, "replace the key of the spill folder: pages still lie under %d older ones, the most: wait until they are sealed anew", len(s.mu.older))
	}
	before := s.mu.key
	s.mu.older = append(s.mu.older, before)
	s.mu.key, s.mu.until = newDataKey(before.generation+1), s.mu.last
	s.release(before, 0)
	return nil
}

// release ends n needs of a secret, and wipes it if it is an older one and
// nobody needs it any more. The lock is held.
func (s *Store) release(k *dataKey, n int) {
	k.needed -= n
	if k.needed > 0 || k == s.mu.key {
		return
	}
	k.secret.Wipe()
	s.mu.older = slices.DeleteFunc(s.mu.older, func(old *dataKey) bool { return old == k })
}

// reseal moves some records out from under older secrets. Where only the last
// file has room that is left to who makes room: it seals anew too what it
// moves, and no slot is used that brings no file nearer to its end. The caller
// holds moving.
func (s *Store) reseal() (moved bool, err error) {
	for _, r := range s.outdated(movesPerWrite) {
		err := s.moveOne(r.page, r.at, false)
		if errors.Is(err, errShort) {
			return s.move(movesPerWrite, s.slots-1)
		}
		if err != nil {
			return moved, err
		}
		moved = true
	}
	return moved, nil
}

// outdated lists up to n records that lie under an older secret, the oldest
// files first. No file that was begun after the last rotation has any.
func (s *Store) outdated(n int) (list []resident) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.older) == 0 {
		return nil
	}
	for _, number := range slices.Sorted(maps.Keys(s.mu.segments)) {
		if number > s.mu.until || len(list) == n {
			break
		}
		g := s.mu.segments[number]
		for slot, p := range g.pages {
			if p.Ref != 0 && g.keys[slot] != s.mu.key && len(list) < n {
				list = append(list, resident{p, spot{number, uint32(slot)}})
			}
		}
	}
	return list
}
