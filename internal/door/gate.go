package door

import (
	"bytes"
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// gate stands in front of every handler. It refuses a call without a session
// or a route, a SignedRequest whose signature is not the session key's
// over just this procedure, session and request, and whatever the policy does
// not allow. Handlers get the message that it decoded, no other. A signed
// request leaves its record here, before it goes on.
type gate struct {
	routes   map[string]route
	sessions *sessions
	policy   Policy
	audit    Audit
	quotas   *quotas
	refused  func(reason string)
	log      *slog.Logger
}

// Reasons of the gate's refusals, beside those of core/authz.
const (
	reasonUnknownRoute = "unknown_route"
	reasonOtherKey     = "other_key" // a session for another key than the link's
)

type callKey struct{}

// call is what the gate let through.
type call struct {
	caller  Caller
	message proto.Message
}

// callerOf is the caller that the gate found.
func callerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callKey{}).(call)
	return c.caller
}

// messageOf is the message that the gate decoded, checked and decided about.
func messageOf[P proto.Message](ctx context.Context) P {
	c, _ := ctx.Value(callKey{}).(call)
	return c.message.(P)
}

// WrapUnary implements connect.Interceptor.
func (g *gate) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		procedure := req.Spec().Procedure
		if err := g.mayOpen(procedure, peerOf(ctx)); err != nil {
			return nil, g.refuse(procedure, err)
		}
		if !open[procedure] {
			m, _ := req.Any().(proto.Message)
			c, err := g.admit(ctx, req.Header(), procedure, m)
			if err != nil {
				return nil, g.refuse(procedure, err)
			}
			inSession, leave := g.sessions.enter(context.WithValue(ctx, callKey{}, c), c.caller.in)
			defer leave()
			ctx = inSession
		}
		resp, err := next(ctx, req)
		return resp, g.report(procedure, endedOr(ctx, err))
	}
}

// mayOpen bounds how fast a link opens sessions: its key may be a stranger's.
func (g *gate) mayOpen(procedure string, p Peer) error {
	if !open[procedure] || !p.remote() {
		return nil
	}
	return g.quotas.take(p.Key, classOpen, time.Now())
}

// WrapStreamingHandler implements connect.Interceptor. Streams only read, so
// none carries a signature. The request comes after the head: it is decided
// about when it is received.
func (g *gate) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		procedure := conn.Spec().Procedure
		c, err := g.sessions.find(conn.RequestHeader().Get(api.SessionHeader), peerOf(ctx))
		if err != nil {
			return g.refuse(procedure, err)
		}
		ctx, leave := g.sessions.enter(ctx, c.in)
		defer leave()
		return g.report(procedure, endedOr(ctx, next(ctx, &gatedStream{StreamingHandlerConn: conn, ctx: ctx, gate: g})))
	}
}

// WrapStreamingClient implements connect.Interceptor; the door is no client.
func (g *gate) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (g *gate) rightOf(procedure string, c call) *right {
	rt := g.routes[procedure]
	return &right{policy: g.policy, caller: c.caller, needs: rt.needs(c.message), stale: rt.stale, handle: c.caller.Verdict.Handle}
}

// admit finds the route and the caller, checks the signature, decodes and
// checks the message, and decides. The quota comes first: who makes more calls
// than it has nothing checked, decided or recorded.
func (g *gate) admit(ctx context.Context, h http.Header, procedure string, m proto.Message) (call, error) {
	c, err := g.sessions.find(h.Get(api.SessionHeader), peerOf(ctx))
	if err != nil {
		return call{}, err
	}
	c.Procedure = strings.TrimPrefix(procedure, "/")
	rt, ok := g.routes[procedure]
	envelope, signed := m.(*holov1.SignedRequest)
	if !ok || signed != rt.signed() {
		return call{}, holo.Refuse(holo.Denied, reasonUnknownRoute, "%s: there is no such call", c.Procedure)
	}
	if err := g.quotas.take(c.Principal, rt.class, time.Now()); err != nil {
		return call{}, err
	}
	if !signed {
		return g.judge(ctx, rt, c, m)
	}
	in, err := g.judgeSigned(ctx, rt, c, envelope)
	return in, g.settle(ctx, in.caller, err)
}

