package attack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/holocompute/holocompute"
	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/kernels"
)

// caller is a client in session, which sends what the SDK would not.
type caller struct {
	l       *live
	http    *http.Client
	signer  key.Signer
	session []byte
}

// enter opens a session of a key.
func (l *live) enter(by key.Signer) *caller {
	l.t.Helper()
	d, public := l.desktop(), by.Public()
	b, err := d.sessions.Begin(l.t.Context(), connect.NewRequest(&holov1.BeginRequest{PublicKey: public[:], Speaks: spoken}))
	must(l.t, err)
	m := b.Msg
	proof := api.SessionProof(l.target.Cluster, l.target.Node, m.GetSession(), m.GetNonce())
	_, err = d.sessions.Prove(l.t.Context(), connect.NewRequest(&holov1.ProveRequest{Session: m.GetSession(), Signature: by.Sign(proof)}))
	must(l.t, err)
	return &caller{l, d.http, by, m.GetSession()}
}

// sealed is a request as a procedure wants it, signed where it must be. What bend
// does to the signature is sent.
func (c *caller) sealed(r rpc, request []byte, number uint64, bend func(signature []byte)) []byte {
	c.l.t.Helper()
	if r.inner == nil {
		return request
	}
	s, err := c.l.sdk.Status(c.l.t.Context())
	must(c.l.t, err)
	stamp := api.NewStamp(s.CatalogIndex, [8]byte(binary.BigEndian.AppendUint64(nil, number)), "")
	sig := c.signer.Sign(api.RequestProof(r.procedure[1:], c.session, api.RequestDigest(stamp, request)))
	if bend != nil {
		bend(sig)
	}
	m := &holov1.SignedRequest{Request: request, Signature: sig, Stamp: stamp[:]}
	if r.inner.Name() == "PushKernelRequest" {
		m.Attachment = kernels.Get("basic")
	}
	b, err := proto.Marshal(m)
	must(c.l.t, err)
	return b
}

// refusal is why a call is not answered, "" where it is.
func (c *caller) refusal(r rpc, body []byte) string {
	c.l.t.Helper()
	kind := "application/proto"
	if r.streams { // five bytes in front of each message: no compression, and its length
		kind, body = "application/connect+proto", append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body))), body...)
	}
	ctx, cancel := context.WithTimeout(c.l.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+api.Host+r.procedure, bytes.NewReader(body))
	must(c.l.t, err)
	req.Header.Set("Content-Type", kind)
	req.Header.Set(api.SessionHeader, api.EncodeSession(c.session))
	resp, err := c.http.Do(req)
	must(c.l.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	must(c.l.t, err)
	if r.streams && bytes.Contains(answer, []byte(authz.ReasonNotGranted)) { // its refusal is at its end
		return authz.ReasonNotGranted
	}
	return resp.Header.Get(api.ReasonHeader)
}

// things are those of a live node that requests can be about.
type things struct{ array, job uint64 }

// worked pushes a kernel and runs it over an array, so that there is a job.
func (l *live) worked() things {
	l.t.Helper()
	ctx := l.t.Context()
	_, err := l.sdk.PushKernel(ctx, "basic", kernels.Get("basic"))
	must(l.t, err)
	numbers, err := holocompute.Create[int64](ctx, l.sdk, "numbers", holo.PageSize/8, holocompute.ArrayOptions{Copies: 1})
	must(l.t, err)
	must(l.t, numbers.Write(ctx, 0, make([]int64, holo.PageSize/8)))
	raw, err := l.sdk.OpenRaw(ctx, "numbers")
	must(l.t, err)
	job, err := l.sdk.Reduce(ctx, holocompute.Call{Kernel: "basic", Function: "stats", Inputs: []*holocompute.Raw{raw}}, 120)
	must(l.t, err)
	_, err = job.Wait(ctx)
	must(l.t, err)
	l.still()
	return things{raw.Info().ID, job.ID()}
}

// still waits until nothing is recorded any more: that a job has ended is shown
// before the catalogue has it.
func (l *live) still() {
	l.t.Helper()
	const twoLooks = 300 * time.Millisecond
	for last, more := uint64(0), true; more; time.Sleep(twoLooks) {
		s, err := l.sdk.Status(l.t.Context())
		must(l.t, err)
		last, more = s.CatalogIndex, s.CatalogIndex != last
	}
}

// texts are what fields of these names hold in a request that makes sense; all
// others are empty.
var texts = map[string]string{
	"CreateArrayRequest.name": "made", "CreateArrayRequest.type": "u8", "GetArrayRequest.name": "precious", "name": "basic", "kernel": "basic", "function": "stats",
	"SubmitRequest.kind": "reduce", "ApplyAtomicRequest.kind": "add", "RevokeTokensRequest.kind": "token", "state": "active", "action": "READ",
}

// numbers are those that must not be zero.
var numbers = map[string]uint64{"length": 8, "count": 1, "lease": 5, "producer": 5, "consumer": 5, "sequence": 1, "acc_bytes": 120, "size": uint64(len(kernels.Get("basic")))}

// sizes are those of bytes that are neither a key nor a signature.
var sizes = map[string]int{"operation": 16, "RecordTokenRequest.id": 16, "operand": 8, "value": 8, "expected": 0, "params": 0}

// sensible fills a request so that it passes every check of its form.
func (th things) sensible(d protoreflect.MessageDescriptor) *dynamicpb.Message {
	m := dynamicpb.NewMessage(d)
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		name, whole := string(f.Name()), string(d.Name())+"."+string(f.Name())
		switch {
		case name == "inputs":
			m.Mutable(f).List().Append(protoreflect.ValueOfUint64(th.array))
		case whole == "AppendRequest.records":
			m.Mutable(f).List().Append(protoreflect.ValueOfBytes([]byte("record")))
		case f.IsList() || f.IsMap():
		case f.Kind() == protoreflect.MessageKind:
			m.Set(f, protoreflect.ValueOfMessage(th.sensible(f.Message())))
		case name == "array":
			m.Set(f, protoreflect.ValueOfUint64(th.array))
		case name == "job":
			m.Set(f, protoreflect.ValueOfUint64(th.job))
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString(either(texts, whole, name)))
		case whole == "PushKernelRequest.module":
			sum := sha256.Sum256(kernels.Get("basic"))
			m.Set(f, protoreflect.ValueOfBytes(sum[:]))
		case f.Kind() == protoreflect.BytesKind:
			m.Set(f, protoreflect.ValueOfBytes(make([]byte, sizeOf(whole, name))))
		case f.Kind() == protoreflect.Uint64Kind:
			m.Set(f, protoreflect.ValueOfUint64(either(numbers, whole, name)))
		case f.Kind() == protoreflect.Uint32Kind:
			m.Set(f, protoreflect.ValueOfUint32(uint32(either(numbers, whole, name))))
		}
	}
	return m
}

func either[V any](of map[string]V, whole, name string) V {
	if v, ok := of[whole]; ok {
		return v
	}
	return of[name]
}

func sizeOf(whole, name string) int {
	if n, ok := sizes[whole]; ok {
		return n
	}
	if n, ok := sizes[name]; ok {
		return n
	}
	if strings.Contains(name, "signature") {
		return 64
	}
	return 32
}
