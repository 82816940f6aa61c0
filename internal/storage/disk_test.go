package storage

import (
	"bytes"
	"encoding/binary"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

// disk is a folder on a disk that can be full and fail.
type disk struct {
	mu    sync.Mutex
	files map[string]*diskFile
	fault func(op string) error // asked before each create, read and write; may be nil
}

type diskFile struct {
	disk *disk
	data []byte
}

func newDisk() *disk { return &disk{files: map[string]*diskFile{}} }

// setFault has operations fail, or not.
func (d *disk) setFault(f func(op string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = f
}

func (d *disk) ask(op string) error {
	if d.fault == nil {
		return nil
	}
	return d.fault(op)
}

func (d *disk) create(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ask("create"); err != nil {
		return nil, err
	}
	if d.files[name] != nil {
		return nil, fs.ErrExist
	}
	d.files[name] = &diskFile{disk: d}
	return d.files[name], nil
}

func (d *disk) remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.files, name)
	return nil
}

func (d *disk) close() error { return nil }

func (d *disk) bytes() (n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.files {
		n += int64(len(f.data))
	}
	return n
}

func (f *diskFile) ReadAt(b []byte, at int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.disk.ask("read"); err != nil {
		return 0, err
	}
	if at >= int64(len(f.data)) {
		return 0, io.EOF
	}
	if n := copy(b, f.data[at:]); n < len(b) {
		return n, io.EOF
	}
	return len(b), nil
}

// WriteAt writes half of what it is asked to where it fails.
func (f *diskFile) WriteAt(b []byte, at int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	err := f.disk.ask("write")
	if err != nil {
		b = b[:len(b)/2]
	}
	if end := at + int64(len(b)); end > int64(len(f.data)) {
		f.data = append(f.data, make([]byte, end-int64(len(f.data)))...)
	}
	return copy(f.data[at:], b), err
}

func (f *diskFile) Close() error { return nil }

func (f *diskFile) Size() (int64, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return int64(len(f.data)), f.disk.ask("size")
}

func (f *diskFile) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.disk.ask("truncate"); err != nil {
		return err
	}
	f.data = f.data[:size]
	return nil
}

// page is the content of a page: another for each reference and version.
func content(p Page) []byte {
	b := make([]byte, holo.PageSize)
	rand.NewChaCha8([32]byte(bytes.Repeat(binary.LittleEndian.AppendUint64(nil, p.Ref<<20^uint64(p.Version.Seq)), 4))).Read(b)
	return b
}

func pageOf(ref uint64) Page {
	return Page{Ref: ref, ID: holo.PageID{Array: 3, Index: holo.PageIndex(ref % 7)}, Version: holo.Version{Epoch: 2, Seq: holo.Seq(ref)}}
}

func write(t *testing.T, s *Store, pages ...Page) {
	t.Helper()
	for _, p := range pages {
		if err := s.Write(p, content(p)); err != nil {
			t.Fatalf("write %v: %v", p, err)
		}
	}
}

// wrong reads pages and tells the error of the first that cannot be read. One
// that can must be as it was written.
func wrong(t *testing.T, s *Store, pages ...Page) error {
	t.Helper()
	got := make([]byte, holo.PageSize)
	for _, p := range pages {
		if err := s.Read(p, got); err != nil {
			return err
		}
		if !bytes.Equal(got, content(p)) {
			t.Fatalf("read %v: other bytes than were written, without an error", p)
		}
	}
	return nil
}
