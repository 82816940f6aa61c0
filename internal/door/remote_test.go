package door

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// afar is a client at the other end of a link of its own.
func (r *rig) afar(signer key.Signer, link byte) *user {
	p := Peer{Key: holo.PrincipalID(signer.Public()), Link: [32]byte{link}}
	transport := &http.Transport{DisableCompression: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		r.door.Serve(far, p)
		return near, nil
	}}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &user{rig: r, signer: signer, http: &http.Client{Transport: transport}}
}

// known is a client's key that the node knows.
func (r *rig) known() key.Signer {
	s := key.GenerateSigner()
	r.backend.allow(holo.PrincipalID(s.Public()), holo.RoleUser.Actions()...)
	return s
}

func (u *user) list() error {
	_, err := u.arrays().List(context.Background(), inSession(u.session, &holov1.ListArraysRequest{}))
	return err
}

func TestClientFromAfarWorksAndLearnsWhereMembersAre(t *testing.T) {
	r := newRig(t)
	u := r.afar(r.known(), 1)
	if err := u.open(); err != nil {
		t.Fatal(err)
	}
	a := u.create("remote", 100, 0)
	if status, reason := u.put(api.DataPath(holo.ArrayID(a.GetId()), 0, 2), []byte{1, 2, 3, 4}, nil); status != http.StatusNoContent {
		t.Errorf("status %d, %s", status, reason)
	}
	b, err := u.begin()
	if err != nil {
		t.Fatal(err)
	}
	sig := u.signer.Sign(api.SessionProof(r.backend.cluster, r.backend.self, b.GetSession(), b.GetNonce()))
	p, err := u.sessions().Prove(t.Context(), connect.NewRequest(&holov1.ProveRequest{Session: b.GetSession(), Signature: sig}))
	if err != nil || len(p.Msg.GetAddresses()) != 1 {
		t.Errorf("%v, %v", p, err)
	}
}

// A session's number, however it was come by, is of no use but on its link: not
// on another link of the same key, not on another client's, not on the socket;
// nor does a session of the socket serve on a link.
func TestStolenSessionIsOfNoUseOnAnotherConnection(t *testing.T) {
	r := newRig(t)
	signer := r.known()
	victim := r.afar(signer, 1)
	if err := victim.open(); err != nil {
		t.Fatal(err)
	}
	local := r.stranger()
	for where, thief := range map[string]*user{"another client's link": r.afar(r.known(), 2), "another link of that key": r.afar(signer, 3), "the socket": local} {
		thief.session = victim.session
		if err := thief.list(); err == nil {
			t.Errorf("%s: the stolen session served", where)
		} else {
			r.wantRefused(err, holo.Denied, "no_session")
		}
	}
	here := r.user()
	far := r.afar(here.signer, 4)
	far.session = here.session
	r.wantRefused(far.list(), holo.Denied, "no_session")
	if err := victim.list(); err != nil {
		t.Errorf("the session's own link: %v", err)
	}
}

// One who is known cannot speak for another who is, with the other's nonce or
// even with the other's signature.
func TestLinkSpeaksForTheKeyThatMadeIt(t *testing.T) {
	r := newRig(t)
	victim, thief := r.known(), r.known()
	honest, link := r.afar(victim, 1), r.afar(thief, 2)
	link.signer = victim // at the HTTP layer; the link is the thief's
	_, err := link.begin()
	r.wantRefused(err, holo.Denied, "other_key")
	b, err := honest.begin()
	if err != nil {
		t.Fatal(err)
	}
	sig := victim.Sign(api.SessionProof(r.backend.cluster, r.backend.self, b.GetSession(), b.GetNonce()))
	r.wantRefused(link.prove(b.GetSession(), sig), holo.Denied, "no_session")
	_, err = r.afar(key.GenerateSigner(), 3).begin()
	r.wantRefused(err, holo.Denied, authz.ReasonUnknown)
}

