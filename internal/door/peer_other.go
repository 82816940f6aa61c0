//go:build !linux && !darwin && !freebsd

package door

import (
	"net"
	"runtime"

	"github.com/holocompute/holocompute/internal/holo"
)

// peerUser refuses everybody: nobody can be asked here who is at the other end.
func peerUser(*net.UnixConn) (uid uint32, err error) {
	return 0, holo.Errorf(holo.Invalid, "who is at the other end of a socket is not known: not supported on %s", runtime.GOOS)
}
