package storage

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// slotAt is the record at a slot of a file's content.
func slotAt(data []byte, slot int) []byte {
	return data[slot*recordSize : (slot+1)*recordSize]
}

// swap exchanges two records.
func swap(a, b []byte) {
	c := slices.Clone(a)
	copy(a, b)
	copy(b, c)
}

// TestTamperedRecordsAreRefused does to the files what somebody could who has
// the folder, while the store is open: page 2, in slot 1 of the first file, must
// come back as it was or not at all.
func TestTamperedRecordsAreRefused(t *testing.T) {
	first, second := segmentName(1), segmentName(2)
	edits := map[string]func(t *testing.T, d *disk, before map[string][]byte){
		"swapped with the next": func(t *testing.T, d *disk, _ map[string][]byte) {
			f := d.files[first].data
			swap(slotAt(f, 1), slotAt(f, 2))
		},
		"swapped with one of another file": func(t *testing.T, d *disk, _ map[string][]byte) {
			swap(slotAt(d.files[first].data, 1), slotAt(d.files[second].data, 1))
		},
		"an older version of the page": func(t *testing.T, d *disk, _ map[string][]byte) {
			f := d.files[first].data
			copy(slotAt(f, 1), slotAt(f, 3))
		},
		"of another process, same place and page": func(t *testing.T, d *disk, _ map[string][]byte) {
			o := newDisk()
			write(t, open(o, MinLimit), tampered()...)
			copy(d.files[first].data, o.files[first].data)
		},
		"what lay there before anything did": func(t *testing.T, d *disk, before map[string][]byte) {
			copy(d.files[first].data, make([]byte, 2*recordSize))
			copy(d.files[first].data, before[first])
		},
		"file exchanged for another": func(t *testing.T, d *disk, _ map[string][]byte) {
			d.files[first].data = slices.Clone(d.files[second].data)
		},
		"cut off in the record": func(t *testing.T, d *disk, _ map[string][]byte) {
			d.files[first].data = d.files[first].data[:recordSize+100]
		},
		"cut off by a byte": func(t *testing.T, d *disk, _ map[string][]byte) {
			d.files[first].data = d.files[first].data[:2*recordSize-1]
		},
		"cut off before the record": func(t *testing.T, d *disk, _ map[string][]byte) {
			d.files[first].data = d.files[first].data[:recordSize]
		},
		"emptied":              func(t *testing.T, d *disk, _ map[string][]byte) { d.files[first].data = nil },
		"a hole":               func(t *testing.T, d *disk, _ map[string][]byte) { clear(slotAt(d.files[first].data, 1)) },
		"a hole of one sector": func(t *testing.T, d *disk, _ map[string][]byte) { clear(slotAt(d.files[first].data, 1)[4096:4608]) },
		"everything moved by one byte": func(t *testing.T, d *disk, _ map[string][]byte) {
			d.files[first].data = slices.Insert(d.files[first].data, 0, 0)
		},
		"tag cleared": func(t *testing.T, d *disk, _ map[string][]byte) {
			clear(slotAt(d.files[first].data, 1)[holo.PageSize:])
		},
	}
	for name, edit := range edits {
		t.Run(name, func(t *testing.T) {
			d := newDisk()
			s := open(d, MinLimit)
			pages := tampered()
			write(t, s, pages[0])
			before := map[string][]byte{first: slices.Clone(d.files[first].data)}
			write(t, s, pages[1:]...)
			if err := wrong(t, s, pages...); err != nil {
				t.Fatal(err)
			}
			edit(t, d, before)
			refused(t, s, pages[1])
			last := pages[len(pages)-1] // lies in the second file, slot 2
			if err := wrong(t, s, last); err != nil {
				t.Errorf("a page that nobody touched: %v", err)
			}
		})
	}
}

// tampered are the pages of the test: three more than fit into one file. Page
// 4 is an older version of page 2.
func tampered() (pages []Page) {
	for ref := range uint64(slotsOf(MinLimit) + 3) {
		pages = append(pages, pageOf(ref+1))
	}
	pages[3].ID, pages[3].Version.Seq = pages[1].ID, pages[1].Version.Seq-1
	return pages
}

// refused demands the typed error, and that nothing of the page is told.
func refused(t *testing.T, s *Store, p Page) {
	t.Helper()
	dst := bytes.Repeat([]byte{0xa5}, holo.PageSize)
	err := s.Read(p, dst)
	if holo.KindOf(err) != holo.Corrupt || holo.ReasonOf(err) != ReasonDamaged {
		t.Fatalf("read %v: %v, want it refused as damaged", p, err)
	}
	for i, b := range dst {
		if want := content(p)[i]; b != 0 && b != 0xa5 && b == want && bytes.Equal(dst[i:min(i+16, len(dst))], content(p)[i:min(i+16, len(dst))]) {
			t.Fatalf("read %v: refused, and yet its bytes are told from %d on", p, i)
		}
		if i > 64 {
			return
		}
	}
}

