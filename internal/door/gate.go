package door

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"strings"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// open lists the only procedures that need no session: those that make one.
var open = map[string]bool{
	holov1connect.SessionServiceBeginProcedure: true,
	holov1connect.SessionServiceProveProcedure: true,
}

// gate stands in front of every handler. It refuses a call without a session,
// and a SignedRequest whose signature is not the session principal's over just
// this procedure, session and request.
type gate struct {
	sessions *sessions
	refused  func(reason string)
	log      *slog.Logger
}

type callerKey struct{}

// callerOf is the caller that the gate found.
func callerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// WrapUnary implements connect.Interceptor.
func (g *gate) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		procedure := req.Spec().Procedure
		signed, _ := req.Any().(*holov1.SignedRequest)
		if !open[procedure] {
			c, err := g.admit(req.Header(), procedure, signed)
			if err != nil {
				return nil, g.refuse(procedure, err)
			}
			ctx = context.WithValue(ctx, callerKey{}, c)
		}
		resp, err := next(ctx, req)
		return resp, g.report(procedure, err)
	}
}

// WrapStreamingHandler implements connect.Interceptor. Streams only read, so
// none carries a signature.
func (g *gate) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		procedure := conn.Spec().Procedure
		c, err := g.admit(conn.RequestHeader(), procedure, nil)
		if err != nil {
			return g.refuse(procedure, err)
		}
		return g.report(procedure, next(context.WithValue(ctx, callerKey{}, c), conn))
	}
}

// WrapStreamingClient implements connect.Interceptor; the door is no client.
func (g *gate) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// admit finds the caller and checks the signature of a signed request.
func (g *gate) admit(h http.Header, procedure string, signed *holov1.SignedRequest) (Caller, error) {
	c, err := g.sessions.find(h.Get(api.SessionHeader))
	if err != nil {
		return Caller{}, err
	}
	c.Procedure = strings.TrimPrefix(procedure, "/")
	if signed == nil {
		return c, nil
	}
	return c.signed(sha256.Sum256(signed.GetRequest()), signed.GetSignature())
}

// signed adds the proof to the caller, or refuses it.
func (c Caller) signed(digest [32]byte, signature []byte) (Caller, error) {
	c.Digest = digest
	if !key.Verify(c.Principal, c.Proof(), signature) {
		return Caller{}, holo.Refuse(holo.Denied, "bad_signature", "%s: the request is not signed by the key of this session", c.Procedure)
	}
	c.Signature = signature
	return c, nil
}

// refuse counts a refusal at the gate and makes it an error for the client.
func (g *gate) refuse(procedure string, err error) error {
	_, reason := classify(err)
	g.refused(reason)
	g.log.Warn("client call refused", slog.String("procedure", procedure), slog.String("reason", reason))
	return toConnect(err)
}

// report makes a handler's error one for the client. Bugs are logged here too.
func (g *gate) report(procedure string, err error) error {
	if err == nil {
		return nil
	}
	if kind, reason := classify(err); kind == holo.Denied {
		g.refused(reason)
	} else if kind == holo.Internal && connect.CodeOf(err) == connect.CodeUnknown {
		g.log.Error("client call", slog.String("procedure", procedure), slog.Any("error", err))
	}
	return toConnect(err)
}
