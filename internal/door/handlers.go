package door

import (
	"context"
	"slices"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/protocol"
)

// handlers is what the services share.
type handlers struct {
	b        Backend
	sessions *sessions
}

// The services, one per service of the client API.
type (
	sessionService struct{ handlers }
	clusterService struct{ handlers }
	arrayService   struct{ handlers }
	kernelService  struct{ handlers }
	jobService     struct{ handlers }
	nodeService    struct{ handlers }
	accessService  struct{ handlers }
	auditService   struct{ handlers }
	tokenService   struct{ handlers }
)

// reply makes a response of a message, or passes the error on.
func reply[T any](m *T, err error) (*connect.Response[T], error) {
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(m), nil
}

func (s sessionService) Begin(ctx context.Context, req *connect.Request[holov1.BeginRequest]) (*connect.Response[holov1.BeginResponse], error) {
	public := req.Msg.GetPublicKey()
	if len(public) != len(holo.PrincipalID{}) {
		return nil, holo.Errorf(holo.Invalid, "open session: a public key of %d bytes, want 32", len(public))
	}
	if err := meets(req.Msg.GetSpeaks()); err != nil {
		return nil, err
	}
	sess, err := s.sessions.begin(ctx, holo.PrincipalID(public), req.Msg.GetToken(), peerOf(ctx))
	if err != nil {
		return nil, err
	}
	cluster, self := s.b.Cluster(), s.b.Self()
	return connect.NewResponse(&holov1.BeginResponse{
		Session: sess.id[:], Nonce: sess.nonce[:], Cluster: cluster[:], Node: self[:], Speaks: spoken(),
	}), nil
}

// meets refuses a client whose program has no version in common with this one.
func meets(v *holov1.Versions) error {
	r := protocol.Range{Oldest: protocol.Version(min(v.GetOldest(), 255)), Newest: protocol.Version(min(v.GetNewest(), 255))}
	if !r.Valid() {
		return holo.Errorf(holo.Invalid, "open session: the client does not say which versions of the protocol it speaks: upgrade its program")
	}
	_, err := protocol.Offer{Range: r}.Agree(protocol.Offer{Range: protocol.Spoken()}) // as the client sees it, who is told
	return err
}

func spoken() *holov1.Versions {
	r := protocol.Spoken()
	return &holov1.Versions{Oldest: uint32(r.Oldest), Newest: uint32(r.Newest)}
}

func (s sessionService) Prove(ctx context.Context, req *connect.Request[holov1.ProveRequest]) (*connect.Response[holov1.ProveResponse], error) {
	sess, err := s.sessions.prove(ctx, req.Msg.GetSession(), req.Msg.GetSignature(), req.Msg.GetToken(), peerOf(ctx))
	if err != nil {
		return nil, err
	}
	resp := &holov1.ProveResponse{Principal: sess.principal.Hex(), Addresses: s.b.Addresses(), Catalogue: s.b.CatalogVersion()}
	if sess.grant != nil {
		resp.ExpiresUnix = sess.grant.Until()
	}
	return connect.NewResponse(resp), nil
}

func (s clusterService) Status(ctx context.Context, _ *connect.Request[holov1.StatusRequest]) (*connect.Response[holov1.StatusResponse], error) {
	return reply(s.b.Status(ctx, callerOf(ctx)))
}

func (s clusterService) CreateInvite(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.CreateInviteResponse], error) {
	return reply(s.b.CreateInvite(ctx, callerOf(ctx), messageOf[*holov1.CreateInviteRequest](ctx)))
}

func (s kernelService) Push(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.Kernel], error) {
	return reply(s.b.PushKernel(ctx, callerOf(ctx), messageOf[*holov1.PushKernelRequest](ctx)))
}

func (s kernelService) Get(ctx context.Context, req *connect.Request[holov1.GetKernelRequest]) (*connect.Response[holov1.Kernel], error) {
	return reply(s.b.GetKernel(ctx, callerOf(ctx), req.Msg.GetName()))
}