// TestEveryChangedByteOfARecordIsNoticed changes each byte in turn.
func TestEveryChangedByteOfARecordIsNoticed(t *testing.T) {
	d := newDisk()
	s := open(d, MinLimit)
	write(t, s, pageOf(1), pageOf(2))
	record := slotAt(d.files[segmentName(1)].data, 1)
	dst := make([]byte, holo.PageSize)
	for i := range record {
		record[i] ^= 1 << (i % 8)
		if err := s.Read(pageOf(2), dst); holo.ReasonOf(err) != ReasonDamaged {
			t.Fatalf("byte %d changed: %v", i, err)
		}
		record[i] ^= 1 << (i % 8)
	}
	if err := wrong(t, s, pageOf(1), pageOf(2)); err != nil {
		t.Fatal(err)
	}
}

// TestEveryPartOfTheBindingCounts opens a record as any other than it is.
func TestEveryPartOfTheBindingCounts(t *testing.T) {
	s := open(newDisk(), MinLimit)
	p, at := pageOf(5), spot{3, 2}
	var record [recordSize]byte
	s.mu.key.seal(&record, p, at, content(p))
	dst := make([]byte, holo.PageSize)
	if !s.mu.key.open(dst, p, at, record[:]) || !bytes.Equal(dst, content(p)) {
		t.Fatal("the record does not open as what it is")
	}
	others := map[string]func(p *Page, at *spot){
		"reference": func(p *Page, _ *spot) { p.Ref++ },
		"array":     func(p *Page, _ *spot) { p.ID.Array++ },
		"page":      func(p *Page, _ *spot) { p.ID.Index++ },
		"epoch":     func(p *Page, _ *spot) { p.Version.Epoch-- },
		"version":   func(p *Page, _ *spot) { p.Version.Seq-- },
		"file":      func(_ *Page, at *spot) { at.segment++ },
		"place":     func(_ *Page, at *spot) { at.slot++ },
	}
	for name, other := range others {
		q, elsewhere := p, at
		other(&q, &elsewhere)
		if s.mu.key.open(dst, q, elsewhere, record[:]) {
			t.Errorf("the record opens with another %s", name)
		}
		if bytes.Equal(s.mu.key.keyOf(binding(p, at)), s.mu.key.keyOf(binding(q, elsewhere))) {
			t.Errorf("the key is the same with another %s", name)
		}
	}
	if open(newDisk(), MinLimit).mu.key.open(dst, p, at, record[:]) {
		t.Error("the record opens in another process")
	}
}

// TestAppendedBytesAreCutOffAndTold: behind the last record of each file somebody
// puts a record of before, whole and in part. It is told once, nothing of the pages
// is lost, and the next one is written where it lay.
func TestAppendedBytesAreCutOffAndTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spill")
	s := openAt(t, dir)
	pages := tampered()
	write(t, s, pages...)
	if n, err := s.Trim(); n != 0 || err != nil {
		t.Fatalf("nobody appended anything: %d bytes, %v", n, err)
	}
	for _, size := range []int{1, 100, recordSize, 2*recordSize + 7} {
		for _, number := range []uint32{1, 2} {
			path := filepath.Join(dir, segmentName(number))
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, append(b, b[:size]...), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := s.Trim(); n != int64(2*size) || err != nil {
			t.Errorf("%d bytes behind each of two files: %d were told, %v", size, n, err)
		}
		if n, err := s.Trim(); n != 0 || err != nil {
			t.Errorf("it is told again: %d bytes, %v", n, err)
		}
		if err := wrong(t, s, pages...); err != nil {
			t.Error(err)
		}
	}
	more := pageOf(uint64(len(pages) + 10))
	write(t, s, more)
	if err := wrong(t, s, append(pages, more)...); err != nil {
		t.Error(err)
	}
}

// TestTrimmingGoesOnPastADiskThatFails: what could not be cut is told when it is.
func TestTrimmingGoesOnPastADiskThatFails(t *testing.T) {
	d := newDisk()
	s := open(d, MinLimit)
	write(t, s, pageOf(1))
	f := d.files[segmentName(1)]
	f.data = append(f.data, 1, 2, 3)
	for _, op := range []string{"size", "truncate"} {
		d.setFault(func(now string) error {
			if now == op {
				return io.ErrUnexpectedEOF
			}
			return nil
		})
		if n, err := s.Trim(); n != 0 || holo.ReasonOf(err) != ReasonDisk {
			t.Errorf("%s fails: %d bytes, %v", op, n, err)
		}
	}
	d.setFault(nil)
	if n, err := s.Trim(); n != 3 || err != nil {
		t.Errorf("the disk works again: %d bytes, %v", n, err)
	}
	if err := wrong(t, s, pageOf(1)); err != nil {
		t.Error(err)
	}
}

