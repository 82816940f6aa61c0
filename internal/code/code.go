// Package code keeps the machine code of compiled kernels in a folder, so that
// a module is compiled once on a machine and not once in each worker.
//
// The one idea is that nothing in the folder is believed. An entry begins with
// a MAC by a key that is derived from the node's own and that no worker has, over
// the entry's name and its bytes; the name is a hash of all that the code depends
// on. A file that was edited, swapped with another, cut off, or written for
// another module, injector, engine or processor is not found or is no entry: it
// is removed, counted, and the module compiled anew. What Get gives was read
// once, and verified in memory before anybody sees it.
//
// It decides nothing about who may add an entry: package workers does, and takes
// code from processes only that have run nothing yet.
package code

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// ReasonRefused is the reason that is counted when an entry is not what was written.
const ReasonRefused = "code_refused"

// Limits of a store.
const (
	// DefaultLimit bounds all entries together: some hundred kernels of C, or
	// ten of Go with its runtime (12 MB).
	DefaultLimit = 128 << 20
	// MaxEntry bounds one. A module whose code is larger is compiled by each worker.
	MaxEntry = 16 << 20
)

// Origin is all that machine code depends on.
type Origin struct {
	Module   holo.ModuleID
	Injector string   // version of what rewrote the module
	Metered  [32]byte // SHA-256 of what was compiled
	Engine   [32]byte // what the engine is, and the processor that it compiles for
}

// ID is the name of an entry.
type ID [sha256.Size]byte

// ID hashes an origin. Every part has a length that is fixed or written before it.
func (o Origin) ID() (id ID) {
	h := sha256.New()
	h.Write([]byte("holo machine code 1\x00"))
	h.Write(o.Module[:])
	h.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(o.Injector))))
	h.Write([]byte(o.Injector))
	h.Write(o.Metered[:])
	h.Write(o.Engine[:])
	h.Sum(id[:0])
	return id
}

func (id ID) file() string { return hex.EncodeToString(id[:]) }

// Config says where a store is.
type Config struct {
	Dir    string              // made if it is not there, with room for nobody else
	Key    key.Secret          // of the MACs: the store has it until Close
	Limit  int64               // bytes of all entries; 0: DefaultLimit
	Logger *slog.Logger        // nil: nothing is logged
	Count  func(reason string) // told of each entry that was refused; nil: nobody
}

// KeyOf derives the key of a node's store from the node's own. The caller wipes
// it if no store has it.
func KeyOf(node key.Signer) (key.Secret, error) {
	seed := node.Seed()
	defer seed.Wipe()
	b, err := hkdf.Key(sha256.New, seed.Bytes(), nil, "holo machine code 1", key.Size)
	if err != nil {
		return key.Secret{}, holo.Errorf(holo.Internal, "derive the key of the machine code: %w", err)
	}
	defer clear(b)
	return key.NewSecret(b)
}

// Store is a folder of entries. It is safe for concurrent use until Close. The
// zero pointer is a store that keeps nothing.
type Store struct {
	config Config
	root   *os.Root

	mu struct {
		sync.Mutex
		entries map[ID]*entry
		clock   uint64
		state   State
	}
}

// entry is a file as the store knows it.
type entry struct {
	size int64
	used uint64 // clock when it was last of use
}

// State describes a store since it was opened.
type State struct {
	Entries             int
	Bytes, Limit        int64
	Hits, Made, Refused uint64
}

// Open opens a store, and removes what does not belong to it any more: files
// that were being written, and the oldest above the limit.
func Open(c Config) (*Store, error) {
	if c.Limit == 0 {
		c.Limit = DefaultLimit
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Count == nil {
		c.Count = func(string) {}
	}
	root, err := openPrivate(c.Dir)
	if err != nil {
		return nil, holo.Errorf(holo.Unavailable, "open the machine code of kernels: %w", err)
	}
	s := &Store{config: c, root: root}
	s.mu.entries = map[ID]*entry{}
	s.mu.state.Limit = c.Limit
	if err := s.index(); err != nil {
		return nil, errors.Join(holo.Errorf(holo.Unavailable, "open the machine code of kernels in %s: %w", c.Dir, err), s.Close())
	}
	s.shrink(0)
	return s, nil
}

// openPrivate opens a folder that is nobody else's.
func openPrivate(dir string) (*os.Root, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, holo.Refuse(holo.Denied, "not_plain", "%s is not a folder, or a link to one", dir)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	return os.OpenRoot(dir)
}

// Close ends the use of the folder and of the key.
func (s *Store) Close() error {
	if s == nil {
		return nil
	}
	s.config.Key.Wipe()
	return s.root.Close()
}

// State tells how much is kept and of what use it was.
func (s *Store) State() State {
	if s == nil {
		return State{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.state
}
