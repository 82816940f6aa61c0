package door

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// head sends a call's head, which announces a body for when the door wants it, and
// gives the first answer: 100 if the door would read the body.
func (r *rig) head(p Peer, path, kind string, bytes int64) string {
	r.t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	r.door.Serve(far, p)
	_ = near.SetDeadline(time.Now().Add(2 * time.Minute)) // the door gives up before
	if _, err := fmt.Fprintf(near, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", path, api.Host, kind, bytes); err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(near), nil)
	if err != nil {
		return err.Error()
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // the door may close first
	return resp.Status + " " + resp.Header.Get(api.ReasonHeader) + " " + string(text)
}

// Whoever has no session is answered from the head of its call: of the body not a
// byte is waited for, let alone held.
func TestNoBodyIsReadWithoutASession(t *testing.T) {
	r := newRig(t)
	stranger := Peer{Key: holo.PrincipalID(key.GenerateSigner().Public()), Link: [32]byte{1}}
	for _, c := range everyCall() {
		if open[c.path] {
			continue
		}
		kind := "application/proto"
		if c.stream {
			kind = "application/connect+proto"
		}
		before := r.count("no_session")
		if got := r.head(stranger, c.path, kind, smallBody); !strings.Contains(got, "no_session") || r.count("no_session") == before {
			t.Fatalf("%s: %s", c.path, got)
		}
	}
	if got := r.head(stranger, holov1connect.SessionServiceProveProcedure, "application/proto", openBody+1); !strings.Contains(got, " too_large ") {
		t.Errorf("a proof of %d bytes: %s", openBody+1, got)
	}
	if got := r.head(stranger, holov1connect.SessionServiceProveProcedure, "application/proto", openBody); !strings.HasPrefix(got, "100 ") {
		t.Errorf("control: a proof of %d bytes: %s", openBody, got)
	}
}

// announce is a call of a user that says how long its body is.
func (u *user) announce(path string, bytes int64) *http.Request {
	req := httptest.NewRequest(http.MethodPost, path, strings.NewReader("x"))
	req.ContentLength = bytes
	req.Header.Set(api.SessionHeader, api.EncodeSession(u.session))
	return req
}

// One principal's bodies hold what is its share before they are read, and leave
// others theirs. One that has been read holds nothing more.
func TestBodiesOfOnePrincipalHoldItsShare(t *testing.T) {
	r := newRig(t)
	u, other := r.user(), r.user()
	push, list := holov1connect.KernelServicePushProcedure, holov1connect.ArrayServiceListProcedure
	for what, c := range map[string]struct {
		path  string
		bytes int64
		most  int
	}{
		"modules": {push, moduleBody, 1}, "small requests": {list, smallBody, smallHeld / smallBody}, "of unknown length": {push, -1, smallHeld / smallBody},
	} {
		b := newBodies(&gate{sessions: r.door.sessions})
		b.large.within, b.small.within = time.Second, time.Second
		var held []func()
		take := func(u *user) (*http.Request, error) {
			req := u.announce(c.path, c.bytes)
			release, err := b.admit(httptest.NewRecorder(), req)
			if err == nil {
				held = append(held, release)
			}
			return req, err
		}
		var last *http.Request
		for range c.most {
			var err error
			if last, err = take(u); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		if _, err := take(u); holo.KindOf(err) != holo.Unavailable || holo.ReasonOf(err) != "busy" {
			t.Errorf("%s: one more than %d: %v", what, c.most, err)
		}
		if _, err := take(other); err != nil {
			t.Errorf("%s: another principal's: %v", what, err)
		}
		if _, err := io.ReadAll(last.Body); err != nil {
			t.Fatal(err)
		}
		if c.most == 1 {
			held[0]()
		}
		if _, err := take(u); err != nil {
			t.Errorf("%s: after one has been read: %v", what, err)
		}
		for _, release := range held {
			release()
		}
		if n := len(b.large.mu.of) + len(b.small.mu.of); n != 0 {
			t.Errorf("%s: %d shares are left of nobody", what, n)
		}
	}
}

// line is a connection's reading end with its deadline, as a handler sees it.
type line struct {
	*httptest.ResponseRecorder
	out *io.PipeWriter
	mu  sync.Mutex
	set []time.Time
}

// SetReadDeadline ends reads at once when it is set to now or before.
func (l *line) SetReadDeadline(at time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set = append(l.set, at)
	if !at.IsZero() && !at.After(time.Now()) {
		return l.out.CloseWithError(os.ErrDeadlineExceeded)
	}
	return nil
}

// upload is a PUT on a line, into which the test writes.
func upload(t *testing.T, n int64) (*line, *io.PipeWriter, *http.Request) {
	in, out := io.Pipe()
	t.Cleanup(func() { in.Close() })
	l := &line{ResponseRecorder: httptest.NewRecorder(), out: out}
	req := httptest.NewRequest(http.MethodPut, "/v1/arrays/1/data", http.NoBody)
	req.ContentLength = n
	req.Body = &timedBody{ReadCloser: in, control: http.NewResponseController(l)}
	return l, out, req
}

// A body that comes a byte at a time has one end, which no byte moves.
func TestBodyThatTricklesHasAnEnd(t *testing.T) {
	const n = 64
	begun := time.Now()
	l, out, req := upload(t, n)
	go func() {
		for range n {
			_, _ = out.Write([]byte{1}) // the reader tells
		}
	}()
	if _, err := whole(req, n); err != nil {
		t.Fatal(err)
	}
	if len(l.set) < n {
		t.Fatalf("%d deadlines for %d reads", len(l.set), n)
	}
	for _, at := range l.set[1:] {
		if !at.Equal(l.set[0]) || at.Before(begun.Add(bodyGrace)) {
			t.Fatalf("a read moved the end from %v to %v", l.set[0], at)
		}
	}
}

// An upload whose session has ended, or whose time is over, waits for no more of
// its body; the rest of the connection is not read either.
func TestUploadIsCutOffWithItsSession(t *testing.T) {
	l, out, req := upload(t, 1000)
	ctx, end := context.WithCancel(t.Context())
	go func() {
		_, _ = out.Write([]byte{1}) // it has begun
		end()
	}()
	late := time.AfterFunc(20*time.Second, func() { out.CloseWithError(io.ErrUnexpectedEOF) })
	defer late.Stop()
	_, err := whole(req.WithContext(ctx), 1000)
	if holo.ReasonOf(err) != "cut_off" || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if last := l.set[len(l.set)-1]; last.IsZero() || last.After(time.Now()) {
		t.Errorf("the connection may be read until %v", last)
	}
}

// Once a body is there its end is nobody's: the handler works for as long as it
// must.
func TestBodyThatHasComeIsNotCutOff(t *testing.T) {
	l, out, req := upload(t, 1)
	go func() {
		_, _ = out.Write([]byte{1})
		out.Close()
	}()
	cut := dueBy(req, 1)
	if _, err := io.ReadAll(req.Body); err != nil {
		t.Fatal(err)
	}
	cut()
	if last := l.set[len(l.set)-1]; !last.IsZero() {
		t.Errorf("a deadline of %v is left", last)
	}
}

// Who holds all there is keeps others waiting for a bounded time: then they are
// told to ask again.
func TestNobodyWaitsForItsTurnForEver(t *testing.T) {
	b := newBudget(2*leastHeld, leastHeld)
	if b.within != turnWithin {
		t.Errorf("a transfer waits %s", b.within)
	}
	b.within = time.Millisecond
	if err := b.all.Acquire(t.Context(), 2*leastHeld); err != nil {
		t.Fatal(err)
	}
	late, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := b.take(late, holo.PrincipalID{3}, 1); holo.KindOf(err) != holo.Unavailable || holo.ReasonOf(err) != "busy" {
		t.Errorf("%v", err)
	}
	if len(b.mu.of) != 0 {
		t.Errorf("%d shares are left of nobody", len(b.mu.of))
	}
}

// What is refused before the gate sees it is counted like what the gate refuses.
func TestCallsThatDoNotReachTheGateAreCounted(t *testing.T) {
	r := newRig(t)
	u := r.user()
	list := listed{path: holov1connect.ArrayServiceListProcedure}
	body := func(text string, length int64) func(*http.Request) {
		return func(req *http.Request) { req.Body, req.ContentLength = io.NopCloser(strings.NewReader(text)), length }
	}
	for what, c := range map[string]struct {
		reason, status string
		edit           func(*http.Request)
	}{
		"no message":                 {"malformed_call", "400 ", body("{", 1)},
		"too long without saying it": {"malformed_call", "429 ", body(`{"x":"`+strings.Repeat("x", smallBody)+`"}`, -1)},
		"of no known type":           {"malformed_call", "415 ", func(req *http.Request) { req.Header.Set("Content-Type", "text/plain") }},
	} {
		before := r.count(c.reason)
		if got := u.answer(list, c.edit); !strings.HasPrefix(got, c.status) || r.count(c.reason) != before+1 {
			t.Errorf("%s: counted %d times: %s", what, r.count(c.reason)-before, got)
		}
	}
	before := r.count("malformed_call")
	if err := u.list(); err != nil || r.count("malformed_call") != before {
		t.Errorf("control: %v", err)
	}
	if _, err := u.begin(); err != nil {
		t.Error(err)
	}
	u.session = make([]byte, api.SessionSize)
	r.wantRefused(u.list(), holo.Denied, "no_session")
	if n := r.count("malformed_call"); n != before {
		t.Errorf("a refusal of the gate was counted twice")
	}
}
