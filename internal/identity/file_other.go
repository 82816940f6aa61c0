//go:build !unix

package identity

import (
	"io/fs"
	"runtime"

	"github.com/holocompute/holocompute/internal/holo"
)

const plainOnly = 0

// lock refuses, as checkOwner does.
func lock(path string) (release func(), err error) { return nil, checkOwner(path, nil) }

// checkOwner refuses: without owners and modes a key file cannot be kept to
// its user, and nothing here pretends that it can.
func checkOwner(path string, _ fs.FileInfo) error {
	return holo.Errorf(holo.Invalid, "read %s: keys on disk are not supported on %s", path, runtime.GOOS)
}

func readCredential(path string, limit int) ([]byte, error) { return readFile(path, limit, 0o077) }