// judgeSigned checks the signature and decodes the message, and judges it. The
// caller comes back also when the request is refused.
func (g *gate) judgeSigned(ctx context.Context, rt route, c Caller, envelope *holov1.SignedRequest) (call, error) {
	if len(envelope.GetStamp()) != api.StampSize {
		return call{caller: c}, holo.Refuse(holo.Denied, "bad_signature", "%s: a stamp of %d bytes, want %d", c.Procedure, len(envelope.GetStamp()), api.StampSize)
	}
	c.Request, c.Stamp = envelope.GetRequest(), api.Stamp(envelope.GetStamp())
	if !c.Stamp.Under(c.Chain) {
		return call{caller: c}, holo.Refuse(holo.Denied, "bad_signature", "%s: its stamp is for another token than the session's", c.Procedure)
	}
	c, err := c.signed(api.RequestDigest(c.Stamp, c.Request), envelope.GetSignature())
	if err != nil {
		return call{caller: c}, err
	}
	m, err := unpack(c.Procedure, rt.make(), envelope.GetRequest())
	if err != nil {
		return call{caller: c}, err
	}
	c.Resource, c.Attached = resourceOf(rt.event, m), envelope.GetAttachment()
	if err := firstOf(rt.check(m), attached(c.Procedure, m, c.Attached)); err != nil {
		return call{caller: c}, err
	}
	return g.decide(ctx, rt, c, m)
}

// attached holds the bytes that came with a signed request to the hash that is
// in it. With any other request nothing may come: nobody has signed for it.
func attached(procedure string, m proto.Message, b []byte) error {
	push, ok := m.(*holov1.PushKernelRequest)
	switch sum := sha256.Sum256(b); {
	case !ok && len(b) > 0:
		return holo.Errorf(holo.Invalid, "%s: %d bytes came with it, which it does not name", procedure, len(b))
	case ok && (!bytes.Equal(push.GetModule(), sum[:]) || push.GetSize() != uint64(len(b))):
		return holo.Refuse(holo.Corrupt, "bad_digest", "%s: the module is not the one that was signed", procedure)
	}
	return nil
}

// judge checks a message and decides about it.
func (g *gate) judge(ctx context.Context, rt route, c Caller, m proto.Message) (call, error) {
	if err := rt.check(m); err != nil {
		return call{caller: c}, err
	}
	return g.decide(ctx, rt, c, m)
}

// decide is where a call is allowed or denied, and nowhere else. The verdict
// that it leaves in the caller is what a record of the call holds.
func (g *gate) decide(ctx context.Context, rt route, c Caller, m proto.Message) (call, error) {
	needs := rt.needs(m)
	c.Action = actionOf(needs)
	c.Verdict = g.policy.Authorize(ctx, c, needs, rt.stale)
	if c.Verdict.Err != nil || !c.Verdict.Allowed {
		return call{caller: c}, denial(&c.Verdict)
	}
	return call{c, m}, nil
}

// denial is a verdict's error. One that is missing is a bug, and denies.
func denial(v *Verdict) error {
	if v.Err != nil {
		return v.Err
	}
	return holo.Refuse(holo.Denied, authz.ReasonNotGranted, "not granted")
}

// unpack decodes the request inside a SignedRequest, whose signature has been
// verified over these bytes. Fields that this version does not know are
// refused: the signer meant something by them.
func unpack(procedure string, into proto.Message, request []byte) (proto.Message, error) {
	if err := proto.Unmarshal(request, into); err != nil {
		return nil, holo.Errorf(holo.Invalid, "%s: the signed request does not decode: %v", procedure, err)
	}
	if len(into.ProtoReflect().GetUnknown()) > 0 {
		return nil, holo.Errorf(holo.Invalid, "%s: the signed request has fields that this node does not know", procedure)
	}
	return into, nil
}

// signed adds the proof to the caller, or refuses it.
func (c Caller) signed(digest [32]byte, signature []byte) (Caller, error) {
	c.Digest = digest
	if !key.Verify(c.Key, c.Proof(), signature) {
		return c, holo.Refuse(holo.Denied, "bad_signature", "%s: the request is not signed by the key of this session", c.Procedure)
	}
	c.Signature = signature
	return c, nil
}

// refuse counts a refusal at the gate and makes it an error for the client.
func (g *gate) refuse(procedure string, err error) error {
	_, reason := classify(err)
	g.count(err)
	g.log.Warn("client call refused", slog.String("procedure", procedure), slog.String("event", g.routes[procedure].event), slog.String("reason", reason))
	return toConnect(err)
}

// report makes a handler's error one for the client, and counts it if it is a
// refusal. Bugs are logged here too.
func (g *gate) report(procedure string, err error) error {
	if err == nil {
		return nil
	}
	g.count(err)
	if kind, _ := classify(err); kind == holo.Internal && connect.CodeOf(err) == connect.CodeUnknown {
		g.log.Error("client call", slog.String("procedure", procedure), slog.Any("error", err))
	}
	return toConnect(err)
}
