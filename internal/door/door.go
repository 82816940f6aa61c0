// Package door is the device that lets clients in: it serves the client API
// (internal/api) on the node's unix socket, and on the connections that
// clients on other machines open inside their links.
//
// Three things must hold before a call is heard on the socket (ruling 10). It
// lies in a folder that only its user can enter; the process at the other end
// runs as the same user; and the client proves, over a nonce, that it holds the
// key of a principal that the cluster knows, or the key that a token of the
// cluster is bound to. On a link the handshake has proven a key: a session there
// is that key's and that link's, and of no use on any other connection
// (remote.go). A token narrows every call, and its session ends with it
// (present.go). A call that changes something is signed by that key besides, and
// the signature goes on to the backend with it, so that a record of the action
// can hold the proof of who asked.
package door

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/holocompute/holocompute/internal/holo"
)

// Config is what Open needs. All fields but Path, Logger and Refused are
// required.
type Config struct {
	Path    string  // of the socket: under 100 bytes, in a folder of mode 0700; empty: there is none
	Backend Backend // the node
	Logger  *slog.Logger
	Refused func(reason string) // counts refusals, may be nil
}

// Door serves until it is closed.
type Door struct {
	server   *http.Server
	sessions *sessions
	handover *handover
	stop     func() // ends the watching of sessions
	group    group
}

// closeGrace is how long Close lets calls in flight end before it cuts them.
const closeGrace = 2 * time.Second

// Open listens on the socket, and for what Serve is given, and serves. It fails
// when the folder's mode is wrong or another live node has the socket.
func Open(c Config) (*Door, error) {
	if c.Backend == nil {
		return nil, holo.Errorf(holo.Invalid, "open door: no backend")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Refused == nil {
		c.Refused = func(string) {}
	}
	closing := make(chan struct{})
	d := &Door{
		sessions: newSessions(c.Backend, time.Now), handover: newHandover(), stop: sync.OnceFunc(func() { close(closing) }),
	}
	d.server = newServer(c, d.sessions)
	if c.Path != "" {
		l, err := listen(c.Path, c.Refused)
		if err != nil {
			return nil, err
		}
		d.serve(l, c.Logger)
	}
	d.serve(d.handover, c.Logger)
	d.group.start(func() { d.sessions.watch(closing, c.Refused) })
	return d, nil
}

func (d *Door) serve(l net.Listener, log *slog.Logger) {
	d.group.start(func() {
		if err := d.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("clients are not served any more", slog.Any("error", err))
		}
	})
}

// Close lets calls in flight end for a moment, ends the rest, removes the
// socket and waits.
func (d *Door) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	d.stop()
	err := d.server.Shutdown(ctx)
	if err != nil {
		err = d.server.Close()
	}
	d.group.wait()
	return err
}
