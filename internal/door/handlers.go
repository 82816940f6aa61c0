package door

import (
	"context"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
)

// handlers is what the services share.
type handlers struct {
	b        Backend
	sessions *sessions
}

// The services, one per service of holo.proto.
type (
	sessionService struct{ handlers }
	clusterService struct{ handlers }
	arrayService   struct{ handlers }
	kernelService  struct{ handlers }
	jobService     struct{ handlers }
	nodeService    struct{ handlers }
)

// reply makes a response of a message, or passes the error on.
func reply[T any](m *T, err error) (*connect.Response[T], error) {
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(m), nil
}

// unpack decodes the request inside a SignedRequest. The gate has verified the
// signature over these bytes. Fields that this version does not know are
// refused: the signer meant something by them.
func unpack[M any, P interface {
	*M
	proto.Message
}](req *connect.Request[holov1.SignedRequest]) (P, error) {
	m := P(new(M))
	if err := proto.Unmarshal(req.Msg.GetRequest(), m); err != nil {
		return nil, holo.Errorf(holo.Invalid, "%s: the signed request does not decode: %v", req.Spec().Procedure[1:], err)
	}
	if len(m.ProtoReflect().GetUnknown()) > 0 {
		return nil, holo.Errorf(holo.Invalid, "%s: the signed request has fields that this node does not know", req.Spec().Procedure[1:])
	}
	return m, nil
}

func (s sessionService) Begin(_ context.Context, req *connect.Request[holov1.BeginRequest]) (*connect.Response[holov1.BeginResponse], error) {
	public := req.Msg.GetPublicKey()
	if len(public) != len(holo.PrincipalID{}) {
		return nil, holo.Errorf(holo.Invalid, "open session: a public key of %d bytes, want 32", len(public))
	}
	sess, err := s.sessions.begin(holo.PrincipalID(public))
	if err != nil {
		return nil, err
	}
	cluster, self := s.b.Cluster(), s.b.Self()
	return connect.NewResponse(&holov1.BeginResponse{
		Session: sess.id[:], Nonce: sess.nonce[:], Cluster: cluster[:], Node: self[:],
	}), nil
}

func (s sessionService) Prove(_ context.Context, req *connect.Request[holov1.ProveRequest]) (*connect.Response[holov1.ProveResponse], error) {
	p, err := s.sessions.prove(req.Msg.GetSession(), req.Msg.GetSignature())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&holov1.ProveResponse{Principal: p.Hex()}), nil
}

func (s clusterService) Status(ctx context.Context, _ *connect.Request[holov1.StatusRequest]) (*connect.Response[holov1.StatusResponse], error) {
	return reply(s.b.Status(ctx, callerOf(ctx)))
}

func (s clusterService) CreateInvite(ctx context.Context, req *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.CreateInviteResponse], error) {
	m, err := unpack[holov1.CreateInviteRequest](req)
	if err != nil {
		return nil, err
	}
	if len(m.GetInviteKey()) != 32 || len(m.GetPsk()) != 32 || len(m.GetOwnerSignature()) != 64 {
		return nil, holo.Errorf(holo.Invalid, "create invite: want a key and a psk of 32 bytes and a signature of 64")
	}
	return reply(s.b.CreateInvite(ctx, callerOf(ctx), m))
}

func (s kernelService) Push(ctx context.Context, req *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.Kernel], error) {
	m, err := unpack[holov1.PushKernelRequest](req)
	if err != nil {
		return nil, err
	}
	if err := checkPush(m); err != nil {
		return nil, err
	}
	return reply(s.b.PushKernel(ctx, callerOf(ctx), m.GetName(), m.GetModule()))
}

func (s kernelService) Get(ctx context.Context, req *connect.Request[holov1.GetKernelRequest]) (*connect.Response[holov1.Kernel], error) {
	if err := checkReference("kernel", req.Msg.GetName()); err != nil {
		return nil, err
	}
	return reply(s.b.GetKernel(ctx, callerOf(ctx), req.Msg.GetName()))
}

func (s kernelService) List(ctx context.Context, _ *connect.Request[holov1.ListKernelsRequest]) (*connect.Response[holov1.ListKernelsResponse], error) {
	ks, err := s.b.ListKernels(ctx, callerOf(ctx))
	return reply(&holov1.ListKernelsResponse{Kernels: ks}, err)
}

func (s jobService) Submit(ctx context.Context, req *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.Job], error) {
	m, err := unpack[holov1.SubmitRequest](req)
	if err != nil {
		return nil, err
	}
	if err := checkSubmit(m); err != nil {
		return nil, err
	}
	return reply(s.b.SubmitJob(ctx, callerOf(ctx), m))
}

func (s jobService) Watch(ctx context.Context, req *connect.Request[holov1.WatchRequest], out *connect.ServerStream[holov1.JobProgress]) error {
	return s.b.WatchJob(ctx, callerOf(ctx), holo.JobID(req.Msg.GetJob()), out.Send)
}

func (s jobService) Get(ctx context.Context, req *connect.Request[holov1.GetJobRequest]) (*connect.Response[holov1.Job], error) {
	return reply(s.b.GetJob(ctx, callerOf(ctx), holo.JobID(req.Msg.GetJob())))
}

func (s jobService) List(ctx context.Context, _ *connect.Request[holov1.ListJobsRequest]) (*connect.Response[holov1.ListJobsResponse], error) {
	js, err := s.b.ListJobs(ctx, callerOf(ctx))
	return reply(&holov1.ListJobsResponse{Jobs: js}, err)
}

func (s jobService) Cancel(ctx context.Context, req *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.Job], error) {
	m, err := unpack[holov1.CancelRequest](req)
	if err != nil {
		return nil, err
	}
	return reply(s.b.CancelJob(ctx, callerOf(ctx), holo.JobID(m.GetJob())))
}
