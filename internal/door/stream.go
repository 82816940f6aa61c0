package door

import (
	"context"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/holocompute/holocompute/internal/core/authz"
	"github.com/holocompute/holocompute/internal/holo"
)

// gatedStream decides about a stream when its request has come, and again
// before each answer when something has changed since.
type gatedStream struct {
	connect.StreamingHandlerConn
	ctx   context.Context
	gate  *gate
	right *right
}

// Receive implements connect.StreamingHandlerConn.
func (s *gatedStream) Receive(m any) error {
	if err := s.StreamingHandlerConn.Receive(m); err != nil {
		return err
	}
	message, _ := m.(proto.Message)
	c, err := s.gate.admit(s.ctx, s.RequestHeader(), s.Spec().Procedure, message)
	if err != nil {
		return err
	}
	s.right = s.gate.rightOf(s.Spec().Procedure, c)
	return nil
}

// Send implements connect.StreamingHandlerConn.
func (s *gatedStream) Send(m any) error {
	if s.right == nil {
		return holo.Refuse(holo.Denied, authz.ReasonNotGranted, "%s: answered before it was asked", s.Spec().Procedure)
	}
	if err := s.right.still(s.ctx); err != nil {
		return err
	}
	return s.StreamingHandlerConn.Send(m)
}