// A link may say that it will present a token: then nobody is asked whether its
// key is known, and what it can get is a session that nothing proves.
func TestStrangerOnALinkGetsNoFurtherThanBegin(t *testing.T) {
	r := newRig(t)
	u := r.afar(key.GenerateSigner(), 1)
	b := u.beginToken()
	r.wantRefused(u.list(), holo.Denied, "no_session") // begun is not proven
	sig := u.signer.Sign(api.SessionProof(r.backend.cluster, r.backend.self, b.GetSession(), b.GetNonce()))
	r.wantRefused(u.prove(b.GetSession(), sig), holo.Denied, authz.ReasonUnknown)
	r.wantRefused(u.list(), holo.Denied, "no_session")
	if r.door.Borrowed(Peer{Key: u.principal(), Link: [32]byte{1}}) {
		t.Error("the door counts it as in session")
	}
	var err error
	for range 10 * burst[classOpen] {
		if _, err = u.begin(); holo.ReasonOf(err) == "rate_limited" || r.count("rate_limited") > 0 {
			break
		}
	}
	r.wantRefused(err, holo.Unavailable, "rate_limited")
}

// However many sessions a link begins, those that others have begun stay.
func TestLinkPushesNoSessionOut(t *testing.T) {
	r := newRig(t)
	s := r.door.sessions
	waiting := r.known()
	b, err := s.begin(t.Context(), holo.PrincipalID(waiting.Public()), false, Peer{})
	if err != nil {
		t.Fatal(err)
	}
	stranger := Peer{Key: holo.PrincipalID(key.GenerateSigner().Public()), Link: [32]byte{1}}
	for range 2 * maxPending {
		if _, err := s.begin(t.Context(), stranger.Key, true, stranger); err != nil {
			t.Fatal(err)
		}
	}
	proof := api.SessionProof(r.backend.cluster, r.backend.self, b.id[:], b.nonce[:])
	if _, err := s.prove(t.Context(), b.id[:], waiting.Sign(proof), "", Peer{}); err != nil {
		t.Errorf("a session that was begun before: %v", err)
	}
}

// A token is good on a link of the key that it is bound to, and on no other.
func TestTokenOnALinkIsTheLinksKeys(t *testing.T) {
	r := newRig(t)
	lender, client := r.lender(), key.GenerateSigner()
	chain := r.backend.tokens.issue(lender.principal(), holo.PrincipalID(client.Public()), "READ:**", "OBSERVE:**")
	u := r.afar(client, 1)
	if err := u.present(chain); err != nil {
		t.Fatal(err)
	}
	if err := u.list(); err != nil || !r.door.Borrowed(Peer{Key: u.principal(), Link: [32]byte{1}}) {
		t.Errorf("the bearer of a token, from another machine: %v", err)
	}
	r.wantToken(r.afar(key.GenerateSigner(), 2).present(chain), reasonStolen)
	thief := r.afar(key.GenerateSigner(), 3)
	thief.signer = client // who has the key but not the link
	_, err := thief.begin()
	r.wantRefused(err, holo.Denied, reasonOtherKey)
}

func TestSessionEndsWithItsLink(t *testing.T) {
	r := newRig(t)
	u := r.afar(r.known(), 1)
	if err := u.open(); err != nil {
		t.Fatal(err)
	}
	first := u.session
	if err := u.open(); err != nil {
		t.Fatal(err)
	}
	second := u.session
	u.session = first
	r.wantRefused(u.list(), holo.Denied, "no_session") // a link has one
	u.session = second
	if err := u.list(); err != nil {
		t.Fatal(err)
	}
	r.door.End(Peer{Key: u.principal(), Link: [32]byte{1}})
	r.wantRefused(u.list(), holo.Denied, "no_session")
}

// listed is one procedure of the API, as the descriptors list it.
type listed struct {
	path   string
	stream bool
}

func everyCall() (calls []listed) {
	for path, m := range procedures() {
		calls = append(calls, listed{path, m.IsStreamingServer()})
	}
	return calls
}

