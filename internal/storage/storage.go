// Package storage is the device that keeps pages on a node's disk while its
// memory is full: files in a folder of its own, which are worth nothing to
// anybody but this process.
//
// Its one idea: nothing on disk is believed. A record is a page sealed with
// AES-256-GCM under a key of its own, which follows from a secret that exists
// in this process's memory only, and from all that says which record it is:
// page, version, reference, file and place in the file. The secret can be
// replaced while the store is used; records that lie under the one before are
// sealed anew little by little, and it is wiped when the last of them is. What lies where comes
// from an index in memory, never from the disk. So bytes that were changed,
// swapped, moved, cut off, put back from earlier or brought from elsewhere do
// not open, and when the process ends nothing opens any more. How long a file is,
// is known too: what somebody appends is cut off and told (Trim).
//
// Files are only appended to. The space of pages that were forgotten comes back
// when their file has none left, which moving the last few out of it hastens. All files
// are open from their creation on, so names in the folder mean nothing after it.
//
// It keeps nothing over a restart, syncs nothing, and starts no goroutine:
// whoever calls it waits for the disk. It does not choose what to keep; that is
// core/pagecache.
package storage

import (
	"errors"
	"fmt"
	"sync"

	"github.com/holocompute/holocompute/internal/holo"
)

// Reasons for which this package refuses.
const (
	ReasonFull     = "spill_full"        // the disk has no space, or the limit is reached
	ReasonDisk     = "spill_disk"        // the disk fails
	ReasonDamaged  = "page_damaged"      // a record is not what was written
	ReasonForeign  = "foreign_file"      // the folder has files that are not the store's
	ReasonInUse    = "spill_in_use"      // another process has the folder
	ReasonMode     = "wrong_mode"        // others can enter the folder
	ReasonOwner    = "wrong_owner"       // the folder belongs to another user
	ReasonPlain    = "not_plain"         // a link or something else where the folder or a file should be
	ReasonClosed   = "storage_closed"    // the store was closed
	ReasonStaleKey = "stale_data_key"    // it is not the key that seals now
	ReasonRotating = "data_key_rotating" // too many older keys have records left
	ReasonAppended = "spill_appended"    // somebody put bytes behind the records of a file
)

// Sizes.
const (
	// maxSegments bounds the files, all of which are open.
	maxSegments = 64
	// minSlots is the fewest records in a file: fewer, and moving three quarters
	// of them would leave no room for one more.
	minSlots = 4
	// MinLimit is the smallest limit: 32 MiB.
	MinLimit = 32 << 20
)

// Config says where and how much.
type Config struct {
	Dir   string // made with mode 0700 where there is none; must hold nothing else
	Limit uint64 // bytes of files, at least MinLimit
}

// Page names a record: a version of a page, under a reference that the caller
// never uses twice.
type Page struct {
	Ref     uint64 // not 0
	ID      holo.PageID
	Version holo.Version
}

// Store is an open spill folder. It is safe for concurrent use. Whoever opens
// it closes it.
type Store struct {
	folder folder
	slots  int // records in a file

	moving  sync.Mutex          // held by the one caller who moves records
	scratch [holo.PageSize]byte // the page that is being moved

	mu struct {
		sync.Mutex
		index    map[uint64]spot
		segments map[uint32]*segment
		current  *segment // is appended to; may be nil
		last     uint32   // number of the newest segment
		key      *dataKey // seals
		older    []*dataKey
		until    uint32 // the last segment that may have records under older keys
		closed   bool
	}
	written sync.Cond // a write has ended; of mu
}

// spot is where a record lies. A damaged one that was found while it was to be
// moved lies nowhere: segment 0.
type spot struct{ segment, slot uint32 }

// Open takes a folder for this process, which must have it alone, and wipes
// what an earlier one left there: nobody can read that any more.
func Open(c Config) (*Store, error) {
	if c.Limit < MinLimit {
		return nil, holo.Errorf(holo.Invalid, "open spill folder %s: a limit of %d bytes, at least %d are needed", c.Dir, c.Limit, MinLimit)
	}
	f, err := openDirectory(c.Dir)
	if err != nil {
		return nil, opening(c.Dir, err)
	}
	return open(f, c.Limit), nil
}

// opening tells what failed, and keeps the kind of what already has one.
func opening(dir string, err error) error {
	if _, ok := errors.AsType[*holo.Error](err); ok {
		return err
	}
	return holo.Refuse(holo.Unavailable, ReasonDisk, "open spill folder %s: %w", dir, err)
}

func open(f folder, limit uint64) *Store {
	s := &Store{folder: f, slots: slotsOf(limit)}
	s.written.L = &s.mu
	s.mu.key = newDataKey(1)
	s.mu.index, s.mu.segments = map[uint64]spot{}, map[uint32]*segment{}
	return s
}

// slotsOf is how many records a file has under a limit.
func slotsOf(limit uint64) int {
	return max(minSlots, int(limit/(maxSegments*recordSize)))
}

// Capacity is how many pages fit under a limit for certain, whatever is
// written and forgotten in whichever order: three quarters of all files but
// one. As long as no more than that are kept, some file is a quarter empty, and
// the one that is being appended to has room for the rest of it.
func Capacity(limit uint64) int { return (maxSegments - 1) * slotsOf(limit) * 3 / 4 }

// Usage says how much there is.
type Usage struct {
	Pages     int
	Files     int
	FileBytes int64 // on disk, forgotten records included
}

// Usage says how much there is.
func (s *Store) Usage() Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := Usage{Pages: len(s.mu.index), Files: len(s.mu.segments)}
	for _, g := range s.mu.segments {
		u.FileBytes += int64(len(g.pages)) * recordSize
	}
	return u
}

// Close wipes the secrets, removes the files and gives the folder free. Nobody
// may be reading or writing any more.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return nil
	}
	s.mu.closed = true
	for _, k := range append(s.mu.older, s.mu.key) {
		k.secret.Wipe()
	}
	var errs []error
	for _, g := range s.mu.segments {
		errs = append(errs, g.file.Close(), s.folder.remove(g.name()))
	}
	clear(s.mu.index)
	clear(s.mu.segments)
	return errors.Join(append(errs, s.folder.close())...)
}

func closed() error {
	return holo.Refuse(holo.Unavailable, ReasonClosed, "spill folder: the store is closed")
}

func damaged(p Page, why string) error {
	return holo.Refuse(holo.Corrupt, ReasonDamaged, "read page %v at %v from the spill folder: %s", p.ID, p.Version, why)
}

// String is "a7/12@e3.17".
func (p Page) String() string { return fmt.Sprintf("%v@%v", p.ID, p.Version) }
