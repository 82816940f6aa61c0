package consensus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"

	"github.com/holocompute/holocompute/internal/holo"
)

// lockTimeout is how long another process that has the file may take to let
// go of it.
const lockTimeout = time.Second

var (
	logBucket    = []byte("log")
	stableBucket = []byte("stable")
)

// errNotFound must say exactly this: Raft compares the text.
var errNotFound = errors.New("not found")

// store keeps Raft's log, term and vote in one bbolt file. What a call wrote
// is on disk when it returns. The list of free pages is not written with each
// commit (it grows after bursts, and writing it has made others slow); it is
// computed when the file is opened.
type store struct{ db *bbolt.DB }

var (
	_ raft.LogStore    = (*store)(nil)
	_ raft.StableStore = (*store)(nil)
)

func openStore(path string) (*store, error) {
	if err := verifyStore(path); err != nil {
		return nil, err
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: lockTimeout, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
	})
	if err != nil {
		return nil, holo.Errorf(holo.Unavailable, "open log %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(logBucket)
		_, err2 := tx.CreateBucketIfNotExists(stableBucket)
		return errors.Join(err, err2)
	})
	if err != nil {
		return nil, errors.Join(holo.Errorf(holo.Unavailable, "open log %s: %w", path, err), db.Close())
	}
	return &store{db}, nil
}

// Close waits for transactions and gives the file back.
func (s *store) Close() error { return s.db.Close() }

// FirstIndex is the first entry's index, 0 when there is none.
func (s *store) FirstIndex() (uint64, error) {
	return s.edge(func(c *bbolt.Cursor) ([]byte, []byte) { return c.First() })
}

// LastIndex is the last entry's index, 0 when there is none.
func (s *store) LastIndex() (uint64, error) {
	return s.edge(func(c *bbolt.Cursor) ([]byte, []byte) { return c.Last() })
}

func (s *store) edge(seek func(*bbolt.Cursor) (k, v []byte)) (index uint64, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		if k, _ := seek(tx.Bucket(logBucket).Cursor()); k != nil {
			index = binary.BigEndian.Uint64(k)
		}
		return nil
	})
	return index, err
}

// GetLog reads an entry.
func (s *store) GetLog(index uint64, entry *raft.Log) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(logBucket).Get(indexKey(index))
		if b == nil {
			return raft.ErrLogNotFound
		}
		return decodeEntry(b, index, entry)
	})
}

// StoreLog writes an entry.
func (s *store) StoreLog(entry *raft.Log) error { return s.StoreLogs([]*raft.Log{entry}) }

// StoreLogs writes entries, all or none.
func (s *store) StoreLogs(entries []*raft.Log) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(logBucket)
		bucket.FillPercent = 0.95 // keys only grow
		for _, entry := range entries {
			if err := bucket.Put(indexKey(entry.Index), encodeEntry(entry)); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteRange removes the entries from first to last, both included.
func (s *store) DeleteRange(first, last uint64) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		c := tx.Bucket(logBucket).Cursor()
		for k, _ := c.Seek(indexKey(first)); k != nil && binary.BigEndian.Uint64(k) <= last; k, _ = c.Seek(indexKey(first)) {
			if err := c.Delete(); err != nil { // moves the cursor, so the next is looked up
				return err
			}
		}
		return nil
	})
}

// sealValue puts a checksum of key and value in front of a value.
func sealValue(k, v []byte) []byte {
	sum := crc32.Update(crc32.Checksum(k, castagnoli), castagnoli, v)
	return append(binary.BigEndian.AppendUint32(nil, sum), v...)
}

func openValue(k, b []byte) ([]byte, error) {
	if len(b) < 4 || !bytes.Equal(sealValue(k, b[4:]), b) {
		return nil, holo.Refuse(holo.Corrupt, ReasonDamaged, "read %s: checksum is wrong", k)
	}
	return b[4:], nil
}

// Set keeps a value.
func (s *store) Set(k, v []byte) error {
	return s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(stableBucket).Put(k, sealValue(k, v)) })
}

// Get reads a value.
func (s *store) Get(k []byte) (v []byte, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(stableBucket).Get(k)
		if b == nil {
			return errNotFound
		}
		b, err := openValue(k, b)
		v = append(v, b...) // b is gone with the transaction
		return err
	})
	return v, err
}

// SetUint64 keeps a number.
func (s *store) SetUint64(k []byte, v uint64) error { return s.Set(k, indexKey(v)) }

// GetUint64 reads a number.
func (s *store) GetUint64(k []byte) (uint64, error) {
	v, err := s.Get(k)
	if err != nil {
		return 0, err
	}
	if len(v) != 8 {
		return 0, holo.Errorf(holo.Corrupt, "read %s: %d bytes, want 8", k, len(v))
	}
	return binary.BigEndian.Uint64(v), nil
}

// indexKey orders as the numbers do.
func indexKey(index uint64) []byte { return binary.BigEndian.AppendUint64(nil, index) }
