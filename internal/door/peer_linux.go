package door

import (
	"net"
	"syscall"
)

// peerUser asks the kernel who is at the other end of the socket.
func peerUser(c *net.UnixConn) (uid uint32, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *syscall.Ucred
	var inner error
	err = raw.Control(func(fd uintptr) {
		cred, inner = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err != nil || inner != nil {
		return 0, firstOf(err, inner)
	}
	return cred.Uid, nil
}
