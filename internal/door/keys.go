package door

import (
	"context"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
)

// Keys are the calls that replace keys while they are used.
type Keys interface {
	DataKey(context.Context, Caller) (*holov1.DataKey, error)
	RotateData(context.Context, Caller, *holov1.RotateDataRequest) (*holov1.DataKey, error)
	// SucceedUser puts another key in the place of the caller's own.
	SucceedUser(context.Context, Caller, *holov1.SucceedUserRequest) (*holov1.SucceedUserResponse, error)
	// OwnerState tells what a succession of the owner's key is signed over.
	OwnerState(context.Context, Caller, *holov1.OwnerStateRequest) (*holov1.OwnerStateResponse, error)
	// SucceedOwner puts another key in the place of the owner's.
	SucceedOwner(context.Context, Caller, *holov1.SucceedOwnerRequest) (*holov1.SucceedOwnerResponse, error)
}

type keyService struct{ handlers }

func checkRotateData(m *holov1.RotateDataRequest) error {
	if len(m.GetNode()) != len(holo.NodeID{}) {
		return holo.Errorf(holo.Invalid, "replace data key: want a node of 32 bytes")
	}
	return nil
}

func checkSucceed(m *holov1.SucceedUserRequest) error {
	if len(m.GetNext()) != len(holo.PrincipalID{}) || len(m.GetSignature()) != 64 || len(m.GetNextSignature()) != 64 {
		return holo.Errorf(holo.Invalid, "replace key: want a key of 32 bytes and two signatures of 64")
	}
	return nil
}

// maxSuccession is the longest that an owner's succession can be: two keys' words
// and 32 token keys, in a frame that is always the same.
const maxSuccession = 8 << 10

func checkSucceedOwner(m *holov1.SucceedOwnerRequest) error {
	if n := len(m.GetSuccession()); n == 0 || n > maxSuccession {
		return holo.Errorf(holo.Invalid, "replace owner key: a succession of %d bytes, want 1 to %d", n, maxSuccession)
	}
	return nil
}

func (s keyService) Data(ctx context.Context, _ *connect.Request[holov1.DataKeyRequest]) (*connect.Response[holov1.DataKey], error) {
	return reply(s.b.DataKey(ctx, callerOf(ctx)))
}

func (s keyService) RotateData(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.DataKey], error) {
	return reply(s.b.RotateData(ctx, callerOf(ctx), messageOf[*holov1.RotateDataRequest](ctx)))
}

func (s keyService) SucceedUser(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.SucceedUserResponse], error) {
	return reply(s.b.SucceedUser(ctx, callerOf(ctx), messageOf[*holov1.SucceedUserRequest](ctx)))
}

func (s keyService) OwnerState(ctx context.Context, _ *connect.Request[holov1.OwnerStateRequest]) (*connect.Response[holov1.OwnerStateResponse], error) {
	return reply(s.b.OwnerState(ctx, callerOf(ctx), messageOf[*holov1.OwnerStateRequest](ctx)))
}

func (s keyService) SucceedOwner(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.SucceedOwnerResponse], error) {
	return reply(s.b.SucceedOwner(ctx, callerOf(ctx), messageOf[*holov1.SucceedOwnerRequest](ctx)))
}
