package attack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unicode"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/holocompute/holocompute/internal/api"
	holov1 "github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/node"
	"github.com/holocompute/holocompute/internal/protocol"
)

// spoken is what the clients of these tests say that they speak.
var spoken = &holov1.Versions{Oldest: uint32(protocol.Oldest), Newest: uint32(protocol.Newest)}

// rpc is a procedure of the client API, as its descriptor says.
type rpc struct {
	procedure string // /holo.v1.ArrayService/Get
	input     protoreflect.MessageDescriptor
	inner     protoreflect.MessageDescriptor // of a SignedRequest, nil of others
	streams   bool
}

// rpcs reads every procedure out of the service descriptors: a new one cannot be
// forgotten.
func rpcs(t testing.TB) (all []rpc) {
	t.Helper()
	protoregistry.GlobalFiles.RangeFilesByPackage("holo.v1", func(f protoreflect.FileDescriptor) bool {
		for s := range f.Services().Len() {
			service := f.Services().Get(s)
			for m := range service.Methods().Len() {
				all = append(all, rpcOf(t, service, service.Methods().Get(m)))
			}
		}
		return true
	})
	slices.SortFunc(all, func(a, b rpc) int { return strings.Compare(a.procedure, b.procedure) })
	if len(all) < 19 {
		t.Fatalf("%d procedures", len(all))
	}
	return all
}

func rpcOf(t testing.TB, service protoreflect.ServiceDescriptor, m protoreflect.MethodDescriptor) rpc {
	t.Helper()
	r := rpc{procedure: "/" + string(service.FullName()) + "/" + string(m.Name()), input: m.Input(), streams: m.IsStreamingServer()}
	if m.Input().Name() != "SignedRequest" {
		return r
	}
	thing := strings.TrimSuffix(string(service.Name()), "Service")
	name := string(m.Name())
	first, rest := name, "" // ChangeKey of tokens holds a ChangeTokenKeyRequest
	if i := strings.LastIndexFunc(name, unicode.IsUpper); i > 0 {
		first, rest = name[:i], name[i:]
	}
	for _, name := range []string{name + thing + "Request", name + thing + "sRequest", first + thing + rest + "Request", name + "Request", strings.TrimPrefix(name, "Set") + "Request"} {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName("holo.v1." + name))
		if err == nil {
			r.inner = d.(protoreflect.MessageDescriptor)
			return r
		}
	}
	t.Fatalf("%s: what does its SignedRequest hold?", r.procedure)
	return r
}

// randomMessage fills a message, with values that are near what makes sense.
func randomMessage(chance *rand.Rand, d protoreflect.MessageDescriptor, depth int) *dynamicpb.Message {
	m := dynamicpb.NewMessage(d)
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		switch {
		case chance.IntN(5) == 0 || f.IsMap():
		case f.IsList():
			list := m.Mutable(f).List()
			for range chance.IntN(5) {
				if f.Kind() != protoreflect.MessageKind {
					list.Append(randomValue(chance, f))
				}
			}
		case f.Kind() == protoreflect.MessageKind:
			if depth > 0 {
				m.Set(f, protoreflect.ValueOfMessage(randomMessage(chance, f.Message(), depth-1)))
			}
		default:
			m.Set(f, randomValue(chance, f))
		}
	}
	return m
}

func randomValue(chance *rand.Rand, f protoreflect.FieldDescriptor) protoreflect.Value {
	number := chance.Uint64() >> chance.IntN(64)
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(number&1 == 1)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(number)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(number))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(number))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(number))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(number))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(number))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(number % 9))
	case protoreflect.StringKind:
		names := []string{"", "a", "precious", "u8", "f64", "map", "reduce", "#1", "../../etc", strings.Repeat("x", 300), "\u202e\n\x00"}
		return protoreflect.ValueOfString(names[chance.IntN(len(names))])
	}
	b := make([]byte, chance.IntN(70))
	for i := range b {
		b[i] = byte(chance.Uint32())
	}
	return protoreflect.ValueOfBytes(b)
}

// How a client that is up to no good sends a request.
const (
	withoutSession = iota
	withUnknownSession
	withSession
	sessions_
)

// contentTypes are those of the API and some that are not.
var contentTypes = []string{"application/proto", "application/json", "application/grpc", "application/connect+proto", "application/grpc-web+proto", "text/html", ""}

// desk is a real node of its own behind a real door, and a user in session.
type desk struct {
	t       testing.TB
	node    *node.Node
	http    *http.Client
	signer  key.Signer
	session []byte
	served  int           // calls that were answered as asked
	crowded atomic.Uint64 // connections that the door closed because it had too many
}

const (
	deskMemory = 64 << 20
	// callLimit ends a call that waits for something; that is no fault of it.
	callLimit = 2 * time.Second
)

