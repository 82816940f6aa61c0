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

func (s keyService) Data(ctx context.Context, _ *connect.Request[holov1.DataKeyRequest]) (*connect.Response[holov1.DataKey], error) {
	return reply(s.b.DataKey(ctx, callerOf(ctx)))
}

func (s keyService) RotateData(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.DataKey], error) {
	return reply(s.b.RotateData(ctx, callerOf(ctx), messageOf[*holov1.RotateDataRequest](ctx)))
}

func (s keyService) SucceedUser(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.SucceedUserResponse], error) {
	return reply(s.b.SucceedUser(ctx, callerOf(ctx), messageOf[*holov1.SucceedUserRequest](ctx)))
}
