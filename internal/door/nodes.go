package door

import (
	"context"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
)

func (s nodeService) List(ctx context.Context, _ *connect.Request[holov1.ListMembersRequest]) (*connect.Response[holov1.ListMembersResponse], error) {
	return reply(s.b.ListMembers(ctx, callerOf(ctx)))
}

func (s nodeService) Evict(ctx context.Context, req *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.EvictResponse], error) {
	m, err := unpack[holov1.EvictRequest](req)
	if err != nil {
		return nil, err
	}
	if len(m.GetNode()) != 32 || len(m.GetAdmission()) != 32 || len(m.GetOwnerSignature()) != 64 {
		return nil, holo.Errorf(holo.Invalid, "evict node: want a node and its admission of 32 bytes and a signature of 64")
	}
	return reply(&holov1.EvictResponse{}, s.b.EvictNode(ctx, callerOf(ctx), m))
}

func (s nodeService) Rekey(ctx context.Context, req *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.RekeyResponse], error) {
	m, err := unpack[holov1.RekeyRequest](req)
	if err != nil {
		return nil, err
	}
	if len(m.GetOwnerSignature()) != 64 {
		return nil, holo.Errorf(holo.Invalid, "replace cluster key: want a signature of 64 bytes")
	}
	return reply(&holov1.RekeyResponse{}, s.b.Rekey(ctx, callerOf(ctx), m))
}
