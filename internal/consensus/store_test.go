package consensus

import (
	"bytes"
	"errors"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"

	"github.com/holocompute/holocompute/internal/holo"
)

func testStore(t *testing.T) (*store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "raft.db")
	s, err := openStore(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, path
}

func entry(index uint64) *raft.Log {
	return &raft.Log{
		Index: index, Term: index / 3, Type: raft.LogType(index % 6), Data: bytes.Repeat([]byte{byte(index)}, int(index%50)+1),
		Extensions: []byte("ext"), AppendedAt: time.Unix(1700000000, int64(index)),
	}
}

func edges(t *testing.T, s *store) [2]uint64 {
	t.Helper()
	first, err := s.FirstIndex()
	last, err2 := s.LastIndex()
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return [2]uint64{first, last}
}

func TestLogIsWhatWasStored(t *testing.T) {
	s, path := testStore(t)
	if edges(t, s) != [2]uint64{} {
		t.Errorf("a new log has %v", edges(t, s))
	}
	var all []*raft.Log
	for i := uint64(1); i <= 300; i++ {
		all = append(all, entry(i))
	}
	if err := s.StoreLogs(all); err != nil {
		t.Fatal(err)
	}
	if err := s.StoreLog(&raft.Log{Index: 301, Term: 9, Data: []byte{}}); err != nil { // no time, no extensions
		t.Fatal(err)
	}
	if err := errors.Join(s.DeleteRange(1, 100), s.DeleteRange(290, 400), s.DeleteRange(500, 600)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := openStore(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := edges(t, again); got != [2]uint64{101, 289} {
		t.Fatalf("first and last are %v", got)
	}
	for i := uint64(101); i <= 289; i++ {
		var got raft.Log
		if err := again.GetLog(i, &got); err != nil || !reflect.DeepEqual(&got, entry(i)) {
			t.Fatalf("entry %d is %+v, %v", i, got, err)
		}
	}
	for _, i := range []uint64{0, 1, 100, 290, 301, 1 << 60} {
		if err := again.GetLog(i, &raft.Log{}); err != raft.ErrLogNotFound {
			t.Errorf("entry %d: %v", i, err)
		}
	}
}

func TestTermAndVoteAreKept(t *testing.T) {
	s, path := testStore(t)
	if _, err := s.Get([]byte("k")); err == nil || err.Error() != "not found" { // Raft compares the text
		t.Errorf("missing key: %v", err)
	}
	if _, err := s.GetUint64([]byte("k")); err == nil || err.Error() != "not found" {
		t.Errorf("missing number: %v", err)
	}
	if err := errors.Join(s.Set([]byte("LastVoteCand"), []byte("n1")), s.SetUint64([]byte("CurrentTerm"), 1<<63+5)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetUint64([]byte("LastVoteCand")); holo.KindOf(err) != holo.Corrupt {
		t.Errorf("a vote as a number: %v", err)
	}
	s.Close()
	again, err := openStore(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	vote, err := again.Get([]byte("LastVoteCand"))
	term, err2 := again.GetUint64([]byte("CurrentTerm"))
	if string(vote) != "n1" || term != 1<<63+5 || err != nil || err2 != nil {
		t.Errorf("vote %q, term %d, %v, %v", vote, term, err, err2)
	}
}

func TestSecondProcessCannotOpenTheLog(t *testing.T) {
	_, path := testStore(t)
	if s, err := openStore(path); holo.KindOf(err) != holo.Unavailable {
		t.Errorf("opened twice: %v, %v", s, err)
	}
}

func TestChangedEntryIsCorrupt(t *testing.T) {
	s, _ := testStore(t)
	if err := s.StoreLog(entry(5)); err != nil {
		t.Fatal(err)
	}
	good := encodeEntry(entry(5))
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if err := decodeEntry(bad, 5, &raft.Log{}); holo.KindOf(err) != holo.Corrupt {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	if err := decodeEntry(good, 6, &raft.Log{}); holo.KindOf(err) != holo.Corrupt {
		t.Errorf("entry 5 read as 6: %v", err)
	}
	err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(logBucket).Put(indexKey(5), good[:len(good)-1]) })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.GetLog(5, &raft.Log{}); holo.KindOf(err) != holo.Corrupt {
		t.Errorf("truncated entry: %v", err)
	}
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(encodeEntry(entry(1)), uint64(1))
	f.Add(encodeEntry(&raft.Log{Index: 9, Data: []byte("x")}), uint64(9))
	f.Add([]byte{}, uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, index uint64) {
		var l raft.Log
		if decodeEntry(b, index, &l) == nil && !bytes.Equal(encodeEntry(&l), b) {
			t.Errorf("%x decodes and encodes to %x", b, encodeEntry(&l))
		}
	})
}
