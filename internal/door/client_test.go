package door

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// rig is a door on a real socket with a small node behind it.
type rig struct {
	t       *testing.T
	path    string
	backend *memory
	door    *Door
	mu      sync.Mutex
	reasons map[string]int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	// The system's temporary folder, because t.TempDir makes long paths and a
	// socket's must be short.
	dir, err := os.MkdirTemp("", "door")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &rig{t: t, path: filepath.Join(dir, "s"), backend: newMemory(), reasons: map[string]int{}}
	r.backend.refused = r.refused
	r.door, err = Open(Config{Path: r.path, Backend: r.backend, Refused: r.refused})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.door.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return r
}

func (r *rig) refused(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reasons[reason]++
}

func (r *rig) count(reason string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reasons[reason]
}

// user is a client that follows the protocol by hand, so that a test can break
// each step of it.
type user struct {
	rig     *rig
	signer  key.Signer
	http    *http.Client
	session []byte
	chain   string // the token of the session
}

// stranger has a key that the node does not know.
func (r *rig) stranger() *user {
	transport := &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", r.path)
	}}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &user{rig: r, signer: key.GenerateSigner(), http: &http.Client{Transport: transport}}
}

// user is known and in session.
func (r *rig) user() *user {
	r.t.Helper()
	u := r.stranger()
	r.backend.allow(u.principal(), holo.RoleUser.Actions()...)
	if err := u.open(); err != nil {
		r.t.Fatal(err)
	}
	return u
}

func (u *user) principal() holo.PrincipalID { return holo.PrincipalID(u.signer.Public()) }

func (u *user) sessions() holov1connect.SessionServiceClient {
	return holov1connect.NewSessionServiceClient(u.http, "http://holo")
}

func (u *user) arrays() holov1connect.ArrayServiceClient {
	return holov1connect.NewArrayServiceClient(u.http, "http://holo")
}

func (u *user) begin() (*holov1.BeginResponse, error) {
	public := u.signer.Public()
	resp, err := u.sessions().Begin(context.Background(), connect.NewRequest(&holov1.BeginRequest{PublicKey: public[:], Speaks: spoken()}))
	if err != nil {
		return nil, err
	}
	return resp.Msg, nil
}

func (u *user) prove(session, signature []byte) error {
	_, err := u.sessions().Prove(context.Background(), connect.NewRequest(&holov1.ProveRequest{Session: session, Signature: signature}))
	return err
}

func (u *user) open() error {
	b, err := u.begin()
	if err != nil {
		return err
	}
	proof := api.SessionProof(holo.ClusterID(b.GetCluster()), holo.NodeID(b.GetNode()), b.GetSession(), b.GetNonce())
	u.session = b.GetSession()
	return u.prove(b.GetSession(), u.signer.Sign(proof))
}

// sign makes the signed request as the protocol says.
func (u *user) sign(procedure string, m proto.Message) *connect.Request[holov1.SignedRequest] {
	u.rig.t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		u.rig.t.Fatal(err)
	}
	var random [8]byte
	rand.Read(random[:])
	stamp := api.NewStamp(catalogue, random, u.chain)
	sig := u.signer.Sign(api.RequestProof(procedure[1:], u.session, api.RequestDigest(stamp, b)))
	return inSession(u.session, &holov1.SignedRequest{Request: b, Signature: sig, Stamp: stamp[:], Attachment: attachment(procedure)})
}

func inSession[T any](session []byte, m *T) *connect.Request[T] {
	req := connect.NewRequest(m)
	req.Header().Set(api.SessionHeader, api.EncodeSession(session))
	return req
}

func (u *user) create(name string, length, extent uint64) *holov1.Array {
	u.rig.t.Helper()
	m := &holov1.CreateArrayRequest{Name: name, Type: "i16", Length: length, ExtentElements: extent}
	resp, err := u.arrays().Create(context.Background(), u.sign(holov1connect.ArrayServiceCreateProcedure, m))
	if err != nil {
		u.rig.t.Fatal(err)
	}
	return resp.Msg
}

// put is a bulk write; edit may spoil it before it is sent.
func (u *user) put(path string, body []byte, edit func(*http.Request)) (status int, reason string) {
	u.rig.t.Helper()
	req, err := http.NewRequest(http.MethodPut, "http://holo"+path, bytes.NewReader(body))
	if err != nil {
		u.rig.t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	sig := u.signer.Sign(api.RequestProof("PUT "+path, u.session, sum))
	req.Header.Set(api.SessionHeader, api.EncodeSession(u.session))
	req.Header.Set(api.DigestHeader, api.EncodeDigest(sum))
	req.Header.Set(api.SignatureHeader, api.EncodeSignature(sig))
	if edit != nil {
		edit(req)
	}
	resp, err := u.http.Do(req)
	if err != nil {
		u.rig.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, resp.Header.Get(api.ReasonHeader)
}

func (u *user) get(path string) (status int, body []byte, err error) {
	u.rig.t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://holo"+path, nil)
	if err != nil {
		u.rig.t.Fatal(err)
	}
	req.Header.Set(api.SessionHeader, api.EncodeSession(u.session))
	resp, err := u.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// wantRefused checks an error's kind and reason as the client sees them, and
// that the node counted the refusal.
func (r *rig) wantRefused(err error, kind holo.Kind, reason string) {
	r.t.Helper()
	var c *connect.Error
	if c, _ = err.(*connect.Error); c == nil {
		r.t.Fatalf("%v, want refused %s/%s", err, kind, reason)
	}
	if k, why := c.Meta().Get(api.KindHeader), c.Meta().Get(api.ReasonHeader); k != kind.String() || why != reason {
		r.t.Fatalf("%v: kind %q reason %q, want %s/%s", err, k, why, kind, reason)
	}
	if r.count(reason) == 0 {
		r.t.Errorf("the refusal %q was not counted", reason)
	}
}