func newDesk(t testing.TB) *desk {
	t.Helper()
	root, err := os.MkdirTemp("", "desk")
	fatal(t, err)
	t.Cleanup(func() { os.RemoveAll(root) })
	dir, config, socket := filepath.Join(root, "n"), filepath.Join(root, "c"), filepath.Join(root, "s", "s")
	_, err = node.Init(context.Background(), node.InitConfig{Dir: dir, ConfigDir: config, NodeName: "n0", MemoryBytes: deskMemory})
	fatal(t, err)
	n, err := node.Start(context.Background(), node.Config{Dir: dir, MemoryBytes: deskMemory})
	fatal(t, err)
	t.Cleanup(func() { n.Close() })
	d := &desk{t: t, node: n}
	door, err := door.Open(door.Config{Path: socket, Backend: n, Refused: func(reason string) {
		if reason == "too_many_connections" {
			d.crowded.Add(1)
		}
	}})
	fatal(t, err)
	t.Cleanup(func() { door.Close() })
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	d.http = &http.Client{Transport: transport}
	d.signer, err = identity.ReadSigner(filepath.Join(config, identity.UserKeyFile))
	fatal(t, err)
	d.open()
	d.settle()
	return d
}

// settle waits until the node has registered and said where it is, and nothing
// more comes of its start.
func (d *desk) settle() {
	d.t.Helper()
	const looks = 25
	deadline := time.Now().Add(patience)
	for same, was := 0, ""; same < looks; {
		if time.Now().After(deadline) {
			d.t.Fatal("the node does not come to rest")
		}
		if now := d.held(d.t); now == was {
			same++
		} else {
			same, was = 0, now
		}
		<-time.After(20 * time.Millisecond)
	}
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open proves the user's key, as the SDK does.
func (d *desk) open() {
	d.t.Helper()
	c := holov1connect.NewSessionServiceClient(d.http, "http://holo")
	public := d.signer.Public()
	b, err := c.Begin(context.Background(), connect.NewRequest(&holov1.BeginRequest{PublicKey: public[:], Speaks: spoken}))
	fatal(d.t, err)
	proof := api.SessionProof(d.node.Cluster(), d.node.Self(), b.Msg.GetSession(), b.Msg.GetNonce())
	_, err = c.Prove(context.Background(), connect.NewRequest(&holov1.ProveRequest{Session: b.Msg.GetSession(), Signature: d.signer.Sign(proof)}))
	fatal(d.t, err)
	d.session = b.Msg.GetSession()
}

// body is a request that is right in form, signed where it must be.
func (d *desk) body(chance *rand.Rand, r rpc) []byte {
	of := r.input
	if r.inner != nil {
		of = r.inner
	}
	b, err := proto.Marshal(randomMessage(chance, of, 2))
	fatal(d.t, err)
	if r.inner == nil {
		return b
	}
	stamp := api.NewStamp(d.node.CatalogVersion(), [8]byte(binary.BigEndian.AppendUint64(nil, chance.Uint64())), "")
	sig := d.signer.Sign(api.RequestProof(r.procedure[1:], d.session, api.RequestDigest(stamp, b)))
	signed, err := proto.Marshal(&holov1.SignedRequest{Request: b, Signature: sig, Stamp: stamp[:]})
	fatal(d.t, err)
	return signed
}

// unread is the least body that a server leaves unread: less lies in the socket.
const unread = 4 << 10

// send makes one call and wants an answer that is neither a crash nor a bug.
func (d *desk) send(t testing.TB, method, path string, session int, contentType string, body []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://holo"+path, bytes.NewReader(body))
	fatal(t, err)
	req.Header.Set("Content-Type", contentType)
	switch session {
	case withUnknownSession:
		req.Header.Set(api.SessionHeader, api.EncodeSession(make([]byte, api.SessionSize)))
	case withSession:
		req.Header.Set(api.SessionHeader, api.EncodeSession(d.session))
	}
	if method == http.MethodPut {
		sum := sha256.Sum256(body)
		req.Header.Set(api.DigestHeader, api.EncodeDigest(sum))
		req.Header.Set(api.SignatureHeader, api.EncodeSignature(d.signer.Sign(api.RequestProof("PUT "+path, d.session, sum))))
	}
	crowded := d.crowded.Load()
	resp, err := d.http.Do(req)
	if errors.Is(err, context.DeadlineExceeded) || err != nil && d.crowded.Load() > crowded {
		return // it waits longer than this call does; or calls that wait have taken all connections, which is counted
	}
	if errors.Is(err, syscall.EPIPE) && session != withSession && len(body) > unread {
		return // a stream without a session is refused before its body is read, and the answer was lost to a client that still writes
	}
	if err != nil {
		t.Fatalf("%s %s: no answer: %v", method, path, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%s %s: the answer breaks off: %v", method, path, err)
	}
	if resp.StatusCode == http.StatusOK {
		d.served++
	}
	kind := resp.Header.Get(api.KindHeader)
	if resp.StatusCode == http.StatusInternalServerError && kind != holo.Indeterminate.String() && kind != holo.DataLost.String() && kind != holo.Corrupt.String() {
		t.Fatalf("%s %s: status 500 of kind %q: %.300s", method, path, kind, answer)
	}
}

// call makes of some bytes a call of any procedure: which, how, and with what.
func (d *desk) call(t testing.TB, all []rpc, choice uint64, raw []byte) (authenticated bool) {
	d.t = t // a fuzz target may use its own alone
	t.Helper()
	chance := rand.New(rand.NewPCG(choice, 11))
	session := chance.IntN(sessions_)
	if chance.IntN(8) == 0 {
		method := []string{http.MethodGet, http.MethodPut, http.MethodPost}[chance.IntN(3)]
		path := api.DataPath(holo.ArrayID(chance.IntN(4)), chance.Uint64()>>chance.IntN(64), chance.Uint64()>>chance.IntN(64))
		d.send(t, method, path, session, contentTypes[chance.IntN(len(contentTypes))], raw)
		return session == withSession
	}
	r := all[chance.IntN(len(all))]
	body := raw
	switch chance.IntN(4) {
	case 0: // the bytes as they are
	case 1: // a good request, bent
		body = d.body(chance, r)
		for i, b := range raw {
			if i < len(body) && i < 16 {
				body[int(b)*31%len(body)] ^= byte(1 << (i % 8))
			}
		}
	case 2: // too long
		body = append(d.body(chance, r), bytes.Repeat([]byte{0x7a}, 300<<10)...)
	default:
		body = d.body(chance, r)
	}
	kind := contentTypes[0]
	if chance.IntN(4) == 0 {
		kind = contentTypes[chance.IntN(len(contentTypes))]
	}
	d.send(t, http.MethodPost, r.procedure, session, kind, body)
	return session == withSession
}

// held is what the node has, by its own word.
func (d *desk) held(t testing.TB) string {
	t.Helper()
	ctx := t.Context()
	status, err := d.node.Status(ctx, door.Caller{})
	fatal(t, err)
	lease := len(status.GetNodes()) == 1 && status.GetNodes()[0].GetLease()
	arrays, err := d.node.ListArrays(ctx, door.Caller{})
	fatal(t, err)
	kernels, err := d.node.ListKernels(ctx, door.Caller{})
	fatal(t, err)
	b, err := json.Marshal([]any{status.GetCatalogIndex(), lease, arrays, kernels})
	fatal(t, err)
	return string(b)
}

// TestEveryRPCSurvivesEverything (threat-model row TB-4): seeded calls of every
// procedure that the service descriptors name and of the bulk route. None is
// answered by a crash or as a bug, those without a session change nothing, and
// the node's memory stays within bounds.
func TestEveryRPCSurvivesEverything(t *testing.T) {
	const calls = 4000
	d, all := newDesk(t), rpcs(t)
	seed := rand.NewChaCha8([32]byte{9})
	chance := rand.New(seed)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	authenticated := 0
	for range calls {
		raw := make([]byte, chance.IntN(200))
		seed.Read(raw)
		was := ""
		choice := chance.Uint64()
		if rand.New(rand.NewPCG(choice, 11)).IntN(sessions_) != withSession {
			was = d.held(t)
		}
		if d.call(t, all, choice, raw) {
			authenticated++
		} else if now := d.held(t); now != was {
			t.Fatalf("call %d without a session changed %s into %s", choice, was, now)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Logf("%d procedures, %d of %d calls in a session; heap %d KiB, was %d", len(all), authenticated, calls, after.HeapAlloc>>10, before.HeapAlloc>>10)
	if after.HeapAlloc > before.HeapAlloc+deskMemory+64<<20 {
		t.Errorf("heap %d bytes, was %d", after.HeapAlloc, before.HeapAlloc)
	}
	if authenticated < calls/5 || d.served < calls/40 { // only calls in a session are: the others are refused unread
		t.Errorf("control: %d calls had a session, %d were served", authenticated, d.served)
	}
}

// FuzzEveryRPC is the same without end.
func FuzzEveryRPC(f *testing.F) {
	d, all := newDesk(f), rpcs(f)
	for n := range uint64(64) {
		f.Add(n, binary.BigEndian.AppendUint64(nil, n))
	}
	f.Fuzz(func(t *testing.T, choice uint64, raw []byte) { d.call(t, all, choice, raw) })
}
