//go:build unix

package identity

import (
	"io/fs"
	"os"
	"syscall"

	"github.com/holocompute/holocompute/internal/holo"
)

// plainOnly opens no link, and does not wait for the writer of a pipe.
const plainOnly = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// lock waits until no other process holds the file, and holds it until release.
func lock(path string) (release func(), err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|plainOnly, 0o600)
	if err == nil {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		return nil, holo.Errorf(holo.Unavailable, "lock %s: %w", path, err)
	}
	return func() { file.Close() }, nil
}

// checkOwner refuses what belongs to another user, who could change it at any
// time, and a file with a second name, under which somebody may hold it.
func checkOwner(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return holo.Errorf(holo.Internal, "read %s: the system does not say whose it is", path)
	case int(stat.Uid) != os.Geteuid():
		return holo.Refuse(holo.Denied, ReasonWrongOwner, "read %s: it belongs to user %d, not %d: chown %d %s", path, stat.Uid, os.Geteuid(), os.Geteuid(), path)
	case info.Mode().IsRegular() && stat.Nlink > 1:
		return holo.Refuse(holo.Denied, ReasonNotPlain, "read %s: it has %d names (hard links): remove the others", path, stat.Nlink)
	}
	return nil
}

// readCredential reads a secret of this user's, or one that root lends another
// user: then the group's bit stands for the access list that names that user.
func readCredential(path string, limit int) ([]byte, error) {
	return readChecked(path, limit, func(info fs.FileInfo) error {
		stat, ok := info.Sys().(*syscall.Stat_t)
		lent := ok && stat.Uid == 0 && os.Geteuid() != 0
		if lent && info.Mode().IsRegular() && info.Mode().Perm()&0o037 == 0 {
			return nil
		}
		return checkFile(path, info, 0o077)
	})
}
