//go:build darwin || freebsd

package door

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerUser asks the kernel who is at the other end of the socket.
func peerUser(c *net.UnixConn) (uid uint32, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Xucred
	var inner error
	err = raw.Control(func(fd uintptr) {
		cred, inner = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	})
	if err != nil || inner != nil {
		return 0, firstOf(err, inner)
	}
	return cred.Uid, nil
}
