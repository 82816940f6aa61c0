package door

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/holocompute/holocompute/internal/holo"
)

const (
	// maxPath keeps the path below what every system's sockaddr_un can hold.
	maxPath = 99
	// maxConns bounds the connections held at once; more are closed unread.
	maxConns = 512
)

// listen makes the socket in a folder that is private to this user.
func listen(path string, refused func(string)) (net.Listener, error) {
	if len(path) > maxPath {
		return nil, holo.Errorf(holo.Invalid, "listen on %s: the path has %d bytes, at most %d", path, len(path), maxPath)
	}
	if err := privateFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, holo.Errorf(holo.Unavailable, "listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(holo.Errorf(holo.Internal, "listen on %s: %w", path, err), l.Close())
	}
	return &sameUser{Listener: l, uid: uint32(os.Geteuid()), refused: refused, free: make(chan struct{}, maxConns)}, nil
}

// privateFolder makes the folder where it is missing, and refuses one that
// others could enter: whoever can enter can replace the socket by their own.
func privateFolder(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return holo.Errorf(holo.Invalid, "make the socket's folder: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return holo.Errorf(holo.Invalid, "look at the socket's folder: %w", err)
	}
	owner, err := ownerOf(dir, info)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return holo.Refuse(holo.Denied, "wrong_mode", "socket folder %s: not a folder", dir)
	case owner != uint32(os.Geteuid()):
		return holo.Refuse(holo.Denied, "wrong_owner", "socket folder %s belongs to another user", dir)
	case info.Mode().Perm() != 0o700:
		return holo.Refuse(holo.Denied, "wrong_mode", "socket folder %s has mode %04o, want 0700: chmod 700 %s", dir, info.Mode().Perm(), dir)
	}
	return nil
}

// removeStale removes the socket of a node that is gone. One that still answers
// is left alone, as is anything that is not a socket.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return holo.Errorf(holo.Internal, "look at %s: %w", path, err)
	}
	if info.Mode().Type() != os.ModeSocket {
		return holo.Errorf(holo.Conflict, "listen on %s: a file that is no socket is there", path)
	}
	if c, err := net.Dial("unix", path); err == nil {
		return errors.Join(holo.Errorf(holo.Conflict, "listen on %s: another node answers there", path), c.Close())
	}
	return os.Remove(path)
}

// sameUser accepts only connections from processes of its own user, and only
// so many at once.
type sameUser struct {
	net.Listener
	uid     uint32
	refused func(string)
	free    chan struct{} // holds one token per connection in use
}

func (l *sameUser) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if reason := l.admit(c); reason != "" {
			l.refused(reason)
			_ = c.Close()
			continue
		}
		return &counted{Conn: c, release: sync.OnceFunc(func() { <-l.free })}, nil
	}
}

// Reasons for which a connection is cut.
const (
	reasonWrongUser    = "wrong_user"
	reasonTooManyConns = "too_many_connections"
)

// admit takes a token for the connection, or tells why not.
func (l *sameUser) admit(c net.Conn) string {
	unix, ok := c.(*net.UnixConn)
	if !ok {
		return reasonWrongUser
	}
	if uid, err := peerUser(unix); err != nil || uid != l.uid {
		return reasonWrongUser
	}
	select {
	case l.free <- struct{}{}:
		return ""
	default:
		return reasonTooManyConns
	}
}

// counted gives its token back when it is closed.
type counted struct {
	net.Conn
	release func()
}

func (c *counted) Close() error {
	defer c.release()
	return c.Conn.Close()
}