func (s kernelService) List(ctx context.Context, _ *connect.Request[holov1.ListKernelsRequest]) (*connect.Response[holov1.ListKernelsResponse], error) {
	ks, err := s.b.ListKernels(ctx, callerOf(ctx))
	return reply(&holov1.ListKernelsResponse{Kernels: visible(ctx, s.b, ks, kernelTarget)}, err)
}

func (s jobService) Submit(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.Job], error) {
	return reply(s.b.SubmitJob(ctx, callerOf(ctx), messageOf[*holov1.SubmitRequest](ctx)))
}

func (s jobService) Watch(ctx context.Context, req *connect.Request[holov1.WatchRequest], out *connect.ServerStream[holov1.JobProgress]) error {
	return s.b.WatchJob(ctx, callerOf(ctx), holo.JobID(req.Msg.GetJob()), out.Send)
}

func (s jobService) Get(ctx context.Context, req *connect.Request[holov1.GetJobRequest]) (*connect.Response[holov1.Job], error) {
	return reply(s.b.GetJob(ctx, callerOf(ctx), holo.JobID(req.Msg.GetJob())))
}

// List tells of the jobs whose kernels the caller may observe, without their
// results: what a result says is for those who may read what it was made of,
// and Get asks about each.
func (s jobService) List(ctx context.Context, _ *connect.Request[holov1.ListJobsRequest]) (*connect.Response[holov1.ListJobsResponse], error) {
	js, err := s.b.ListJobs(ctx, callerOf(ctx))
	for _, j := range js {
		j.Result = nil
	}
	return reply(&holov1.ListJobsResponse{Jobs: visible(ctx, s.b, js, jobTarget)}, err)
}

func (s jobService) Cancel(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.Job], error) {
	return reply(s.b.CancelJob(ctx, callerOf(ctx), holo.JobID(messageOf[*holov1.CancelRequest](ctx).GetJob())))
}

func (s accessService) ListGrants(ctx context.Context, _ *connect.Request[holov1.ListGrantsRequest]) (*connect.Response[holov1.ListGrantsResponse], error) {
	return reply(s.b.ListGrants(ctx, callerOf(ctx)))
}

func (s accessService) PutGrant(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.Grant], error) {
	return reply(s.b.PutGrant(ctx, callerOf(ctx), messageOf[*holov1.PutGrantRequest](ctx)))
}

func (s accessService) RevokeGrant(ctx context.Context, _ *connect.Request[holov1.SignedRequest]) (*connect.Response[holov1.Grant], error) {
	return reply(s.b.RevokeGrant(ctx, callerOf(ctx), messageOf[*holov1.RevokeGrantRequest](ctx)))
}

func (s accessService) WhoAmI(ctx context.Context, _ *connect.Request[holov1.WhoAmIRequest]) (*connect.Response[holov1.WhoAmIResponse], error) {
	return reply(s.b.WhoAmI(ctx, callerOf(ctx)))
}

func (s accessService) Explain(ctx context.Context, req *connect.Request[holov1.ExplainRequest]) (*connect.Response[holov1.ExplainResponse], error) {
	return reply(s.b.Explain(ctx, callerOf(ctx), req.Msg))
}

// visible keeps of a list what its caller may observe.
func visible[T any](ctx context.Context, p Policy, list []T, target func(T) Target) []T {
	return slices.DeleteFunc(list, func(one T) bool {
		return !p.Authorize(ctx, callerOf(ctx), []Access{{Action: holo.ActionObserve, On: target(one)}}, false).Allowed
	})
}

func jobTarget(j *holov1.Job) Target { return Target{Kernel: j.GetKernel(), New: true} }

func arrayTarget(a *holov1.Array) Target { return Target{Array: a.GetName(), New: true} }

func kernelTarget(k *holov1.Kernel) Target { return Target{Kernel: k.GetName(), New: true} }
