package audit

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/holocompute/holocompute/internal/holo"
)

// folder is what a log asks of a file system. Tests put one in its place that
// is full, fails, or forgets what was not synced.
type folder interface {
	names() ([]string, error)
	// open gives an existing file; create makes one, or gives it empty.
	open(name string) (file, error)
	create(name string) (file, error)
	remove(name string) error
	sync() error // makes creations and removals durable
	close() error
}

// file is one file of a folder.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	Truncate(size int64) error
	Size() (int64, error)
	// reserve takes disk space for the bytes up to end without making the
	// file longer. It gives errors.ErrUnsupported where the system cannot.
	reserve(end int64) error
}

// directory is a folder on disk. It is held under a lock, so that two
// processes never append to one log; a copy that is only read is not.
type directory struct {
	path string
	lock *os.File // nil: read only
}

const lockFile = "lock"

// openDirectory makes the folder where there is none, and locks it.
func openDirectory(path string) (*directory, error) {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, holo.Errorf(holo.Denied, "open audit log %s: it is no folder", path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, holo.Refuse(holo.Denied, "wrong_mode", "open audit log %s: others can enter it (mode %04o): chmod 700 %s", path, info.Mode().Perm(), path)
	}
	d := &directory{path: path}
	d.lock, err = lock(filepath.Join(path, lockFile))
	return d, err
}

func (d *directory) names() ([]string, error) {
	entries, err := os.ReadDir(d.path)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

func (d *directory) open(name string) (file, error) {
	flags := os.O_RDWR
	if d.lock == nil {
		flags = os.O_RDONLY
	}
	return d.opened(os.OpenFile(filepath.Join(d.path, name), flags, 0))
}

func (d *directory) create(name string) (file, error) {
	return d.opened(os.OpenFile(filepath.Join(d.path, name), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600))
}

func (d *directory) opened(f *os.File, err error) (file, error) {
	if err != nil {
		return nil, err
	}
	return plainFile{f}, nil
}

func (d *directory) remove(name string) error { return os.Remove(filepath.Join(d.path, name)) }

func (d *directory) sync() error {
	f, err := os.Open(d.path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d *directory) close() error {
	if d.lock == nil {
		return nil
	}
	return d.lock.Close()
}

type plainFile struct{ *os.File }

func (f plainFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
