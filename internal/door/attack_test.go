package door

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/protocol"
)

func TestNoCallIsHeardWithoutASession(t *testing.T) {
	r := newRig(t)
	u := r.stranger()
	r.backend.allow(u.principal(), holo.RoleUser.Actions()...)
	ctx := context.Background()
	_, err := u.arrays().List(ctx, connect.NewRequest(&holov1.ListArraysRequest{}))
	r.wantRefused(err, holo.Denied, "no_session")
	_, err = u.arrays().List(ctx, inSession(make([]byte, api.SessionSize), &holov1.ListArraysRequest{}))
	r.wantRefused(err, holo.Denied, "no_session")
	jobs := holov1connect.NewJobServiceClient(u.http, "http://holo")
	stream, err := jobs.Watch(ctx, connect.NewRequest(&holov1.WatchRequest{Job: 1}))
	if err != nil {
		t.Fatal(err)
	}
	for stream.Receive() {
		t.Error("a watch without a session was answered")
	}
	r.wantRefused(stream.Err(), holo.Denied, "no_session")
}

// A session that was begun but not proven opens nothing: its number is no
// secret of the client's key.
func TestABegunSessionIsNotASession(t *testing.T) {
	r := newRig(t)
	u := r.stranger()
	r.backend.allow(u.principal(), holo.RoleUser.Actions()...)
	b, err := u.begin()
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.arrays().List(context.Background(), inSession(b.GetSession(), &holov1.ListArraysRequest{}))
	r.wantRefused(err, holo.Denied, "no_session")
}

// A key of small order binds nobody, even where it stands in a list of users.
func TestKeyOfSmallOrderBeginsNoSession(t *testing.T) {
	r := newRig(t)
	for _, public := range [][32]byte{{}, {1}, {31: 0x80}} {
		r.backend.allow(public, holo.RoleUser.Actions()...)
		_, err := r.stranger().sessions().Begin(context.Background(), connect.NewRequest(&holov1.BeginRequest{PublicKey: public[:], Speaks: spoken()}))
		if err == nil {
			t.Errorf("a session begins for key %x", public)
		}
	}
	if r.count("unknown_principal") != 3 {
		t.Errorf("%d refusals are counted, want 3", r.count("unknown_principal"))
	}
}

// N-10: a client two releases away is refused with what to do, before anything is
// known of it, and one that is one release away is let in.
func TestClientsOfOtherVersionsAreRefusedWithTheReason(t *testing.T) {
	r := newRig(t)
	u := r.user()
	begin := func(oldest, newest uint32) error {
		public := u.signer.Public()
		_, err := u.sessions().Begin(context.Background(), connect.NewRequest(&holov1.BeginRequest{PublicKey: public[:], Speaks: &holov1.Versions{Oldest: oldest, Newest: newest}}))
		return err
	}
	first, last := uint32(protocol.Oldest), uint32(protocol.Newest)
	for _, v := range [][2]uint32{{first, first}, {first, last}, {last, last + 1}, {last, 1 << 20}} {
		if err := begin(v[0], v[1]); err != nil {
			t.Errorf("a client that speaks %d: %v", v, err)
		}
	}
	for _, v := range [][2]uint32{{last + 1, last + 2}, {255, 255}, {256, 257}} {
		err := begin(v[0], v[1])
		r.wantRefused(err, holo.Denied, protocol.ReasonSkew)
		if err != nil && !strings.Contains(err.Error(), "upgrade the program of the peer") {
			t.Errorf("a client that speaks %d: %v", v, err)
		}
	}
	for _, v := range [][2]uint32{{0, 0}, {0, 2}, {2, 1}} {
		r.wantRefused(begin(v[0], v[1]), holo.Invalid, "")
	}
}

func TestUnknownKeyGetsNoSession(t *testing.T) {
	r := newRig(t)
	_, err := r.stranger().begin()
	r.wantRefused(err, holo.Denied, "unknown_principal")
}

func TestForgedSessionProofIsRefused(t *testing.T) {
	r := newRig(t)
	u := r.stranger()
	r.backend.allow(u.principal(), holo.RoleUser.Actions()...)
	thief := key.GenerateSigner()
	for name, sign := range map[string]func(*holov1.BeginResponse) []byte{
		"another key": func(b *holov1.BeginResponse) []byte {
			return thief.Sign(api.SessionProof(r.backend.cluster, r.backend.self, b.GetSession(), b.GetNonce()))
		},
		"another node": func(b *holov1.BeginResponse) []byte {
			return u.signer.Sign(api.SessionProof(r.backend.cluster, holo.NodeID{9}, b.GetSession(), b.GetNonce()))
		},
		"another nonce": func(b *holov1.BeginResponse) []byte {
			return u.signer.Sign(api.SessionProof(r.backend.cluster, r.backend.self, b.GetSession(), make([]byte, 32)))
		},
		"nothing": func(*holov1.BeginResponse) []byte { return nil },
	} {
		b, err := u.begin()
		if err != nil {
			t.Fatal(err)
		}
		err = u.prove(b.GetSession(), sign(b))
		if err == nil {
			t.Fatalf("%s: the proof was taken", name)
		}
		r.wantRefused(err, holo.Denied, "bad_signature")
		proof := api.SessionProof(r.backend.cluster, r.backend.self, b.GetSession(), b.GetNonce())
		r.wantRefused(u.prove(b.GetSession(), u.signer.Sign(proof)), holo.Denied, "no_session")
	}
}

