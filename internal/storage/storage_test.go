package storage

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

func openAt(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(Config{Dir: dir, Limit: MinLimit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestPagesComeBackAsTheyWere(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "spill"))
	var pages []Page
	for ref := range uint64(40) {
		pages = append(pages, pageOf(ref+1))
	}
	write(t, s, pages...)
	if err := wrong(t, s, pages...); err != nil {
		t.Fatal(err)
	}
	s.Forget(7)
	if err := s.Read(pageOf(7), make([]byte, holo.PageSize)); holo.KindOf(err) != holo.NotFound {
		t.Errorf("a forgotten page: %v", err)
	}
	other := pageOf(8)
	other.Version.Seq++
	if err := s.Read(other, make([]byte, holo.PageSize)); holo.KindOf(err) != holo.NotFound {
		t.Errorf("another version than was written: %v", err)
	}
}

// TestWhateverIsWrittenAndForgottenFits keeps as many pages as Capacity says,
// writes and forgets in random and in hostile orders, and is never without room.
func TestWhateverIsWrittenAndForgottenFits(t *testing.T) {
	orders := map[string]func(r *rand.Rand, live []Page) int{
		"random":       func(r *rand.Rand, live []Page) int { return r.IntN(len(live)) },
		"oldest first": func(*rand.Rand, []Page) int { return 0 },
		"newest first": func(_ *rand.Rand, live []Page) int { return len(live) - 1 },
		"every fourth": func(r *rand.Rand, live []Page) int { return min(len(live)-1, 4*r.IntN(len(live)/4)) },
	}
	for name, which := range orders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDisk()
			s := open(d, MinLimit)
			r := rand.New(rand.NewPCG(1, 2))
			var live []Page
			full := Capacity(MinLimit)
			for ref := range uint64(6 * full) {
				if len(live) == full {
					i := which(r, live)
					s.Forget(live[i].Ref)
					live = slices.Delete(live, i, i+1)
				}
				p := pageOf(ref + 1)
				write(t, s, p)
				live = append(live, p)
				if u := s.Usage(); u.Pages != len(live) || u.Files > maxSegments || u.FileBytes > MinLimit || d.bytes() > MinLimit {
					t.Fatalf("usage %+v with %d pages and %d bytes on disk, of %d", u, len(live), d.bytes(), MinLimit)
				}
			}
			if err := wrong(t, s, live...); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestTidyGivesSpaceBack(t *testing.T) {
	d := newDisk()
	s := open(d, MinLimit)
	var kept []Page
	for ref := range uint64(300) {
		write(t, s, pageOf(ref+1))
	}
	for ref := range uint64(300) {
		if ref%25 == 0 {
			kept = append(kept, pageOf(ref+1))
		} else {
			s.Forget(ref + 1)
		}
	}
	before := d.bytes()
	for more := true; more; {
		var err error
		if more, err = s.Tidy(); err != nil {
			t.Fatal(err)
		}
	}
	if after := d.bytes(); after > int64(2*len(kept)+2*s.slots)*recordSize || after > before/3 {
		t.Errorf("%d pages take %d bytes, before %d", len(kept), after, before)
	}
	if err := wrong(t, s, kept...); err != nil {
		t.Fatal(err)
	}
	for _, p := range kept {
		s.Forget(p.Ref)
	}
	if u := s.Usage(); u.Pages != 0 || u.Files > 1 {
		t.Errorf("with nothing kept: %+v", u)
	}
}

// TestFullDiskHurtsNothingElse: the write is refused for its reason, all other
// pages stay, and when there is space again writing goes on in the same place.
func TestFullDiskHurtsNothingElse(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		for _, op := range []string{"write", "create"} {
			d := newDisk()
			s := open(d, MinLimit)
			var pages []Page
			for ref := range uint64(s.slots) { // the next one begins a file
				pages = append(pages, pageOf(ref+1))
			}
			if op == "write" {
				pages = pages[1:]
			}
			write(t, s, pages...)
			d.setFault(func(o string) error {
				if o == op {
					return &os.PathError{Op: o, Path: "x", Err: errno}
				}
				return nil
			})
			before := s.Usage()
			for range 100 {
				err := s.Write(pageOf(1000), content(pageOf(1000)))
				if holo.KindOf(err) != holo.Exhausted || holo.ReasonOf(err) != ReasonFull || !errors.Is(err, errno) {
					t.Fatalf("%s with %v: %v", op, errno, err)
				}
			}
			if u := s.Usage(); u.Pages != before.Pages || u.Files != before.Files || u.FileBytes > before.FileBytes+recordSize {
				t.Errorf("%s: 100 failed writes left %+v of %+v", op, u, before)
			}
			if err := wrong(t, s, pages...); err != nil {
				t.Fatal(err)
			}
			d.setFault(nil)
			write(t, s, pageOf(1000))
			if err := wrong(t, s, append(pages, pageOf(1000))...); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestFailingDiskIsToldFromADamagedPage(t *testing.T) {
	d := newDisk()
	s := open(d, MinLimit)
	write(t, s, pageOf(1))
	d.setFault(func(string) error { return syscall.EIO })
	if err := wrong(t, s, pageOf(1)); holo.KindOf(err) != holo.Unavailable || holo.ReasonOf(err) != ReasonDisk {
		t.Errorf("read: %v", err)
	}
	if err := s.Write(pageOf(2), content(pageOf(2))); holo.KindOf(err) != holo.Unavailable || holo.ReasonOf(err) != ReasonDisk {
		t.Errorf("write: %v", err)
	}
	d.setFault(nil)
	if err := wrong(t, s, pageOf(1)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A file into which somebody still writes cannot be emptied. Who makes room waits
// for that, and does not use the last slots up meanwhile.
func TestRoomIsMadeAfterAWriteThatIsUnderWay(t *testing.T) {
	s := open(newDisk(), MinLimit)
	var refs []uint64
	for i := range uint64((maxSegments - 2) * s.slots) {
		write(t, s, pageOf(i+1))
		if i%4 == 3 {
			s.Forget(i + 1)
			continue
		}
		refs = append(refs, i+1)
	}
	g, at, _, err := s.take(false) // begins the last file but one, which has no other record for long
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(s.slots - 1) {
		write(t, s, pageOf(1000+i))
		s.Forget(1000 + i)
	}
	done := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i <= s.slots && err == nil; i++ {
			s.Forget(refs[20*i]) // of another file each
			err = s.Write(pageOf(2000+uint64(i)), content(pageOf(2000+uint64(i))))
		}
		done <- err
	}()
	select {
	case err := <-done: // nothing waited
		done <- err
	case <-time.After(100 * time.Millisecond):
	}
	s.mu.Lock()
	g.writers--
	s.written.Broadcast()
	s.publish(g, pageOf(3000), at, nil)
	s.mu.Unlock()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestManyAtOnce writes, reads, forgets and moves from several goroutines.
func TestManyAtOnce(t *testing.T) {
	s := open(newDisk(), MinLimit)
	var wg sync.WaitGroup
	const workers = 4
	for k := range uint64(workers) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(k, 3))
			var live []Page
			for i := range uint64(400) {
				if len(live) == Capacity(MinLimit)/workers {
					n := r.IntN(len(live))
					s.Forget(live[n].Ref)
					live = slices.Delete(live, n, n+1)
				}
				p := pageOf(k<<32 + i + 1)
				if err := s.Write(p, content(p)); err != nil {
					t.Error(err)
					return
				}
				live = append(live, p)
				if err := wrong(t, s, live[r.IntN(len(live))]); err != nil {
					t.Error(err)
				}
				if _, err := s.Tidy(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// encodings are the forms in which a canary could lie on disk.
func encodings(canary []byte) [][]byte {
	list := [][]byte{canary, []byte(hex.EncodeToString(canary))}
	for skip := range 3 {
		list = append(list, []byte(base64.StdEncoding.EncodeToString(canary[skip:skip+9])))
	}
	return list
}

func found(t *testing.T, dir string, canary []byte) (files int, there bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files++
		for _, form := range encodings(canary) {
			there = there || bytes.Contains(data, form)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files, there
}

// TestNothingReadableLiesInTheFolder writes a canary again and again and looks
// for it in all files, which nobody else may read.
func TestNothingReadableLiesInTheFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spill")
	s := openAt(t, dir)
	canary := []byte("CANARY-of-an-array's-content")
	data := bytes.Repeat(canary, holo.PageSize/len(canary)+1)[:holo.PageSize]
	for ref := range uint64(20) {
		if err := s.Write(pageOf(ref+1), data); err != nil {
			t.Fatal(err)
		}
	}
	if files, there := found(t, dir, canary); there || files < 2 {
		t.Errorf("canary found: %v, in %d files", there, files)
	}
	if err := os.WriteFile(filepath.Join(dir, "plain"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, there := found(t, dir, canary); !there {
		t.Error("the search would not see it")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (%v)", e.Name(), info.Mode(), err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v (%v)", info.Mode(), err)
	}
}
