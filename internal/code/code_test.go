package code

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/key"
)

var node = key.SignerFromSeed(&[key.Size]byte{1})

func open(t *testing.T, dir string, limit int64) (*Store, *[]string) {
	t.Helper()
	return openAs(t, dir, limit, node)
}

func openAs(t *testing.T, dir string, limit int64, node key.Signer) (*Store, *[]string) {
	t.Helper()
	k, err := KeyOf(node)
	if err != nil {
		t.Fatal(err)
	}
	var counted []string
	s, err := Open(Config{Dir: dir, Key: k, Limit: limit, Count: func(r string) { counted = append(counted, r) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, &counted
}

func origin(n byte) Origin { return Origin{Module: [32]byte{n}, Injector: "gas/1"} }

func TestEntriesOutliveTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "code")
	s, _ := open(t, dir, 0)
	s.Put(origin(1).ID(), []byte("machine code"))
	_ = s.Close()
	s, _ = open(t, dir, 0)
	if got, ok := s.Get(origin(1).ID()); !ok || string(got) != "machine code" {
		t.Fatalf("%q, %v", got, ok)
	}
	if st := s.State(); st.Entries != 1 || st.Bytes != macSize+12 || st.Hits != 1 || st.Limit != DefaultLimit {
		t.Errorf("%+v", st)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
}

// Code of another module, injector, engine or processor is another entry.
func TestOriginsHaveNamesOfTheirOwn(t *testing.T) {
	names := map[ID]bool{}
	for _, o := range []Origin{
		origin(1), origin(2), {Module: [32]byte{1}, Injector: "gas/2"}, {Module: [32]byte{1}, Injector: "gas/1", Metered: [32]byte{1}},
		{Module: [32]byte{1}, Injector: "gas/1", Engine: [32]byte{1}}, {Module: [32]byte{1}, Injector: "gas/1\x01"},
	} {
		names[o.ID()] = true
	}
	if len(names) != 6 {
		t.Errorf("%d names", len(names))
	}
}

// Whatever was done to a file, what it holds is not handed out, is counted and
// is removed; the entry can be made anew.
func TestPoisonedFilesAreRefusedAndRemoved(t *testing.T) {
	id, other, code := origin(1).ID(), origin(2).ID(), bytes.Repeat([]byte{0xc3}, 1000)
	edit := func(f func(b []byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			b, err := os.ReadFile(filepath.Join(dir, id.file()))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, id.file()), f(b), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	replace := func(f func(path string) error) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, id.file())
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := f(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, poison := range map[string]func(*testing.T, string){
		"first byte":     edit(func(b []byte) []byte { b[0] ^= 1; return b }),
		"first of code":  edit(func(b []byte) []byte { b[macSize] ^= 1; return b }),
		"last byte":      edit(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }),
		"cut off":        edit(func(b []byte) []byte { return b[:len(b)-1] }),
		"longer":         edit(func(b []byte) []byte { return append(b, 0) }),
		"MAC alone":      edit(func(b []byte) []byte { return b[:macSize] }),
		"empty":          edit(func([]byte) []byte { return nil }),
		"far too long":   edit(func(b []byte) []byte { return append(b, make([]byte, MaxEntry)...) }),
		"no longer here": replace(func(string) error { return nil }),
		"a folder":       replace(func(p string) error { return os.Mkdir(p, 0o700) }),
		"another's": func(t *testing.T, dir string) {
			if err := os.Rename(filepath.Join(dir, other.file()), filepath.Join(dir, id.file())); err != nil {
				t.Fatal(err)
			}
		},
		"a link to another's": replace(func(p string) error { return os.Symlink(other.file(), p) }),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, counted := open(t, dir, 0)
			s.Put(id, code)
			s.Put(other, bytes.Repeat([]byte{0x90}, 1000))
			poison(t, dir)
			if got, ok := s.Get(id); ok {
				t.Fatalf("handed out: %d bytes", len(got))
			}
			if st := s.State(); len(*counted) != 1 || (*counted)[0] != ReasonRefused || st.Refused != 1 || st.Entries != 1 {
				t.Errorf("counted %v, %+v", *counted, st)
			}
			if _, err := os.Lstat(filepath.Join(dir, id.file())); err == nil {
				t.Error("the file is still there")
			}
			s.Put(id, code)
			if got, ok := s.Get(id); !ok || !bytes.Equal(got, code) {
				t.Error("it cannot be made anew")
			}
		})
	}
}

// The key follows from the node's: a folder of another node is worth nothing.
func TestEntriesOfAnotherNodeAreRefused(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, 0)
	s.Put(origin(1).ID(), []byte("code"))
	_ = s.Close()
	s, _ = openAs(t, dir, 0, key.SignerFromSeed(&[key.Size]byte{2}))
	if _, ok := s.Get(origin(1).ID()); ok || s.State().Refused != 1 {
		t.Errorf("taken: %v, %+v", ok, s.State())
	}
}

// All entries together are bounded: what was of no use for the longest goes,
// also when a store is opened with a lower limit.
func TestStoreIsBounded(t *testing.T) {
	dir := t.TempDir()
	entry := bytes.Repeat([]byte{1}, 1000-macSize)
	s, _ := open(t, dir, 3000)
	for n := byte(1); n <= 3; n++ {
		s.Put(origin(n).ID(), entry)
	}
	s.Get(origin(1).ID())
	s.Put(origin(4).ID(), entry)
	for n, want := range map[byte]bool{1: true, 2: false, 3: true, 4: true} {
		if _, ok := s.Get(origin(n).ID()); ok != want {
			t.Errorf("entry %d: %v", n, ok)
		}
	}
	s.Put(origin(5).ID(), make([]byte, 3001-macSize))
	if st := s.State(); st.Entries != 3 || st.Bytes != 3000 {
		t.Errorf("%+v", st)
	}
	_ = s.Close()
	s, _ = open(t, dir, 1500)
	files, err := os.ReadDir(dir)
	if st := s.State(); err != nil || len(files) != 1 || st.Entries != 1 || st.Bytes != 1000 {
		t.Errorf("%d files, %+v, %v", len(files), st, err)
	}
}

func TestHalfWrittenFilesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, writing+"X"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir, 0)
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("%v, %v", files, err)
	}
}

func TestFolderThatIsALinkIsRefused(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: link, Key: key.Random()}); err == nil || !strings.Contains(err.Error(), "a link to one") {
		t.Errorf("%v", err)
	}
}

func TestNoStoreKeepsNothing(t *testing.T) {
	var s *Store
	s.Put(ID{}, []byte("code"))
	if _, ok := s.Get(ID{}); ok || s.State() != (State{}) || s.Close() != nil {
		t.Error("something is kept")
	}
}
