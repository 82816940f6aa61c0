package door

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
)

// Limits of the bodies of calls.
const (
	// openBody bounds the requests that open a session: a token's chain of 16 KiB
	// and a signature.
	openBody = 32 << 10
	// smallBody bounds every other request but the two that carry more.
	smallBody = 256 << 10
	// moduleBody leaves room for the name and the signature.
	moduleBody = api.MaxModule + 64<<10

	// openHeld is a key's share while it opens sessions, and openKeys the keys that
	// may do so at once without waiting: 80 links of clients and strangers, and the
	// local socket.
	openHeld, openKeys = 256 << 10, 96
	// smallHeld is what the requests of one principal that are being read may hold,
	// and sharers how many principals may hold all of theirs at once. One module is
	// read for a principal at a time.
	smallHeld, sharers = 4 << 20, 4
)

// A body is to be here after bodyGrace and the time that its bytes take at
// bodyRate a second.
const bodyGrace, bodyRate = 10 * time.Second, 64 << 10

// bodies stands before the procedures: Connect holds a whole request before the
// gate sees the call, so that here it is found whose call it is, and room for its
// body is taken from that principal's share, before the first byte is read. Bulk
// calls do so themselves.
type bodies struct {
	gate                *gate
	opens, small, large *budget
}

func newBodies(g *gate) *bodies {
	return &bodies{
		gate: g, opens: newBudget(openKeys*openHeld, openHeld), small: newBudget(sharers*smallHeld, smallHeld),
		large: newBudget(sharers*moduleBody, moduleBody),
	}
}

func (b *bodies) before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			next.ServeHTTP(w, r)
			return
		}
		release, err := b.admit(w, r)
		if err != nil {
			_ = b.gate.refuse(r.URL.Path, err) // counts and logs it
			unread(r)
			writeError(w, err)
			return
		}
		defer release()
		next.ServeHTTP(w, r)
	})
}

// unread gives the server the body as it made it: only so does it see that nothing
// was read, and answer without waiting for what is large or has yet to be asked for.
func unread(r *http.Request) {
	if b, ok := r.Body.(*timedBody); ok {
		r.Body = b.ReadCloser
	}
}

// admit finds the caller, takes room for the body and bounds it. The gate finds
// the caller once more when it decides: a body may take its time.
func (b *bodies) admit(w http.ResponseWriter, r *http.Request) (release func(), err error) {
	who, err := b.whose(r)
	if err != nil && strings.HasPrefix(r.Header.Get("Content-Type"), "application/connect+") {
		r.Body = http.NoBody // the gate refuses a stream in the words of its protocol
		w.Header().Set("Connection", "close")
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	n, err := announced(r)
	if err != nil {
		return nil, err
	}
	held := b.of(r.URL.Path, n)
	if release, err = held.take(r.Context(), who, uint64(n)); err != nil {
		return nil, err
	}
	release = sync.OnceFunc(release)
	dueBy(r, n)
	r.Body = http.MaxBytesReader(w, r.Body, n)
	if held != b.large {
		r.Body = &heldBody{r.Body, release} // a small request may wait in its handler for long
	}
	return release, nil
}

// whose is who has a call's body on its account: the principal of its session, or
// while there is none the key that made the link.
func (b *bodies) whose(r *http.Request) (holo.PrincipalID, error) {
	p := peerOf(r.Context())
	if open[r.URL.Path] {
		return p.Key, nil
	}
	c, err := b.gate.sessions.find(r.Header.Get(api.SessionHeader), p)
	return c.Principal, err
}

// of is the budget of a body.
func (b *bodies) of(path string, n int64) *budget {
	switch {
	case open[path]:
		return b.opens
	case n > smallBody:
		return b.large
	}
	return b.small
}

// announced is how long a body may be: as long as it says, or as a small one where
// it does not say it.
func announced(r *http.Request) (int64, error) {
	limit := limitOf(r.URL.Path)
	if r.ContentLength > limit {
		return 0, holo.Refuse(holo.Exhausted, "too_large", "%s: a request of %d bytes, at most %d", r.URL.Path, r.ContentLength, limit)
	}
	if r.ContentLength < 0 {
		return min(limit, smallBody), nil
	}
	return r.ContentLength, nil
}

func limitOf(path string) int64 {
	switch {
	case open[path]:
		return openBody
	case path == holov1connect.KernelServicePushProcedure:
		return moduleBody
	}
	return smallBody
}

// heldBody gives its room back when it has been read.
type heldBody struct {
	io.ReadCloser
	release func()
}

func (b *heldBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.release()
	}
	return n, err
}

// timedBody gives every read its own deadline, all of them one end if they have
// one, and takes it away when the body has ended: a handler may then work for as
// long as it must.
type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
	mu      struct {
		sync.Mutex
		due  time.Time // zero: when it likes
		read bool      // to its end
	}
}

func (b *timedBody) Read(p []byte) (int, error) {
	b.arm()
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF { // after any other error nobody may wait for the rest
		b.mu.Lock()
		defer b.mu.Unlock()
		b.mu.read = true
		_ = b.control.SetReadDeadline(time.Time{}) // sockets have deadlines
	}
	return n, err
}

func (b *timedBody) arm() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.read {
		return
	}
	at := time.Now().Add(stallAfter)
	if !b.mu.due.IsZero() && b.mu.due.Before(at) {
		at = b.mu.due
	}
	_ = b.control.SetReadDeadline(at) // sockets have deadlines
}

// end gives the body an end that no read moves, also under a read.
func (b *timedBody) end(at time.Time) {
	b.mu.Lock()
	b.mu.due = at
	b.mu.Unlock()
	b.arm()
}

// dueBy gives a body of n bytes its time, from now on, and returns what cuts it
// off.
func dueBy(r *http.Request, n int64) (cut func()) {
	b, ok := r.Body.(*timedBody)
	if !ok {
		return func() {}
	}
	b.end(time.Now().Add(bodyTime(n)))
	return func() { b.end(time.Now()) }
}

func bodyTime(n int64) time.Duration { return bodyGrace + time.Duration(n)*time.Second/bodyRate }

// reasonMalformedCall is that of what Connect refuses before the gate sees it.
const reasonMalformedCall = "malformed_call"

// unheard counts an answer to a call that did not get as far as the gate: what
// Connect itself refuses bears no kind.
func (g *gate) unheard(r *http.Request, h http.Header, status int) {
	if status < 400 || status >= 500 || h.Get(api.KindHeader) != "" {
		return
	}
	g.refused(reasonMalformedCall)
	g.log.Warn("client call refused", slog.String("procedure", r.URL.Path), slog.Int("status", status), slog.String("reason", reasonMalformedCall))
}