// TestNamesInTheFolderMeanNothing: who exchanges, links or removes files does
// not reach those that are open.
func TestNamesInTheFolderMeanNothing(t *testing.T) {
	edits := map[string]func(path string) error{
		"removed": os.Remove,
		"replaced": func(path string) error {
			return os.WriteFile(path+".new", bytes.Repeat([]byte("x"), 3*recordSize), 0o600)
		},
		"a link": func(path string) error { return os.Symlink("/etc/passwd", path) },
	}
	for name, edit := range edits {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "spill")
			s := openAt(t, dir)
			write(t, s, pageOf(1), pageOf(2))
			path := filepath.Join(dir, segmentName(1))
			if name == "a link" {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			if err := edit(path); err != nil {
				t.Fatal(err)
			}
			if name == "replaced" {
				if err := os.Rename(path+".new", path); err != nil {
					t.Fatal(err)
				}
			}
			if err := wrong(t, s, pageOf(1), pageOf(2)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestLinkWhereAFileIsToBeIsNotFollowed: somebody guesses the next name.
func TestLinkWhereAFileIsToBeIsNotFollowed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spill")
	s := openAt(t, dir)
	target := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(target, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(dir, segmentName(1))); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(pageOf(1), content(pageOf(1))); holo.ReasonOf(err) != ReasonDisk {
		t.Errorf("write: %v", err)
	}
	if got, err := os.ReadFile(target); err != nil || string(got) != "precious" {
		t.Errorf("the link's target is now %q (%v)", got, err)
	}
}

// TestDamagedPageDoesNotStopTheOthers: when space runs short and a record that
// is to be moved is damaged, the rest goes on and the page stays refused.
func TestDamagedPageDoesNotStopTheOthers(t *testing.T) {
	d := newDisk()
	s := open(d, MinLimit)
	full := Capacity(MinLimit)
	for ref := range uint64(full) {
		write(t, s, pageOf(ref+1))
	}
	bad := pageOf(2)
	d.files[segmentName(1)].data[recordSize+5] ^= 1
	var live []Page
	for ref := range uint64(full) {
		if p := pageOf(ref + 1); p != bad {
			live = append(live, p)
		}
	}
	r := rand.New(rand.NewPCG(4, 4))
	for ref := range uint64(3 * full) {
		i := r.IntN(len(live))
		s.Forget(live[i].Ref)
		live[i] = pageOf(ref + 1 + uint64(full))
		write(t, s, live[i])
	}
	if err := wrong(t, s, live...); err != nil {
		t.Error(err)
	}
	refused(t, s, bad)
	if s.mu.segments[1] != nil {
		t.Error("the first file is still there, so nothing was moved out of it")
	}
	s.Forget(bad.Ref)
	if err := s.Read(bad, make([]byte, holo.PageSize)); holo.KindOf(err) != holo.NotFound {
		t.Errorf("forgotten: %v", err)
	}
}

// TestSlotThatIsUsedAgainShowsNothingOfBefore (row I2-4): what a tenant forgot is read
// by nobody, also by who has its reference; and a slot whose write failed half-way
// is handed to another's page, which is read as it was written or not at all.
func TestSlotThatIsUsedAgainShowsNothingOfBefore(t *testing.T) {
	d := newDisk()
	s := open(d, MinLimit)
	theirs, other := pageOf(1), pageOf(2)
	write(t, s, theirs)
	s.Forget(theirs.Ref)
	dst := make([]byte, holo.PageSize)
	if err := s.Read(theirs, dst); holo.KindOf(err) != holo.NotFound {
		t.Errorf("what was forgotten: %v", err)
	}
	if n := len(d.files[segmentName(1)].data); n != recordSize {
		t.Fatalf("control: the forgotten record is not on the disk any more, %d bytes are", n)
	}
	d.setFault(func(op string) error {
		if op == "write" {
			return io.ErrShortWrite
		}
		return nil
	})
	if err := s.Write(other, content(other)); err == nil {
		t.Fatal("control: the write succeeds")
	}
	d.setFault(nil)
	if err := s.Read(other, dst); holo.KindOf(err) != holo.NotFound || !bytes.Equal(dst, make([]byte, holo.PageSize)) {
		t.Errorf("what could not be written: %v", err)
	}
	mine := pageOf(3)
	write(t, s, mine)
	if g, at := s.mu.segments[1], s.mu.index[mine.Ref]; at.slot != 1 || g == nil {
		t.Fatalf("control: the slot of the write that failed is not used again, but %v", at)
	}
	if err := wrong(t, s, mine); err != nil {
		t.Error(err)
	}
	for _, p := range []Page{theirs, other} {
		if err := s.Read(p, dst); holo.KindOf(err) != holo.NotFound {
			t.Errorf("%v: %v", p, err)
		}
	}
}
