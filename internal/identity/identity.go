// Package identity keeps keys on disk and turns invites into text. It is the
// only package that reads or writes a key file, and it trusts none: a file
// that others can read, or that is not a plain file of this user, is refused,
// with the command that puts it right.
//
// A node's folder holds
//
//	node.key      the node's Ed25519 seed: who it is
//	cluster.key   what all members share, from which links get their psk
//	cluster.former.key  the one before, while not everybody has the new one
//	cluster.json  which cluster, whose, and where to listen; not secret
//	chain         the membership records, as the node last verified them
//
// and a user's configuration folder holds owner.key and user.key, which a node
// never reads. Files are replaced as a whole: after a crash there is the old
// one or the new one.
package identity

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/holocompute/holocompute/internal/holo"
)

// The names of the files.
const (
	NodeKeyFile    = "node.key"
	ClusterKeyFile = "cluster.key"
	FormerKeyFile  = "cluster.former.key"
	ClusterFile    = "cluster.json"
	ChainFile      = "chain"
	OwnerKeyFile   = "owner.key"
	UserKeyFile    = "user.key"
)

// Reasons of refusals.
const (
	ReasonWrongMode  = "wrong_mode"  // others can read or change the file
	ReasonWrongOwner = "wrong_owner" // the file is another user's
	ReasonNotPlain   = "not_plain"   // a link, a device, or a file with two names
	ReasonDamaged    = "damaged"     // the contents are not what was written
)

// DefaultDataDir is where a node keeps its files when nobody says otherwise:
// ~/.local/share/holo, or as XDG_DATA_HOME says.
func DefaultDataDir() (string, error) {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		config, err := DefaultConfigDir()
		return filepath.Join(config, "node"), err
	}
	if base := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(base) {
		return filepath.Join(base, "holo"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", holo.Errorf(holo.Invalid, "find the data folder: %w", err)
	}
	return filepath.Join(home, ".local", "share", "holo"), nil
}

// DefaultConfigDir is where a user's keys lie when nobody says otherwise:
// ~/.config/holo, or what the system has in its place.
func DefaultConfigDir() (string, error) {
	base, err := os.UserConfigDir()
	if err != nil {
		return "", holo.Errorf(holo.Invalid, "find the configuration folder: %w", err)
	}
	return filepath.Join(base, "holo"), nil
}

// PrepareDir makes a folder for files of this package, for this user alone, and
// refuses one that others can enter.
func PrepareDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return holo.Errorf(holo.Unavailable, "make folder: %w", err)
	}
	return CheckDir(dir)
}

// CheckDir refuses a folder that others can enter. It may be named by a link,
// as a home folder may: what counts is whose the folder is.
func CheckDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return holo.Errorf(holo.NotFound, "use folder %s: there is none", dir)
	case err != nil:
		return holo.Errorf(holo.Unavailable, "use folder: %w", err)
	case !info.IsDir():
		return holo.Refuse(holo.Denied, ReasonNotPlain, "use %s: it is no folder", dir)
	case info.Mode().Perm()&0o077 != 0:
		return holo.Refuse(holo.Denied, ReasonWrongMode, "use folder %s: others can enter it (mode %04o): chmod 700 %s", dir, info.Mode().Perm(), dir)
	}
	return checkOwner(dir, info)
}
