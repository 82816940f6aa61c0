package consensus

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"

	"github.com/holocompute/holocompute/internal/holo"
)

// contents is all that the store's file says.
func contents(t *testing.T, path string) (all []string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.View(func(tx *bbolt.Tx) error {
		for _, b := range [][]byte{logBucket, stableBucket} {
			tx.Bucket(b).ForEach(func(k, v []byte) error {
				all = append(all, string(k)+"="+string(v))
				return nil
			})
		}
		return nil
	})
	return all
}

// The attack of T2-3 on the catalogue's log: one byte is changed, anywhere. It
// is found, and the file named, or the byte meant nothing.
func TestAnyChangedByteOfTheLogIsFoundOrMeansNothing(t *testing.T) {
	s, path := testStore(t)
	for i := uint64(1); i <= 40; i++ {
		must(t, s.StoreLog(entry(i)))
	}
	must(t, s.SetUint64([]byte("CurrentTerm"), 7))
	must(t, s.Set([]byte("LastVoteCand"), []byte("node")))
	must(t, s.Close())
	good, err := os.ReadFile(path)
	must(t, err)
	before := contents(t, path)
	bad := filepath.Join(t.TempDir(), "raft.db")
	found, metas := 0, 2*os.Getpagesize() // bbolt has two heads, and takes the older when the newer is torn
	for at := metas; at < len(good); at += 61 {
		changed := slices.Clone(good)
		changed[at] ^= 0x10
		must(t, os.WriteFile(bad, changed, 0o600))
		err := verifyStore(bad)
		if err == nil {
			if !slices.Equal(contents(t, bad), before) {
				t.Fatalf("byte %d was changed, and the log says something else without a word", at)
			}
			continue
		}
		found++
		if holo.KindOf(err) != holo.Corrupt || holo.ReasonOf(err) != ReasonDamaged || !strings.Contains(err.Error(), bad) {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
	if found < 30 {
		t.Errorf("only %d changes were found", found)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestChangedSnapshotEndsTheStart(t *testing.T) {
	dir := t.TempDir()
	inner, err := raft.NewFileSnapshotStore(dir, 2, os.Stderr)
	must(t, err)
	store := summed{inner, filepath.Join(dir, "snapshots")}
	_, transport := raft.NewInmemTransport("")
	sink, err := store.Create(1, 9, 3, raft.Configuration{}, 1, transport)
	must(t, err)
	_, err = sink.Write([]byte("the catalogue"))
	must(t, errors.Join(err, sink.Close()))
	must(t, verifySnapshots(store.dir))
	for _, name := range []string{"state.bin", "meta.json", sumFile} {
		path := filepath.Join(store.dir, sink.ID(), name)
		good, err := os.ReadFile(path)
		must(t, err)
		for at := range good {
			changed := slices.Clone(good)
			changed[at] ^= 1
			must(t, os.WriteFile(path, changed, 0o600))
			err := verifySnapshots(store.dir)
			if holo.KindOf(err) != holo.Corrupt || !strings.Contains(err.Error(), sink.ID()) {
				t.Fatalf("byte %d of %s: %v", at, name, err)
			}
		}
		must(t, os.WriteFile(path, good, 0o600))
	}
	must(t, os.Remove(filepath.Join(store.dir, sink.ID(), sumFile))) // a crash before it was written
	must(t, verifySnapshots(store.dir))
	if list, err := inner.List(); err != nil || len(list) != 0 {
		t.Errorf("a snapshot without its sum is kept: %v, %v", list, err)
	}
}
