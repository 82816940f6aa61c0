package door

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

func noise(n int) []byte {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func TestBulkBytesComeBackAsTheyWent(t *testing.T) {
	r := newRig(t)
	u := r.user()
	const length = 1<<20 + 77
	a := u.create("a", length, 64<<10) // extents of two pages
	id := holo.ArrayID(a.GetId())
	data := noise(2 * length)
	if status, reason := u.put(api.DataPath(id, 0, length), data, nil); status != http.StatusNoContent {
		t.Fatalf("put: %d %s", status, reason)
	}
	status, got, err := u.get(api.DataPath(id, 3, length-5))
	if status != http.StatusOK || err != nil || !bytes.Equal(got, data[6:len(data)-4]) {
		t.Fatalf("get: %d, %d bytes, %v", status, len(got), err)
	}
	for _, n := range r.backend.chunks {
		if n > 2*holo.PageSize {
			t.Errorf("a write of %d bytes crosses an extent", n)
		}
	}
}

func TestChunksCoverTheSpanWithinExtents(t *testing.T) {
	for _, s := range []span{
		{shape: holo.Shape{Type: holo.I16, Extent: 32 << 10}, offset: 10, bytes: 1 << 20},
		{shape: holo.Shape{Type: holo.F64, Extent: holo.DefaultExtent}, offset: 5<<20 - 8, bytes: 9 << 20},
		{shape: holo.Shape{Type: holo.I8, Extent: 5 * holo.PageSize}, offset: 0, bytes: 1},
		{shape: holo.Shape{Type: holo.I8, Extent: 17 * holo.PageSize}, offset: 3, bytes: 100 * holo.PageSize},
	} {
		extent, at := s.shape.Extent*s.shape.Type.Size(), s.offset
		for c := range s.chunks() {
			if c.offset != at || c.bytes == 0 || c.bytes > ChunkBytes || c.offset/extent != (c.offset+c.bytes-1)/extent {
				t.Fatalf("%+v: chunk %+v at %d", s, c, at)
			}
			at += c.bytes
		}
		if at != s.offset+s.bytes {
			t.Errorf("%+v: covered up to %d", s, at)
		}
	}
}

func TestSpoiltUploadsWriteNothing(t *testing.T) {
	r := newRig(t)
	u, thief := r.user(), r.user()
	a := u.create("a", 1000, 0)
	path := api.DataPath(holo.ArrayID(a.GetId()), 0, 1000)
	other := api.DataPath(holo.ArrayID(a.GetId()), 500, 500)
	body := noise(2000)
	cases := []struct {
		name   string
		path   string
		body   []byte
		edit   func(*http.Request)
		status int
		reason string
	}{
		{"no session", path, body, func(q *http.Request) { q.Header.Del(api.SessionHeader) }, 403, "no_session"},
		{"no signature", path, body, func(q *http.Request) { q.Header.Del(api.SignatureHeader) }, 403, "bad_signature"},
		{"no digest", path, body, func(q *http.Request) { q.Header.Del(api.DigestHeader) }, 422, "bad_digest"},
		{"other bytes than signed", path, body, func(q *http.Request) {
			q.Body, q.GetBody = io.NopCloser(bytes.NewReader(make([]byte, 2000))), nil
		}, 422, "bad_digest"},
		{"other range than signed", other, body[:1000], func(q *http.Request) {
			q.Header.Set(api.SignatureHeader, api.EncodeSignature(u.signer.Sign(api.RequestProof("PUT "+path, u.session, [32]byte{}))))
		}, 403, "bad_signature"},
		{"another's session", path, body, func(q *http.Request) { q.Header.Set(api.SessionHeader, api.EncodeSession(thief.session)) }, 403, "bad_signature"},
		{"too short", path, body[:1998], nil, 400, ""},
		{"too long", path, noise(2002), nil, 400, ""},
		{"no length", path, body, func(q *http.Request) { q.ContentLength = -1 }, 400, ""},
		{"beyond the end", api.DataPath(holo.ArrayID(a.GetId()), 1, 1000), body, nil, 400, ""},
		{"overflow", api.DataPath(holo.ArrayID(a.GetId()), 1<<63, 1<<63), body, nil, 400, ""},
		{"no such array", api.DataPath(99, 0, 1000), body, nil, 404, ""},
		{"odd spelling", "/v1/arrays/1/data?count=1000&first=0", body, nil, 400, ""},
		{"leading zero", "/v1/arrays/01/data?first=0&count=1000", body, nil, 400, ""},
	}
	before := len(r.backend.changes())
	for _, c := range cases {
		if status, reason := u.put(c.path, c.body, c.edit); status != c.status || reason != c.reason {
			t.Errorf("%s: %d %q, want %d %q", c.name, status, reason, c.status, c.reason)
		}
	}
	if n := len(r.backend.changes()); n != before {
		t.Fatalf("%d writes reached the node", n-before)
	}
}

// A body that ends before its Content-Length leaves the array as it was.
func TestCutOffUploadWritesNothing(t *testing.T) {
	r := newRig(t)
	u := r.user()
	a := u.create("a", 1000, 0)
	before := len(r.backend.changes())
	cut, end := io.Pipe()
	go func() {
		_, _ = end.Write(make([]byte, 700))
		_ = end.CloseWithError(io.ErrUnexpectedEOF)
	}()
	req, err := http.NewRequest(http.MethodPut, "http://holo"+api.DataPath(holo.ArrayID(a.GetId()), 0, 1000), cut)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 2000
	req.Header.Set(api.SessionHeader, api.EncodeSession(u.session))
	if resp, err := u.http.Do(req); err == nil {
		t.Errorf("answered %d", resp.StatusCode)
		resp.Body.Close()
	}
	if err := r.door.Close(); err != nil { // waits for the handler
		t.Fatal(err)
	}
	if n := len(r.backend.changes()); n != before {
		t.Errorf("%d writes reached the node", n-before)
	}
}

// An error before the first byte is told; one after it can only cut the stream,
// and what came is never taken for the whole.
func TestFailedReadIsNeverTakenForTheWhole(t *testing.T) {
	r := newRig(t)
	u := r.user()
	const length = 4 << 20
	a := u.create("a", length, 8*holo.PageSize)
	id := holo.ArrayID(a.GetId())
	r.backend.failAt[0] = holo.Refuse(holo.Unavailable, "no_primary", "read page a1/0: no primary")
	status, _, err := u.get(api.DataPath(id, 0, length))
	if status != http.StatusServiceUnavailable || err != nil {
		t.Errorf("first chunk: %d, %v", status, err)
	}
	r.backend.mu.Lock()
	r.backend.failAt = map[uint64]error{4 << 20: holo.Errorf(holo.DataLost, "read page a1/64: lost")}
	r.backend.mu.Unlock()
	if _, got, err := u.get(api.DataPath(id, 0, length)); err == nil {
		t.Errorf("%d bytes of a failed read pass for the whole", len(got))
	}
}

func TestErrorsKeepTheirKindAndReason(t *testing.T) {
	r := newRig(t)
	u := r.user()
	jobs := holov1connect.NewJobServiceClient(u.http, "http://holo")
	_, err := jobs.Get(context.Background(), inSession(u.session, &holov1.GetJobRequest{Job: 3}))
	c, ok := err.(*connect.Error)
	if !ok || c.Meta().Get(api.KindHeader) != "kernel_trapped" || c.Meta().Get(api.ReasonHeader) != "out_of_gas" ||
		c.Message() != "job 3: kernel loop, function spin: out of gas" {
		t.Fatalf("%v", err)
	}
	for kind := holo.Internal; kind.Valid(); kind++ {
		if codes[kind].code == 0 || codes[kind].status < 400 {
			t.Errorf("%s has no code", kind)
		}
	}
}

// Closing the door ends a watch that would last for ever.
func TestClosingTheDoorEndsWatches(t *testing.T) {
	r := newRig(t)
	u := r.user()
	jobs := holov1connect.NewJobServiceClient(u.http, "http://holo")
	go func() { r.backend.watch <- &holov1.JobProgress{Job: 1, State: "running", Tasks: 7} }() // Watch waits for the first
	stream, err := jobs.Watch(context.Background(), inSession(u.session, &holov1.WatchRequest{Job: 1}))
	if err != nil {
		t.Fatal(err)
	}
	if !stream.Receive() || stream.Msg().GetTasks() != 7 {
		t.Fatalf("no progress: %v", stream.Err())
	}
	if err := r.door.Close(); err != nil {
		t.Fatal(err)
	}
	if stream.Receive() || stream.Err() == nil {
		t.Error("the watch goes on")
	}
}

func TestSessionsEndAndAreBounded(t *testing.T) {
	m, now := newMemory(), time.Unix(1e9, 0)
	s := newSessions(m, func() time.Time { return now })
	r := &rig{t: t}
	u := &user{rig: r, signer: newRig(t).stranger().signer}
	m.allow(u.principal(), holo.RoleUser.Actions()...)
	open := func() (sessionID, error) {
		b, err := s.begin(t.Context(), u.principal(), false, Peer{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.prove(t.Context(), b.id[:], u.signer.Sign(api.SessionProof(m.cluster, m.self, b.id[:], b.nonce[:])), "", Peer{})
		return b.id, err
	}
	id, err := open()
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(idleAfter)
	if _, err := s.find(api.EncodeSession(id[:]), Peer{}); err != nil {
		t.Errorf("just in time: %v", err)
	}
	now = now.Add(idleAfter + 1)
	if _, err := s.find(api.EncodeSession(id[:]), Peer{}); holo.ReasonOf(err) != "no_session" {
		t.Errorf("idle for too long: %v", err)
	}
	late, err := s.begin(t.Context(), u.principal(), false, Peer{})
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(proveWithin + 1)
	_, err = s.prove(t.Context(), late.id[:], u.signer.Sign(api.SessionProof(m.cluster, m.self, late.id[:], late.nonce[:])), "", Peer{})
	if holo.ReasonOf(err) != "no_session" {
		t.Errorf("proven late: %v", err)
	}
	for range maxPending + 10 {
		if _, err := s.begin(t.Context(), u.principal(), false, Peer{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.mu.pending); n > maxPending {
		t.Errorf("%d sessions begun", n)
	}
}

// A client that ends leaves its session behind. However often a user's programs
// begin, they lock out neither the user nor anybody else.
func TestSessionsOfOneKeyGiveWayToItsOwn(t *testing.T) {
	m, now := newMemory(), time.Unix(1e9, 0)
	s := newSessions(m, func() time.Time { return now })
	open := func(signer key.Signer) (*session, error) {
		now = now.Add(time.Millisecond)
		p := holo.PrincipalID(signer.Public())
		m.allow(p, holo.RoleUser.Actions()...)
		b, err := s.begin(t.Context(), p, false, Peer{})
		if err != nil {
			t.Fatal(err)
		}
		return s.prove(t.Context(), b.id[:], signer.Sign(api.SessionProof(m.cluster, m.self, b.id[:], b.nonce[:])), "", Peer{})
	}
	user := key.GenerateSigner()
	busy, err := open(user)
	if err != nil {
		t.Fatal(err)
	}
	_, leave := s.enter(t.Context(), busy)
	idlest, err := open(user)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 * maxOfKey {
		if _, err := open(user); err != nil {
			t.Fatalf("locked out of its own node: %v", err)
		}
	}
	if _, err := s.find(api.EncodeSession(idlest.id[:]), Peer{}); holo.ReasonOf(err) != "no_session" {
		t.Errorf("the idlest session is still open: %v", err)
	}
	if _, err := s.find(api.EncodeSession(busy.id[:]), Peer{}); err != nil {
		t.Errorf("a session with a call under way was ended: %v", err)
	}
	leave()
	if n := len(s.mu.proven); n != maxOfKey {
		t.Errorf("%d sessions of one key, want %d", n, maxOfKey)
	}
	for range maxProven - maxOfKey {
		if _, err := open(key.GenerateSigner()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := open(key.GenerateSigner()); holo.KindOf(err) != holo.Exhausted {
		t.Errorf("one session too many: %v", err)
	}
}

// A key whose sessions all have calls under way opens no further one.
func TestBusySessionsDoNotGiveWay(t *testing.T) {
	m := newMemory()
	s, signer := newSessions(m, time.Now), key.GenerateSigner()
	p := holo.PrincipalID(signer.Public())
	m.allow(p, holo.RoleUser.Actions()...)
	for n := 0; ; n++ {
		b, err := s.begin(t.Context(), p, false, Peer{})
		if err != nil {
			t.Fatal(err)
		}
		opened, err := s.prove(t.Context(), b.id[:], signer.Sign(api.SessionProof(m.cluster, m.self, b.id[:], b.nonce[:])), "", Peer{})
		if n == maxOfKey {
			if holo.ReasonOf(err) != "too_many_sessions" {
				t.Errorf("%v, want it refused", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		_, leave := s.enter(t.Context(), opened)
		defer leave()
	}
}