// The proof of one session, captured whole, opens no second one.
func TestReplayedSessionProofIsRefused(t *testing.T) {
	r := newRig(t)
	u := r.stranger()
	r.backend.allow(u.principal(), holo.RoleUser.Actions()...)
	b, err := u.begin()
	if err != nil {
		t.Fatal(err)
	}
	sig := u.signer.Sign(api.SessionProof(r.backend.cluster, r.backend.self, b.GetSession(), b.GetNonce()))
	if err := u.prove(b.GetSession(), sig); err != nil {
		t.Fatal(err)
	}
	r.wantRefused(u.prove(b.GetSession(), sig), holo.Denied, "no_session")
	again, err := u.begin()
	if err != nil {
		t.Fatal(err)
	}
	r.wantRefused(u.prove(again.GetSession(), sig), holo.Denied, "bad_signature")
}

func TestSignedRequestBelongsToItsSessionKeyAndProcedure(t *testing.T) {
	r := newRig(t)
	victim, thief := r.user(), r.user()
	ctx := context.Background()
	a := victim.create("precious", 10, 0)
	before := len(r.backend.changes())
	captured := victim.sign(holov1connect.ArrayServiceDeleteProcedure, &holov1.DeleteRequest{Array: a.GetId()})

	replayed := inSession(thief.session, captured.Msg)
	_, err := thief.arrays().Delete(ctx, replayed)
	r.wantRefused(err, holo.Denied, "bad_signature")

	_, err = victim.arrays().Seal(ctx, inSession(victim.session, captured.Msg))
	r.wantRefused(err, holo.Denied, "bad_signature")

	if err := victim.open(); err != nil { // the same key, another session
		t.Fatal(err)
	}
	_, err = victim.arrays().Delete(ctx, inSession(victim.session, captured.Msg))
	r.wantRefused(err, holo.Denied, "bad_signature")

	changed := victim.sign(holov1connect.ArrayServiceDeleteProcedure, &holov1.DeleteRequest{Array: a.GetId()})
	changed.Msg.Request[len(changed.Msg.Request)-1]++
	_, err = victim.arrays().Delete(ctx, changed)
	r.wantRefused(err, holo.Denied, "bad_signature")

	again := victim.sign(holov1connect.ArrayServiceDeleteProcedure, &holov1.DeleteRequest{Array: a.GetId()})
	again.Msg.Stamp[15]++ // it would be another use of the signature
	_, err = victim.arrays().Delete(ctx, again)
	r.wantRefused(err, holo.Denied, "bad_signature")
	victim.chain = "a.b.c" // a token that is not the session's
	_, err = victim.arrays().Delete(ctx, victim.sign(holov1connect.ArrayServiceDeleteProcedure, &holov1.DeleteRequest{Array: a.GetId()}))
	r.wantRefused(err, holo.Denied, "bad_signature")
	victim.chain = ""
	again.Msg.Stamp = nil
	_, err = victim.arrays().Delete(ctx, again)
	r.wantRefused(err, holo.Denied, "bad_signature")

	if n := len(r.backend.changes()); n != before {
		t.Fatalf("%d calls reached the node", n-before)
	}
}

func TestRemovedPrincipalIsRefusedAtOnce(t *testing.T) {
	r := newRig(t)
	u := r.user()
	r.backend.allow(u.principal())
	_, err := u.arrays().List(context.Background(), inSession(u.session, &holov1.ListArraysRequest{}))
	r.wantRefused(err, holo.Denied, "unknown_principal")
}

func TestBackendGetsTheProofOfWhoAsked(t *testing.T) {
	r := newRig(t)
	u := r.user()
	u.create("a", 10, 0)
	calls := r.backend.changes()
	if len(calls) != 1 {
		t.Fatalf("%d calls", len(calls))
	}
	c := calls[0]
	q := &holov1.CreateArrayRequest{}
	if err := proto.Unmarshal(c.Request, q); err != nil || q.GetName() != "a" || c.Stamp.Version() != catalogue || c.Digest != api.RequestDigest(c.Stamp, c.Request) {
		t.Errorf("the caller does not carry what was signed: %+v", c)
	}
	if c.Principal != u.principal() || c.Procedure != "holo.v1.ArrayService/Create" || !key.Verify(c.Principal, c.Proof(), c.Signature) {
		t.Errorf("the caller %+v is not proven", c)
	}
}