// answer makes a call with an empty message, edited before it is sent, and gives
// all of the answer as text.
func (u *user) answer(c listed, edit func(*http.Request)) string {
	u.rig.t.Helper()
	body, kind := []byte("{}"), "application/json"
	if c.stream {
		body, kind = []byte("\x00\x00\x00\x00\x02{}"), "application/connect+json"
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+api.Host+c.path, bytes.NewReader(body))
	if err != nil {
		u.rig.t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	if u.session != nil {
		req.Header.Set(api.SessionHeader, api.EncodeSession(u.session))
	}
	if edit != nil {
		edit(req)
	}
	resp, err := u.http.Do(req)
	if err != nil {
		u.rig.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		u.rig.t.Fatal(err)
	}
	return resp.Status + " " + resp.Header.Get(api.ReasonHeader) + " " + string(text)
}

// Without authentication none of the procedures is heard but those that open
// a session, on a link as little as on the socket, and neither are bulk bytes.
func TestNoProcedureIsHeardWithoutASession(t *testing.T) {
	r := newRig(t)
	for where, u := range map[string]*user{"link": r.afar(r.known(), 1), "unknown link": r.afar(key.GenerateSigner(), 2), "socket": r.stranger()} {
		for _, c := range append(everyCall(), listed{path: "/v1/arrays/1/data"}) {
			got := u.answer(c, func(req *http.Request) {
				if strings.HasPrefix(c.path, "/v1/") {
					req.Method = http.MethodPut
				}
			})
			switch c.path {
			case holov1connect.SessionServiceBeginProcedure:
				if !strings.HasPrefix(got, "400 ") {
					t.Errorf("%s: an empty Begin: %s", where, got)
				}
			default: // Prove too has no session to prove
				if !strings.Contains(got, "no_session") {
					t.Errorf("%s: %s without a session: %s", where, c.path, got)
				}
			}
		}
	}
	if n := len(r.backend.changes()); n != 0 {
		t.Errorf("%d calls reached the node", n)
	}
}

// A page in a browser, a name that was made to point here and a method that no
// procedure has are refused, in a session too.
func TestEveryProcedureRefusesForeignOriginsHostsAndMethods(t *testing.T) {
	r := newRig(t)
	far := r.afar(r.known(), 1)
	if err := far.open(); err != nil {
		t.Fatal(err)
	}
	header := func(name, value string) func(*http.Request) {
		return func(req *http.Request) { req.Header.Set(name, value) }
	}
	edits := map[string]struct {
		reason string
		edit   func(*http.Request)
	}{
		"page":            {"foreign_origin", header("Origin", "https://evil.example")},
		"null origin":     {"foreign_origin", header("Origin", "null")},
		"fetch":           {"foreign_origin", header("Sec-Fetch-Site", "cross-site")},
		"cookie":          {"foreign_origin", header("Cookie", "a=b")},
		"rebinding":       {"foreign_host", func(req *http.Request) { req.Host = "holo.evil.example" }},
		"local name":      {"foreign_host", func(req *http.Request) { req.Host = "localhost" }},
		"with port":       {"foreign_host", func(req *http.Request) { req.Host = "holo:80" }},
		"address":         {"foreign_host", func(req *http.Request) { req.Host = "127.0.0.1" }},
		"query":           {"unknown_method", func(req *http.Request) { req.URL.RawQuery = "x=1" }},
		"double slash":    {"strange_path", func(req *http.Request) { req.URL.Path = "/" + req.URL.Path }},
		"dots":            {"strange_path", func(req *http.Request) { req.URL.Path = "/x/.." + req.URL.Path }},
		"unknown service": {"unknown_procedure", func(req *http.Request) { req.URL.Path = strings.Replace(req.URL.Path, "/holo.v1.", "/holo.v2.", 1) }},
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"} {
		edits[method] = struct {
			reason string
			edit   func(*http.Request)
		}{"unknown_method", func(req *http.Request) { req.Method, req.Body, req.ContentLength = method, nil, 0 }}
	}
	for where, u := range map[string]*user{"link": far, "socket": r.user()} {
		for _, c := range everyCall() {
			for what, e := range edits {
				before := r.count(e.reason)
				if got := u.answer(c, e.edit); !strings.Contains(got, " "+e.reason+" ") || r.count(e.reason) == before {
					t.Fatalf("%s: %s, %s: %s", where, c.path, what, got) // what was let in may never be answered
				}
			}
		}
	}
	if n := len(r.backend.changes()); n != 0 {
		t.Errorf("%d calls reached the node", n)
	}
	if err := far.list(); err != nil {
		t.Errorf("control: %v", err)
	}
}

// gone counts how often it was closed.
type gone struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (g *gone) Close() error {
	g.once.Do(func() { close(g.closed) })
	return g.Conn.Close()
}

// Whoever hands a connection to a door that is closed, or without saying whose
// it is, keeps nothing open by it.
func TestConnectionsThatNobodyServesAreClosed(t *testing.T) {
	r := newRig(t)
	serve := func(what string, p Peer) {
		_, far := net.Pipe()
		g := &gone{Conn: far, closed: make(chan struct{})}
		r.door.Serve(g, p)
		select {
		case <-g.closed:
		case <-time.After(time.Minute):
			t.Errorf("%s: it is open still", what)
		}
	}
	serve("nobody's", Peer{})
	if err := r.door.Close(); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		serve("closed door", Peer{Key: holo.PrincipalID{1}})
	}
}
