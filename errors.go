package holocompute

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
)

// Error is the error of every call: what was being done, and a Kind that says
// what the caller can do about it. Use errors.As or KindOf.
type Error = holo.Error

// Kind sorts errors.
type Kind = holo.Kind

// The kinds.
const (
	Internal      = holo.Internal      // a bug: report it
	Invalid       = holo.Invalid       // the request is malformed: correct it
	NotFound      = holo.NotFound      // the thing named does not exist
	Exists        = holo.Exists        // the name is taken
	Denied        = holo.Denied        // not allowed
	Stale         = holo.Stale         // an older epoch, lease or incarnation
	Conflict      = holo.Conflict      // somebody else changed it first
	Unavailable   = holo.Unavailable   // refused, not applied: safe to try again
	Indeterminate = holo.Indeterminate // may have been applied
	DataLost      = holo.DataLost      // no holder of the data is left
	Exhausted     = holo.Exhausted     // a quota or memory limit is reached
	Corrupt       = holo.Corrupt       // a checksum, signature or encoding is wrong
	Cancelled     = holo.Cancelled     // the caller gave up
	KernelTrapped = holo.KernelTrapped // the kernel failed; again gives the same
)

// What became of a call that failed, for errors.Is: each error is at most one of
// the first three. Of a write that goes in several pieces, each is about the
// piece that failed: others may have been written.
var (
	ErrRefused       error = &holo.Outcome{Text: "refused, and not applied", Kinds: []Kind{Unavailable, Stale}} // safe to ask again
	ErrIndeterminate error = &holo.Outcome{Text: "the outcome is not known", Kinds: []Kind{Indeterminate}}      // it may have been applied, or may yet be
	ErrDataLost      error = &holo.Outcome{Text: "the data is lost", Kinds: []Kind{DataLost}}                   // asking again gives the same
	ErrBarrierBroken error = &holo.Outcome{Text: "a party gave up", Kinds: []Kind{Conflict}, Reason: reasonBroken}
	ErrLocked        error = &holo.Outcome{Text: "somebody else has a lease", Kinds: []Kind{Conflict}, Reason: reasonLocked} // not applied
	ErrFull          error = &holo.Outcome{Text: "the buffer is full", Kinds: []Kind{Exhausted}, Reason: reasonFull}         // not applied
	ErrForgotten     error = &holo.Outcome{Text: "the producer is not open", Kinds: []Kind{Conflict}, Reason: reasonGone}    // not applied
	ErrHandoutOver   error = &holo.Outcome{Text: "the hand-out is over", Kinds: []Kind{Conflict}, Reason: reasonOver}        // not applied
	ErrFenced        error = &holo.Outcome{Text: "the lease is over", Kinds: []Kind{Conflict}, Reason: reasonFenced}         // not applied
)

// KindOf is the kind of an error: Internal where it has none.
func KindOf(err error) Kind { return holo.KindOf(err) }

// ReasonOf is the reason of an error, a constant such as "under_replicated" or
// "out_of_gas"; "" where there is none.
func ReasonOf(err error) string { return holo.ReasonOf(err) }

// kindOfCode serves errors that carry no kind: those that Connect makes itself
// before a handler runs, such as a body that is too large.
var kindOfCode = map[connect.Code]Kind{
	connect.CodeInvalidArgument:   Invalid,
	connect.CodeNotFound:          NotFound,
	connect.CodeUnimplemented:     Invalid,
	connect.CodeResourceExhausted: Exhausted,
	connect.CodePermissionDenied:  Denied,
	connect.CodeUnauthenticated:   Denied,
}

// received makes an *Error of what a call returned. change says that the call
// changes something, so that a connection cut in the middle leaves open whether
// it did.
func received(ctx context.Context, what string, change bool, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return holo.Errorf(Cancelled, "%s: %w", what, context.Cause(ctx))
	}
	c, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return cut(what, change, err)
	}
	if kind, ok := holo.ParseKind(c.Meta().Get(api.KindHeader)); ok {
		return &Error{Kind: gaveUp(kind, change), Reason: c.Meta().Get(api.ReasonHeader), Text: about(what, c.Message())}
	}
	if kind, ok := kindOfCode[c.Code()]; ok {
		return &Error{Kind: kind, Text: about(what, c.Message()), Err: err}
	}
	return cut(what, change, err)
}

// about puts what was being done in front of a node's text, unless the node
// said it, or the beginning of it, already.
func about(what, text string) string {
	said, why, ok := strings.Cut(text, ": ")
	switch {
	case strings.HasPrefix(text, what):
		return text
	case ok && strings.HasPrefix(what, said):
		return what + ": " + why
	}
	return what + ": " + text
}

// receivedHTTP is received for a bulk call that was answered with an error.
func receivedHTTP(what string, change bool, h http.Header, text string) error {
	kind, ok := holo.ParseKind(h.Get(api.KindHeader))
	if !ok {
		kind = Internal
	}
	return &Error{Kind: gaveUp(kind, change), Reason: h.Get(api.ReasonHeader), Text: about(what, text)}
}

// gaveUp is the kind of an error that a node answered with. Nobody here
// cancelled a call that is still waited for: where the node says so, it is the
// node that gave up, because it is closing.
func gaveUp(kind Kind, change bool) Kind {
	switch {
	case kind != Cancelled:
		return kind
	case change:
		return Indeterminate
	}
	return Unavailable
}

// cut is the error of a connection that could not be made, or broke.
func cut(what string, change bool, err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		if far, ok := errors.AsType[*Error](op.Err); ok { // a link says itself what is wrong
			return &Error{Kind: far.Kind, Reason: ReasonOf(far), Text: about(what, far.Error()), Err: far}
		}
		return holo.Refuse(Unavailable, reasonNoNode, "%s: no node answers on this machine: %w", what, bare(op.Err))
	}
	if change {
		return holo.Refuse(Indeterminate, reasonCut, "%s: the connection broke: %w", what, bare(err))
	}
	return holo.Refuse(Unavailable, reasonCut, "%s: the connection broke: %w", what, bare(err))
}

// bare is a cause without a kind: that of the whole is what the caller is to
// find, and no other with it.
func bare(err error) error {
	if _, ok := errors.AsType[*Error](err); ok {
		return errors.New(err.Error())
	}
	return err
}

// Reasons of the SDK's own.
const (
	reasonNoNode     = "no_node"
	reasonNotGranted = "not_granted"
	reasonNotDrained = "not_drained" // a node that still holds something
	reasonCut        = "cut_off"
	reasonBroken     = "barrier_broken"
	reasonParties    = "barrier_parties"
	reasonLocked     = "locked"
	reasonFenced     = "fenced"
	reasonNoSession  = "no_session"
	reasonStaleStamp = "stale_stamp"
	reasonOwnerSig   = "bad_owner_signature" // of the node: not signed by the owner for the chain as it is
)
