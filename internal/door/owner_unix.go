//go:build unix

package door

import (
	"io/fs"
	"syscall"

	"github.com/holocompute/holocompute/internal/holo"
)

// ownerOf is whose a folder is.
func ownerOf(dir string, info fs.FileInfo) (uid uint32, err error) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, holo.Refuse(holo.Denied, "wrong_owner", "socket folder %s: its owner is not known", dir)
	}
	return stat.Uid, nil
}
