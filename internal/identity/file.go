package identity

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

// ReadPublic reads a file that is no secret but decides whom to trust, so
// nobody else may be able to change it. It has at most limit bytes.
func ReadPublic(path string, limit int) ([]byte, error) { return readFile(path, limit, 0o022) }

// WritePublic replaces such a file, or makes it.
func WritePublic(path string, data []byte) error { return writeFile(path, data, os.Rename) }

// readFile reads a plain file of this user that has none of the mode bits in
// forbidden.
func readFile(path string, limit int, forbidden fs.FileMode) ([]byte, error) {
	data, _, err := readDated(path, limit, forbidden)
	return data, err
}

// readDated is readFile that tells when the file was written, too.
func readDated(path string, limit int, forbidden fs.FileMode) ([]byte, time.Time, error) {
	var written time.Time
	data, err := readChecked(path, limit, func(info fs.FileInfo) error {
		written = info.ModTime()
		return checkFile(path, info, forbidden)
	})
	return data, written, err
}

// readChecked reads a file that check lets pass. It looks at the opened file,
// so it cannot be exchanged between the check and the reading.
func readChecked(path string, limit int, check func(fs.FileInfo) error) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|plainOnly, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, holo.Errorf(holo.NotFound, "read %s: there is no such file", path)
	case err != nil && isLink(path):
		return nil, holo.Refuse(holo.Denied, ReasonNotPlain, "read %s: it is a link: name the file itself", path)
	case err != nil:
		return nil, holo.Errorf(holo.Unavailable, "read file: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, holo.Errorf(holo.Unavailable, "read file: %w", err)
	}
	if err := check(info); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, int64(limit)+1))
	switch {
	case err != nil:
		return nil, holo.Errorf(holo.Unavailable, "read file: %w", err)
	case len(data) > limit:
		clear(data)
		return nil, holo.Refuse(holo.Corrupt, ReasonDamaged, "read %s: more than %d bytes", path, limit)
	}
	return data, nil
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

func checkFile(path string, info fs.FileInfo, forbidden fs.FileMode) error {
	mode := info.Mode().Perm()
	switch {
	case !info.Mode().IsRegular():
		return holo.Refuse(holo.Denied, ReasonNotPlain, "read %s: it is no plain file", path)
	case mode&forbidden&0o044 != 0:
		return holo.Refuse(holo.Denied, ReasonWrongMode, "read %s: others can read it (mode %04o): chmod 600 %s", path, mode, path)
	case mode&forbidden != 0:
		return holo.Refuse(holo.Denied, ReasonWrongMode, "read %s: others can change it (mode %04o): chmod 600 %s", path, mode, path)
	}
	return checkOwner(path, info)
}

// writeFile puts data under path as a whole: into a new file beside it, onto
// the disk, and then under its name by place (rename replaces, link refuses an
// existing name). The folder is synced too, else the name could be lost.
func writeFile(path string, data []byte, place func(from, to string) error) (err error) {
	dir := filepath.Dir(path)
	file, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // mode 0600, never an existing file
	if err != nil {
		return holo.Errorf(holo.Unavailable, "write %s: %w", path, err)
	}
	defer os.Remove(file.Name())
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = place(file.Name(), path)
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return holo.Errorf(holo.Exists, "write %s: it exists, and a key is never overwritten", path)
	case err != nil:
		return holo.Errorf(holo.Unavailable, "write %s: %w", path, err)
	}
	os.Remove(file.Name()) // a second name, after link; it must be gone before the sync
	return syncDir(dir)
}

// removeLeftovers removes the files beside path that writeFile had begun when
// its process was killed.
func removeLeftovers(path string) error {
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".*"))
	for _, l := range left {
		err = errors.Join(err, os.Remove(l))
	}
	if err != nil {
		return holo.Errorf(holo.Unavailable, "remove what was left beside %s: %w", path, err)
	}
	return nil
}

func syncDir(dir string) error {
	file, err := os.Open(dir)
	if err == nil {
		err = errors.Join(file.Sync(), file.Close())
	}
	if err != nil {
		return holo.Errorf(holo.Unavailable, "sync folder: %w", err)
	}
	return nil
}
