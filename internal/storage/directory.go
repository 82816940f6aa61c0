package storage

import (
	"errors"
	"io/fs"
	"os"
	"regexp"

	"github.com/holocompute/holocompute/internal/holo"
)

// lockName is the file that says by its lock who has the folder.
const lockName = "lock"

var segmentFile = regexp.MustCompile(`^[0-9a-f]{8}\` + suffix + `$`)

// directory is a folder of the file system. Its files are reached through the
// folder that was checked, whatever its path means later.
type directory struct {
	root *os.Root
	lock *os.File
}

// openDirectory checks that the folder is this user's alone and holds nothing
// but what a store leaves behind, which it removes.
func openDirectory(path string) (folder, error) {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	before, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if err := private(path, before); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	d := &directory{root: root}
	if err := d.take(path, before); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// private refuses a folder that anybody else could put files into.
func private(path string, info fs.FileInfo) error {
	switch {
	case !info.IsDir():
		return holo.Refuse(holo.Denied, ReasonPlain, "open spill folder %s: it is not a folder, or a link to one", path)
	case info.Mode().Perm()&0o077 != 0:
		return holo.Refuse(holo.Denied, ReasonMode, "open spill folder %s: others can enter it (mode %v): chmod 700 it", path, info.Mode().Perm())
	case !own(info):
		return holo.Refuse(holo.Denied, ReasonOwner, "open spill folder %s: it belongs to another user", path)
	}
	return nil
}

func (d *directory) take(path string, before fs.FileInfo) error {
	now, err := d.root.Stat(".")
	if err != nil {
		return err
	}
	if !os.SameFile(before, now) {
		return holo.Refuse(holo.Denied, ReasonPlain, "open spill folder %s: it was replaced while it was opened", path)
	}
	names, err := d.names(path)
	if err != nil {
		return err
	}
	if d.lock, err = d.openLock(path); err != nil {
		return err
	}
	for _, name := range names {
		if err := d.remove(name); err != nil {
			return err
		}
	}
	return nil
}

// names lists the segments that lie there, and refuses a folder with anything
// else in it: it would be somebody's, who named the wrong one.
func (d *directory) names(path string) (list []string, err error) {
	entries, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		switch {
		case e.Name() != lockName && !segmentFile.MatchString(e.Name()):
			return nil, holo.Refuse(holo.Conflict, ReasonForeign, "open spill folder %s: %q in it is not the store's: name an empty folder", path, e.Name())
		case !e.Type().IsRegular():
			return nil, holo.Refuse(holo.Denied, ReasonPlain, "open spill folder %s: %q in it is not a plain file", path, e.Name())
		case e.Name() != lockName:
			list = append(list, e.Name())
		}
	}
	return list, nil
}

func (d *directory) openLock(path string) (*os.File, error) {
	f, err := d.root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(holo.Refuse(holo.Conflict, ReasonInUse, "open spill folder %s: another process has it: %w", path, err), f.Close())
	}
	return f, nil
}

// create makes a file that was not there: one that somebody put there, or a
// link, is not written to.
func (d *directory) create(name string) (file, error) {
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	return plainFile{f}, err
}

// plainFile is a file of the file system.
type plainFile struct{ *os.File }

// Size implements file.
func (f plainFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (d *directory) remove(name string) error { return d.root.Remove(name) }

func (d *directory) close() error {
	errs := []error{d.root.Close()}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return errors.Join(errs...)
}
