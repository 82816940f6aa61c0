package code

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// An entry's file is its MAC and the code. A file that is being written has
// another name until it is whole.
const (
	macSize = sha256.Size
	writing = "new-"
)

// mac authenticates code under the name that it is kept by.
func (s *Store) mac(id ID, code []byte) []byte {
	h := hmac.New(sha256.New, s.config.Key.Bytes())
	h.Write(id[:])
	h.Write(code)
	return h.Sum(nil)
}

// Get gives the code of an entry, if it is there and is what was put.
func (s *Store) Get(id ID) ([]byte, bool) {
	if s == nil {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.mu.entries[id]
	if e == nil {
		return nil, false
	}
	code, err := s.read(id)
	if err != nil {
		s.refuse(id, err)
		return nil, false
	}
	s.mu.clock++
	e.used = s.mu.clock
	s.mu.state.Hits++
	return code, true
}

// errForged says why an entry is none.
var errForged = errors.New("it is not what this node wrote")

// read reads a file once, within the limit, and verifies what it read.
func (s *Store) read(id ID) ([]byte, error) {
	info, err := s.root.Lstat(id.file())
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // a pipe would be waited for
		return nil, errForged
	}
	f, err := s.root.Open(id.file())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, macSize+MaxEntry+1))
	if err != nil {
		return nil, err
	}
	if len(b) <= macSize || len(b) > macSize+MaxEntry || !hmac.Equal(b[:macSize], s.mac(id, b[macSize:])) {
		return nil, errForged
	}
	return b[macSize:], nil
}

// refuse forgets an entry that cannot be used. The caller holds the lock.
func (s *Store) refuse(id ID, why error) {
	s.config.Logger.Warn("machine code refused, the kernel is compiled anew", "entry", id.file(), "error", why)
	s.config.Count(ReasonRefused)
	s.mu.state.Refused++
	s.drop(id)
}

// drop takes an entry away. The caller holds the lock.
func (s *Store) drop(id ID) {
	s.mu.state.Bytes -= s.mu.entries[id].size
	delete(s.mu.entries, id)
	s.mu.state.Entries = len(s.mu.entries)
	if err := s.root.RemoveAll(id.file()); err != nil {
		s.config.Logger.Warn("machine code not removed", "entry", id.file(), "error", err)
	}
}

// Put keeps code under a name. What is too large, or cannot be written, is not
// kept: it can be compiled again.
func (s *Store) Put(id ID, code []byte) {
	if s == nil || len(code) == 0 || len(code) > MaxEntry || macSize+int64(len(code)) > s.config.Limit {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.entries[id] != nil {
		s.drop(id)
	}
	size := macSize + int64(len(code))
	s.shrink(size)
	if err := s.write(id, code); err != nil {
		s.config.Logger.Warn("machine code not kept", "entry", id.file(), "error", err)
		return
	}
	s.add(id, size)
	s.mu.state.Made++
}

func (s *Store) add(id ID, size int64) {
	s.mu.clock++
	s.mu.entries[id] = &entry{size: size, used: s.mu.clock}
	s.mu.state.Bytes += size
	s.mu.state.Entries = len(s.mu.entries)
}

// write makes a file under a name of chance that was not there, and renames it:
// there is never half an entry under an entry's name. It is not synced: what a
// crash leaves of it does not authenticate.
func (s *Store) write(id ID, code []byte) error {
	name := writing + rand.Text()
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(s.mac(id, code))
	if err == nil {
		_, err = f.Write(code)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.root.Rename(name, id.file())
	}
	if err != nil {
		return errors.Join(err, s.root.Remove(name))
	}
	return nil
}

// shrink removes what was of no use for the longest, until there is room for
// more. The caller holds the lock, or is the only one.
func (s *Store) shrink(more int64) {
	for s.mu.state.Bytes+more > s.config.Limit && len(s.mu.entries) > 0 {
		var oldest ID
		first := true
		for id, e := range s.mu.entries {
			if first || e.used < s.mu.entries[oldest].used {
				oldest, first = id, false
			}
		}
		s.drop(oldest)
	}
}

// index finds the entries of earlier processes, the longest unwritten first, and
// removes files that were being written. Nothing is read yet.
func (s *Store) index() error {
	names, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return err
	}
	var found []fs.FileInfo
	for _, n := range names {
		if strings.HasPrefix(n.Name(), writing) {
			if err := s.root.Remove(n.Name()); err != nil {
				return err
			}
			continue
		}
		info, err := n.Info()
		if _, ok := idOf(n.Name()); err == nil && ok {
			found = append(found, info)
		}
	}
	slices.SortFunc(found, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, info := range found {
		id, _ := idOf(info.Name())
		s.add(id, info.Size())
	}
	return nil
}

func idOf(name string) (id ID, ok bool) {
	b, err := hex.DecodeString(name)
	return ID(append(b, make([]byte, len(id))...)[:len(id)]), err == nil && len(b) == len(id) && strings.ToLower(name) == name
}
