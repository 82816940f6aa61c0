//go:build !unix

package door

import (
	"io/fs"
	"runtime"

	"github.com/holocompute/holocompute/internal/holo"
)

// ownerOf refuses: without owners and modes a socket cannot be kept to its user.
func ownerOf(dir string, _ fs.FileInfo) (uid uint32, err error) {
	return 0, holo.Errorf(holo.Invalid, "socket folder %s: a node's socket is not supported on %s: use one of another machine (holo connect)", dir, runtime.GOOS)
}
