package consensus

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"github.com/holocompute/holocompute/internal/holo"
)

// What Raft finds on the disk it believes: it skips a snapshot that it cannot
// read, and takes a term that is not there for 0. So everything is read once
// before it starts, and what is not as it was written ends the start, with the
// name of the file.

// stableKeys are all that Raft keeps beside the log.
var stableKeys = []string{"CurrentTerm", "LastVoteTerm", "LastVoteCand"}

// verifyStore reads the whole log and what is beside it. bbolt trusts its
// pages: a damaged one makes it panic, or read outside of the file, and when it
// opens a file for writing it does so in a goroutine of its own.
func verifyStore(path string) (err error) {
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return nil // it will be made
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if cause := recover(); cause != nil {
			err = damaged(path, "%v", cause)
		}
	}()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, ReadOnly: true})
	switch {
	case errors.Is(err, bbolterrors.ErrTimeout):
		return holo.Errorf(holo.Unavailable, "open log %s: %w", path, err)
	case err != nil:
		return damaged(path, "%w", err)
	}
	err = db.View(verifyAll)
	if err != nil {
		err = damaged(path, "%w", err)
	}
	return errors.Join(err, db.Close())
}

func verifyAll(tx *bbolt.Tx) error {
	log, stable := tx.Bucket(logBucket), tx.Bucket(stableBucket)
	if log == nil || stable == nil {
		return holo.Errorf(holo.Corrupt, "it holds no log")
	}
	next := uint64(0)
	err := log.ForEach(func(k, v []byte) error {
		if len(k) != 8 || next != 0 && binary.BigEndian.Uint64(k) != next {
			return holo.Errorf(holo.Corrupt, "entry %d is missing", next)
		}
		next = binary.BigEndian.Uint64(k) + 1
		return decodeEntry(v, next-1, new(raft.Log))
	})
	if err != nil {
		return err
	}
	return stable.ForEach(func(k, v []byte) error {
		if !slices.Contains(stableKeys, string(k)) {
			return holo.Errorf(holo.Corrupt, "%q is not known", k)
		}
		_, err := openValue(k, v)
		return err
	})
}

func damaged(path, format string, args ...any) error {
	return holo.Refuse(holo.Corrupt, ReasonDamaged, "read "+path+": "+format, args...)
}

// sumFile lies in a snapshot's folder and holds the SHA-256 of its other files.
const sumFile = "sum"

// summed is a snapshot store whose snapshots have a sum.
type summed struct {
	raft.SnapshotStore
	dir string // which has a folder for each snapshot
}

// Create begins a snapshot.
func (s summed) Create(v raft.SnapshotVersion, index, term uint64, c raft.Configuration, at uint64, t raft.Transport) (raft.SnapshotSink, error) {
	sink, err := s.SnapshotStore.Create(v, index, term, c, at, t)
	return summedSink{sink, s.dir}, err
}

type summedSink struct {
	raft.SnapshotSink
	dir string
}

// Close ends the snapshot. Raft shortens the log afterwards only, so that a
// snapshot without its sum, after a crash right here, is not needed.
func (s summedSink) Close() error {
	if err := s.SnapshotSink.Close(); err != nil {
		return err
	}
	dir := filepath.Join(s.dir, s.ID())
	sum, err := sumOf(dir)
	if err != nil {
		return err
	}
	return writeSynced(filepath.Join(dir, sumFile), sum)
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return holo.Errorf(holo.Unavailable, "write snapshot: %w", err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return holo.Errorf(holo.Unavailable, "write snapshot: %w", err)
	}
	return nil
}

// sumOf reads a snapshot's files.
func sumOf(dir string) ([]byte, error) {
	h := sha256.New()
	for _, name := range []string{"meta.json", "state.bin"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, holo.Errorf(holo.Unavailable, "read snapshot: %w", err)
		}
		part := sha256.Sum256(b)
		h.Write(part[:])
	}
	return h.Sum(nil), nil
}

// verifySnapshots checks the sum of each, and takes away those that have none.
func verifySnapshots(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return holo.Errorf(holo.Unavailable, "read snapshots: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !e.IsDir() || strings.HasSuffix(path, ".tmp") {
			continue // Raft takes what is not finished away
		}
		want, err := os.ReadFile(filepath.Join(path, sumFile))
		if errors.Is(err, fs.ErrNotExist) {
			if err := os.RemoveAll(path); err != nil {
				return holo.Errorf(holo.Unavailable, "read snapshots: %w", err)
			}
			continue
		}
		got, failed := sumOf(path)
		if err := errors.Join(err, failed); err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return damaged(path, "a file of this snapshot is not as it was written")
		}
	}
	return nil
}