func TestSocketFolderThatOthersCanEnterIsRefused(t *testing.T) {
	dir, err := os.MkdirTemp("", "door")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, mode := range []os.FileMode{0o755, 0o711, 0o770, 0o500} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		d, err := Open(Config{Path: filepath.Join(dir, "s"), Backend: newMemory()})
		if holo.ReasonOf(err) != "wrong_mode" || !strings.Contains(err.Error(), "chmod 700") {
			t.Errorf("mode %04o: %v, want refused", mode, err)
		}
		if d != nil {
			t.Error("the door is open")
		}
	}
}

func TestSocketIsPrivateAndItsPathShort(t *testing.T) {
	r := newRig(t)
	for path, want := range map[string]os.FileMode{r.path: 0o600, filepath.Dir(r.path): 0o700} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v, want %04o", path, info.Mode(), err, want)
		}
	}
	_, err := Open(Config{Path: "/tmp/" + strings.Repeat("x", 100), Backend: newMemory()})
	if holo.KindOf(err) != holo.Invalid {
		t.Errorf("a path of 105 bytes: %v", err)
	}
}

func TestSecondNodeDoesNotTakeTheSocket(t *testing.T) {
	r := newRig(t)
	if _, err := Open(Config{Path: r.path, Backend: newMemory()}); holo.KindOf(err) != holo.Conflict {
		t.Fatalf("%v, want a conflict", err)
	}
	r.user() // the first still answers
}

// A node that died without closing leaves its socket; the next one replaces it.
func TestStaleSocketIsReplaced(t *testing.T) {
	dir, err := os.MkdirTemp("", "door")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	d, err := Open(Config{Path: path, Backend: newMemory()})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Path: path, Backend: newMemory()}); holo.KindOf(err) != holo.Conflict {
		t.Errorf("a file in the socket's place: %v, want a conflict", err)
	}
}

func TestConnectionOfAnotherUserIsClosed(t *testing.T) {
	r := newRig(t)
	l := &sameUser{uid: uint32(os.Geteuid()) + 1, free: make(chan struct{}, 1), refused: r.refused}
	c, err := net.Dial("unix", r.path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if reason := l.admit(c); reason != "wrong_user" {
		t.Errorf("admitted: %q", reason)
	}
	l.uid--
	if reason := l.admit(c); reason != "" {
		t.Errorf("our own: %q", reason)
	}
	if reason := l.admit(c); reason != "too_many_connections" {
		t.Errorf("one too many: %q", reason)
	}
}

func TestOversizedBodiesAreRefused(t *testing.T) {
	r := newRig(t)
	u := r.user()
	ctx := context.Background()
	big := u.sign(holov1connect.ArrayServiceCreateProcedure, &holov1.CreateArrayRequest{Name: strings.Repeat("x", smallBody), Type: "i8"})
	if _, err := u.arrays().Create(ctx, big); connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("a name of %d bytes: %v", smallBody, err)
	}
	kernels := holov1connect.NewKernelServiceClient(u.http, "http://holo")
	push := u.sign(holov1connect.KernelServicePushProcedure, &holov1.PushKernelRequest{Name: "k", Module: make([]byte, 32), Size: api.MaxModule + 1})
	push.Msg.Attachment = make([]byte, api.MaxModule+1)
	_, err := kernels.Push(ctx, push)
	var c *connect.Error
	if !errors.As(err, &c) || c.Meta().Get(api.KindHeader) != "invalid" {
		t.Errorf("a module of 16 MiB and a byte: %v", err)
	}
	a := u.create("a", 8<<20, 0)
	path := api.DataPath(holo.ArrayID(a.GetId()), 0, 4<<20)
	if status, reason := u.put(path, make([]byte, 8<<20), nil); status != http.StatusBadRequest || reason != "too_large" {
		t.Errorf("an upload of 8 MiB: %d %s", status, reason)
	}
	if n := len(r.backend.changes()); n != 1 {
		t.Errorf("%d calls reached the node, want the one create", n)
	}
}

// The attack: somebody on the way gives a push another module, or a request
// bytes that nobody signed for. The signature names the module by its hash.
func TestAttachedBytesAreThoseThatWereSigned(t *testing.T) {
	r := newRig(t)
	u := r.user()
	ctx := context.Background()
	kernels := holov1connect.NewKernelServiceClient(u.http, "http://holo")
	push := func() *connect.Request[holov1.SignedRequest] {
		return u.sign(holov1connect.KernelServicePushProcedure, sample(holov1connect.KernelServicePushProcedure))
	}
	if _, err := kernels.Push(ctx, push()); err != nil {
		t.Fatal(err)
	}
	before := len(r.backend.changes())
	for _, other := range [][]byte{nil, {2}, {1, 1}} {
		q := push()
		q.Msg.Attachment = other
		_, err := kernels.Push(ctx, q)
		r.wantRefused(err, holo.Corrupt, "bad_digest")
	}
	q := u.sign(holov1connect.ArrayServiceDeleteProcedure, &holov1.DeleteRequest{Array: 1})
	q.Msg.Attachment = []byte("more")
	if _, err := u.arrays().Delete(ctx, q); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("bytes that nobody signed for: %v", err)
	}
	if n := len(r.backend.changes()); n != before {
		t.Errorf("%d calls reached the node", n-before)
	}
}
