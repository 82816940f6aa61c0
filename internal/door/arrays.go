package door

import (
	"context"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
)

func (s arrayService) Create(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.Array], error) {
	return reply(s.b.CreateArray(ctx, callerOf(ctx), messageOf[*holov1.CreateArrayRequest](ctx)))
}

func (s arrayService) Get(ctx context.Context, req *connect.Request[holov1.GetArrayRequest]) (*connect.Response[holov1.Array], error) {
	return reply(s.b.GetArray(ctx, callerOf(ctx), req.Msg.GetName()))
}

func (s arrayService) List(ctx context.Context, _ *connect.Request[holov1.ListArraysRequest]) (*connect.Response[holov1.ListArraysResponse], error) {
	as, err := s.b.ListArrays(ctx, callerOf(ctx))
	return reply(&holov1.ListArraysResponse{Arrays: visible(ctx, s.b, as, arrayTarget)}, err)
}

func (s arrayService) Fill(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.FillResponse], error) {
	m := messageOf[*holov1.FillRequest](ctx)
	if err := s.checkFill(ctx, m); err != nil {
		return nil, err
	}
	err := s.b.Fill(ctx, callerOf(ctx), holo.ArrayID(m.GetArray()), m.GetFirst(), m.GetCount(), m.GetValue())
	return reply(&holov1.FillResponse{}, err)
}

func (s arrayService) checkFill(ctx context.Context, m *holov1.FillRequest) error {
	shape, err := s.b.Shape(ctx, holo.ArrayID(m.GetArray()))
	if err != nil {
		return err
	}
	if uint64(len(m.GetValue())) != shape.Type.Size() {
		return holo.Errorf(holo.Invalid, "fill array: a value of %d bytes, want one %s", len(m.GetValue()), shape.Type)
	}
	return checkRange("fill array", shape, m.GetFirst(), m.GetCount())
}

func (s arrayService) Seal(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.Array], error) {
	return reply(s.b.SealArray(ctx, callerOf(ctx), holo.ArrayID(messageOf[*holov1.SealRequest](ctx).GetArray())))
}

func (s arrayService) Delete(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.DeleteResponse], error) {
	freed, err := s.b.DeleteArray(ctx, callerOf(ctx), holo.ArrayID(messageOf[*holov1.DeleteRequest](ctx).GetArray()))
	return reply(&holov1.DeleteResponse{FreedBytes: freed}, err)
}

func (s arrayService) Pages(ctx context.Context, req *connect.Request[holov1.PagesRequest]) (*connect.Response[holov1.PagesResponse], error) {
	es, err := s.b.Pages(ctx, callerOf(ctx), holo.ArrayID(req.Msg.GetArray()))
	return reply(&holov1.PagesResponse{Extents: es}, err)
}
