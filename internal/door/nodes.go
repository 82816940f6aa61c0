package door

import (
	"context"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
)

func checkEvict(m *holov1.EvictRequest) error {
	if len(m.GetNode()) != 32 || len(m.GetAdmission()) != 32 || len(m.GetOwnerSignature()) != 64 {
		return holo.Errorf(holo.Invalid, "evict node: want a node and its admission of 32 bytes and a signature of 64")
	}
	return nil
}

func checkRekey(m *holov1.RekeyRequest) error {
	if len(m.GetOwnerSignature()) != 64 {
		return holo.Errorf(holo.Invalid, "replace cluster key: want a signature of 64 bytes")
	}
	return nil
}

// maxVotes is what fits the byte that is signed; the catalogue allows fewer.
const maxVotes = 255

func checkApprove(m *holov1.ApproveRequest) error {
	if n := len(m.GetOwnerSignature()); len(m.GetNode()) != 32 || n != 0 && n != 64 {
		return holo.Errorf(holo.Invalid, "approve node: want a node of 32 bytes and no signature or one of 64")
	}
	return nil
}

func checkPolicy(m *holov1.PolicyRequest) error {
	if m.GetVotes() > maxVotes || len(m.GetOwnerSignature()) != 64 {
		return holo.Errorf(holo.Invalid, "set policy: want at most %d votes and a signature of 64 bytes", maxVotes)
	}
	return nil
}

func (s nodeService) List(ctx context.Context, _ *connect.Request[holov1.ListMembersRequest]) (*connect.Response[holov1.ListMembersResponse], error) {
	return reply(s.b.ListMembers(ctx, callerOf(ctx)))
}

func (s nodeService) Evict(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.EvictResponse], error) {
	err := s.b.EvictNode(ctx, callerOf(ctx), messageOf[*holov1.EvictRequest](ctx))
	return reply(&holov1.EvictResponse{}, err)
}

func (s nodeService) Rekey(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.RekeyResponse], error) {
	err := s.b.Rekey(ctx, callerOf(ctx), messageOf[*holov1.RekeyRequest](ctx))
	return reply(&holov1.RekeyResponse{}, err)
}

func (s nodeService) Approve(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.ApproveResponse], error) {
	return reply(s.b.Approve(ctx, callerOf(ctx), messageOf[*holov1.ApproveRequest](ctx)))
}

func (s nodeService) SetPolicy(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.PolicyResponse], error) {
	err := s.b.SetPolicy(ctx, callerOf(ctx), messageOf[*holov1.PolicyRequest](ctx))
	return reply(&holov1.PolicyResponse{}, err)
}
