package door

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/token"
)

// codes says which Connect code and HTTP status stand for a kind. The kind
// itself travels beside them in a header; the code is for programs that know
// only Connect.
var codes = map[holo.Kind]struct {
	code   connect.Code
	status int
}{
	holo.Internal:      {connect.CodeInternal, http.StatusInternalServerError},
	holo.Invalid:       {connect.CodeInvalidArgument, http.StatusBadRequest},
	holo.NotFound:      {connect.CodeNotFound, http.StatusNotFound},
	holo.Exists:        {connect.CodeAlreadyExists, http.StatusConflict},
	holo.Denied:        {connect.CodePermissionDenied, http.StatusForbidden},
	holo.Stale:         {connect.CodeAborted, http.StatusConflict},
	holo.Conflict:      {connect.CodeAborted, http.StatusConflict},
	holo.Unavailable:   {connect.CodeUnavailable, http.StatusServiceUnavailable},
	holo.Indeterminate: {connect.CodeUnknown, http.StatusInternalServerError},
	holo.DataLost:      {connect.CodeDataLoss, http.StatusInternalServerError},
	holo.Exhausted:     {connect.CodeResourceExhausted, http.StatusTooManyRequests},
	holo.Corrupt:       {connect.CodeDataLoss, http.StatusUnprocessableEntity},
	holo.Cancelled:     {connect.CodeCanceled, 499},
	holo.KernelTrapped: {connect.CodeFailedPrecondition, http.StatusUnprocessableEntity},
}

// classify gives an error its kind: a context that ended is the caller's doing
// unless the error says more.
func classify(err error) (holo.Kind, string) {
	if e, ok := errors.AsType[*holo.Error](err); ok {
		return e.Kind, holo.ReasonOf(err)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return holo.Cancelled, ""
	}
	return holo.Internal, ""
}

// outside is what a client is told: of a token that is refused no more than
// that, so that nobody learns from the answer what to change.
func outside(err error) error {
	if errors.Is(err, token.ErrRefused) {
		return token.ErrRefused
	}
	return err
}

// toConnect makes the error that Connect sends. Errors that Connect made
// itself (a body too large, bytes that do not decode) keep their code.
func toConnect(err error) error {
	if err == nil {
		return nil
	}
	if made, ok := errors.AsType[*connect.Error](err); ok {
		return made
	}
	err = outside(err)
	kind, reason := classify(err)
	c := connect.NewError(codes[kind].code, errors.New(err.Error()))
	tell(c.Meta(), kind, reason)
	return c
}

// retryAfter lists the refusals of somebody who asks for too much, and the
// seconds after which to ask again.
var retryAfter = map[string]string{"rate_limited": "1", "too_many_jobs": "1", "busy": "1"}

// tell puts what a program wants to know of an error into headers.
func tell(h http.Header, kind holo.Kind, reason string) {
	h.Set(api.KindHeader, kind.String())
	if reason == "" {
		return
	}
	h.Set(api.ReasonHeader, reason)
	if seconds, ok := retryAfter[reason]; ok {
		h.Set("Retry-After", seconds)
	}
}

// writeError answers a bulk call with an error, in the shape of Connect's.
func writeError(w http.ResponseWriter, err error) {
	err = outside(err)
	kind, reason := classify(err)
	h := w.Header()
	h.Del("Content-Length")
	h.Set("Content-Type", "application/json")
	tell(h, kind, reason)
	w.WriteHeader(codes[kind].status)
	// The client may be gone; there is nobody else to tell.
	_ = json.NewEncoder(w).Encode(map[string]string{"code": codes[kind].code.String(), "message": err.Error()})
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
