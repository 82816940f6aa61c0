package door

import (
	"context"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
)

func (s arrayService) Create(ctx context.Context, req *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.Array], error) {
	m, err := unpack[holov1.CreateArrayRequest](req)
	if err != nil {
		return nil, err
	}
	if err := checkCreate(m); err != nil {
		return nil, err
	}
	return reply(s.b.CreateArray(ctx, callerOf(ctx), m))
}

func (s arrayService) Get(ctx context.Context, req *connect.Request[holov1.GetArrayRequest]) (*connect.Response[holov1.Array], error) {
	if err := checkReference("array", req.Msg.GetName()); err != nil {
		return nil, err
	}
	return reply(s.b.GetArray(ctx, callerOf(ctx), req.Msg.GetName()))
}

func (s arrayService) List(ctx context.Context, _ *connect.Request[holov1.ListArraysRequest]) (*connect.Response[holov1.ListArraysResponse], error) {
	as, err := s.b.ListArrays(ctx, callerOf(ctx))
	return reply(&holov1.ListArraysResponse{Arrays: as}, err)
}

func (s arrayService) Fill(ctx context.Context, req *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.FillResponse], error) {
	m, err := unpack[holov1.FillRequest](req)
	if err != nil {
		return nil, err
	}
	if err := s.checkFill(ctx, m); err != nil {
		return nil, err
	}
	err = s.b.Fill(ctx, callerOf(ctx), holo.ArrayID(m.GetArray()), m.GetFirst(), m.GetCount(), m.GetValue())
	return reply(&holov1.FillResponse{}, err)
}

func (s arrayService) checkFill(ctx context.Context, m *holov1.FillRequest) error {
	shape, err := shapeOf(ctx, s.b, callerOf(ctx), holo.ArrayID(m.GetArray()))
	if err != nil {
		return err
	}
	if uint64(len(m.GetValue())) != shape.Type.Size() {
		return holo.Errorf(holo.Invalid, "fill array: a value of %d bytes, want one %s", len(m.GetValue()), shape.Type)
	}
	return checkRange("fill array", shape, m.GetFirst(), m.GetCount())
}

func (s arrayService) Seal(ctx context.Context, req *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.Array], error) {
	m, err := unpack[holov1.SealRequest](req)
	if err != nil {
		return nil, err
	}
	return reply(s.b.SealArray(ctx, callerOf(ctx), holo.ArrayID(m.GetArray())))
}

func (s arrayService) Delete(ctx context.Context, req *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.DeleteResponse], error) {
	m, err := unpack[holov1.DeleteRequest](req)
	if err != nil {
		return nil, err
	}
	freed, err := s.b.DeleteArray(ctx, callerOf(ctx), holo.ArrayID(m.GetArray()))
	return reply(&holov1.DeleteResponse{FreedBytes: freed}, err)
}

func (s arrayService) Pages(ctx context.Context, req *connect.Request[holov1.PagesRequest]) (*connect.Response[holov1.PagesResponse], error) {
	es, err := s.b.Pages(ctx, callerOf(ctx), holo.ArrayID(req.Msg.GetArray()))
	return reply(&holov1.PagesResponse{Extents: es}, err)
}
