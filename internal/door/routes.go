package door

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
	"github.com/holocompute/holocompute/internal/holo"
)

// route says of one call what it carries, what must be so before it is heard,
// and what it is called in a record. What has no route is denied.
type route struct {
	event string // the name of its record; of a read, which has none, ""
	class class  // of its quota
	stale bool   // answered under the last policy known here, however old

	make  func() proto.Message
	check func(proto.Message) error    // what the message alone can tell
	needs func(proto.Message) []Access // what its caller must be allowed
}

// signed reports whether the call carries its caller's signature: all that
// change something do.
func (r route) signed() bool { return r.event != "" }

// The calls for bulk bytes have no messages; these name them in the table.
const (
	getData = "GET data"
	putData = "PUT data"
)

// dataCall stands for the message of a bulk call.
type dataCall struct {
	proto.Message
	array holo.ArrayID
}

// open lists the only procedures that need no session: those that make one.
var open = map[string]bool{
	holov1connect.SessionServiceBeginProcedure: true,
	holov1connect.SessionServiceProveProcedure: true,
}

// routes is all that is served in a session.
var routes = map[string]route{
	holov1connect.ClusterServiceStatusProcedure:       lasting(read(nothing[holov1.StatusRequest], cluster[*holov1.StatusRequest](holo.ActionObserve))),
	holov1connect.ClusterServiceCreateInviteProcedure: change("cluster.invite", checkInvite, cluster[*holov1.CreateInviteRequest](holo.ActionNodeApprove)),

	holov1connect.NodeServiceListProcedure:      read(nothing[holov1.ListMembersRequest], cluster[*holov1.ListMembersRequest](holo.ActionObserve)),
	holov1connect.NodeServiceEvictProcedure:     change("node.evict", checkEvict, cluster[*holov1.EvictRequest](holo.ActionNodeEvict)),
	holov1connect.NodeServiceApproveProcedure:   change("node.approve", checkApprove, cluster[*holov1.ApproveRequest](holo.ActionNodeApprove)),
	holov1connect.NodeServiceSetPolicyProcedure: change("cluster.policy", checkPolicy, cluster[*holov1.PolicyRequest](holo.ActionPolicyWrite)),
	holov1connect.NodeServiceRekeyProcedure:     change("cluster.rekey", checkRekey, cluster[*holov1.RekeyRequest](holo.ActionKeyRotate)),
	holov1connect.DrainServiceSetProcedure:      change("node.drain", checkDrain, cluster[*holov1.SetDrainRequest](holo.ActionDrain)),

	holov1connect.BalanceServiceStartProcedure: change("array.rebalance", nothing[holov1.StartBalanceRequest], cluster[*holov1.StartBalanceRequest](holo.ActionDrain)),
	holov1connect.BalanceServiceGetProcedure:   read(nothing[holov1.GetBalanceRequest], cluster[*holov1.GetBalanceRequest](holo.ActionObserve)),

	// A key is replaced by itself: its signature is in the request.
	holov1connect.KeyServiceDataProcedure:         read(nothing[holov1.DataKeyRequest], cluster[*holov1.DataKeyRequest](holo.ActionObserve)),
	holov1connect.KeyServiceRotateDataProcedure:   change("key.rotate_data", checkRotateData, cluster[*holov1.RotateDataRequest](holo.ActionKeyRotate)),
	holov1connect.KeyServiceSucceedUserProcedure:  change("key.succeed_user", checkSucceed, cluster[*holov1.SucceedUserRequest](holo.ActionObserve)),
	holov1connect.KeyServiceOwnerStateProcedure:   read(nothing[holov1.OwnerStateRequest], cluster[*holov1.OwnerStateRequest](holo.ActionKeyRotate)),
	holov1connect.KeyServiceSucceedOwnerProcedure: change("key.succeed_owner", checkSucceedOwner, cluster[*holov1.SucceedOwnerRequest](holo.ActionKeyRotate)),

	holov1connect.ArrayServiceListProcedure:   read(nothing[holov1.ListArraysRequest], cluster[*holov1.ListArraysRequest](holo.ActionObserve)),
	holov1connect.ArrayServiceGetProcedure:    read(checkGetArray, func(m *holov1.GetArrayRequest) []Access { return array(holo.ActionObserve, m.GetName()) }),
	holov1connect.ArrayServicePagesProcedure:  read(nothing[holov1.PagesRequest], func(m *holov1.PagesRequest) []Access { return arrayID(holo.ActionObserve, m.GetArray()) }),
	holov1connect.ArrayServiceCreateProcedure: change("array.create", checkCreate, createNeeds),
	holov1connect.ArrayServiceFillProcedure:   change("array.fill", nothing[holov1.FillRequest], func(m *holov1.FillRequest) []Access { return arrayID(holo.ActionWrite, m.GetArray()) }),
	holov1connect.ArrayServiceSealProcedure:   change("array.seal", nothing[holov1.SealRequest], func(m *holov1.SealRequest) []Access { return arrayID(holo.ActionWrite, m.GetArray()) }),
	holov1connect.ArrayServiceDeleteProcedure: change("array.delete", nothing[holov1.DeleteRequest], func(m *holov1.DeleteRequest) []Access { return arrayID(holo.ActionFree, m.GetArray()) }),
	holov1connect.AtomicServiceApplyProcedure: asBulk(change("array.atomic", checkAtomic, atomicNeeds)),
	holov1connect.LeaseServiceHoldProcedure:   asBulk(change("array.lease", checkHold, func(m *holov1.HoldRequest) []Access { return arrayID(holo.ActionWrite, m.GetArray()) })),

	holov1connect.BufferServiceOpenProcedure:   asBulk(change("buffer.open", checkOpenProducer, func(m *holov1.OpenBufferRequest) []Access { return arrayID(holo.ActionWrite, m.GetArray()) })),
	holov1connect.BufferServiceAppendProcedure: asBulk(change("buffer.append", checkAppend, func(m *holov1.AppendRequest) []Access { return arrayID(holo.ActionWrite, m.GetArray()) })),
	holov1connect.BufferServiceTakeProcedure:   asBulk(change("buffer.take", checkTake, func(m *holov1.TakeRequest) []Access { return consumes(m.GetArray()) })),
	holov1connect.BufferServiceSettleProcedure: asBulk(change("buffer.settle", checkSettle, func(m *holov1.SettleRequest) []Access { return consumes(m.GetArray()) })),
	holov1connect.BufferServiceStatProcedure:   read(nothing[holov1.StatBufferRequest], func(m *holov1.StatBufferRequest) []Access { return arrayID(holo.ActionObserve, m.GetArray()) }),

	getData: {class: classBulk, needs: func(m proto.Message) []Access { return arrayID(holo.ActionRead, uint64(m.(*dataCall).array)) }},
	putData: {class: classBulk, event: "array.write", needs: func(m proto.Message) []Access { return arrayID(holo.ActionWrite, uint64(m.(*dataCall).array)) }},

	holov1connect.KernelServiceListProcedure: read(nothing[holov1.ListKernelsRequest], cluster[*holov1.ListKernelsRequest](holo.ActionObserve)),
	holov1connect.KernelServiceGetProcedure:  read(checkGetKernel, func(m *holov1.GetKernelRequest) []Access { return kernel(holo.ActionObserve, m.GetName(), false) }),
	holov1connect.KernelServicePushProcedure: change("kernel.push", checkPush, func(m *holov1.PushKernelRequest) []Access { return kernel(holo.ActionModulePut, m.GetName(), true) }),

	holov1connect.JobServiceListProcedure:   read(nothing[holov1.ListJobsRequest], cluster[*holov1.ListJobsRequest](holo.ActionObserve)),
	holov1connect.JobServiceWatchProcedure:  read(nothing[holov1.WatchRequest], func(m *holov1.WatchRequest) []Access { return job(holo.ActionObserve, m.GetJob()) }),
	holov1connect.JobServiceGetProcedure:    read(nothing[holov1.GetJobRequest], func(m *holov1.GetJobRequest) []Access { return job(holo.ActionRead, m.GetJob()) }),
	holov1connect.JobServiceCancelProcedure: change("job.cancel", nothing[holov1.CancelRequest], func(m *holov1.CancelRequest) []Access { return job(holo.ActionRun, m.GetJob()) }),
	holov1connect.JobServiceSubmitProcedure: change("job.submit", checkSubmit, submitNeeds),

	holov1connect.ReceiptServiceGetProcedure:    read(nothing[holov1.GetReceiptsRequest], func(m *holov1.GetReceiptsRequest) []Access { return job(holo.ActionRead, m.GetJob()) }),
	holov1connect.ReceiptServiceModuleProcedure: read(checkGetModule, func(m *holov1.GetModuleRequest) []Access { return kernel(holo.ActionRun, m.GetName(), false) }),

	holov1connect.TraceServiceWhyProcedure:   read(nothing[holov1.WhyRequest], func(m *holov1.WhyRequest) []Access { return job(holo.ActionRead, m.GetJob()) }),
	holov1connect.TraceServiceTraceProcedure: read(nothing[holov1.TraceRequest], func(m *holov1.TraceRequest) []Access { return job(holo.ActionRead, m.GetJob()) }),
	holov1connect.TraceServiceLogProcedure:   read(nothing[holov1.LogRequest], func(m *holov1.LogRequest) []Access { return job(holo.ActionRead, m.GetJob()) }),

	holov1connect.AuditServiceReadProcedure: read(checkReadAudit, cluster[*holov1.ReadAuditRequest](holo.ActionAuditRead)),

	holov1connect.AccessServiceWhoAmIProcedure:      lasting(read(nothing[holov1.WhoAmIRequest], cluster[*holov1.WhoAmIRequest](holo.ActionObserve))),
	holov1connect.AccessServiceExplainProcedure:     read(checkExplain, explainNeeds),
	holov1connect.AccessServiceListGrantsProcedure:  read(nothing[holov1.ListGrantsRequest], listGrantsNeeds),
	holov1connect.AccessServicePutGrantProcedure:    change("access.grant", checkPutGrant, cluster[*holov1.PutGrantRequest](holo.ActionPolicyWrite)),
	holov1connect.AccessServiceRevokeGrantProcedure: change("access.revoke", checkRevoke, cluster[*holov1.RevokeGrantRequest](holo.ActionPolicyWrite)),

	// What decides is in the request: the owner's signature, or the token key's.
	holov1connect.TokenServiceListProcedure:      read(nothing[holov1.ListTokensRequest], cluster[*holov1.ListTokensRequest](holo.ActionObserve)),
	holov1connect.TokenServiceChangeKeyProcedure: change("token.change_key", checkTokenKey, cluster[*holov1.ChangeTokenKeyRequest](holo.ActionPolicyWrite)),
	holov1connect.TokenServiceRecordProcedure:    change("token.record", checkRecordToken, cluster[*holov1.RecordTokenRequest](holo.ActionTokenIssue)),
	holov1connect.TokenServiceRevokeProcedure:    change("token.revoke", checkRevokeTokens, cluster[*holov1.RevokeTokensRequest](holo.ActionPolicyWrite)),
}

// of makes a route for one type of message.
func of[M any, P interface {
	*M
	proto.Message
}](check func(P) error, needs func(P) []Access) route {
	return route{
		make:  func() proto.Message { return P(new(M)) },
		check: func(m proto.Message) error { return check(m.(P)) },
		needs: func(m proto.Message) []Access { return needs(m.(P)) },
	}
}

func read[M any, P interface {
	*M
	proto.Message
}](check func(P) error, needs func(P) []Access) route {
	r := of(check, needs)
	r.class = classRead
	return r
}

func change[M any, P interface {
	*M
	proto.Message
}](event string, check func(P) error, needs func(P) []Access) route {
	r := of(check, needs)
	r.class, r.event = classChange, event
	return r
}

// asBulk is a route that is counted as a write of bytes is: it goes to a home
// as one does, and not through Raft.
func asBulk(r route) route {
	r.class = classBulk
	return r
}

// lasting is a route that is answered also where no newer policy can be had:
// who was known may see how the cluster is.
func lasting(r route) route {
	r.stale = true
	return r
}

func nothing[M any](*M) error { return nil }

func cluster[P proto.Message](a holo.Action) func(P) []Access {
	return func(P) []Access { return []Access{{Action: a}} }
}

func array(a holo.Action, reference string) []Access {
	return []Access{{Action: a, On: Target{Array: reference}}}
}

func arrayID(a holo.Action, id uint64) []Access { return array(a, fmt.Sprintf("#%d", id)) }

func kernel(a holo.Action, reference string, made bool) []Access {
	return []Access{{Action: a, On: Target{Kernel: reference, New: made}}}
}

func job(a holo.Action, id uint64) []Access {
	return []Access{{Action: a, On: Target{Job: holo.JobID(id)}}}
}

func createNeeds(m *holov1.CreateArrayRequest) []Access {
	return []Access{{Action: holo.ActionAllocate, On: Target{Array: m.GetName(), New: true}}}
}

// submitNeeds: of each stage the module first, because COMPUTE is about an array
// and it. A graph needs READ.
func submitNeeds(m *holov1.SubmitRequest) []Access {
	or := holo.ActionCompute
	if len(m.GetThen()) > 0 {
		or = 0
	}
	list := stageNeeds(m, or)
	for _, s := range m.GetThen() {
		list = append(list, stageNeeds(s, or)...)
	}
	if m.GetKeepSeconds() == 0 {
		return list
	}
	for _, s := range append([]*holov1.SubmitRequest{m}, m.GetThen()...) { // it deletes them
		if s.GetOutput() != 0 {
			list = append(list, arrayID(holo.ActionFree, s.GetOutput())...)
		}
	}
	return list
}

func stageNeeds(m *holov1.SubmitRequest, or holo.Action) []Access {
	list := kernel(holo.ActionRun, m.GetKernel(), false)
	for _, id := range m.GetInputs() {
		list = append(list, Access{Action: holo.ActionRead, Or: or, On: Target{Array: fmt.Sprintf("#%d", id)}})
	}
	if m.GetOutput() != 0 {
		list = append(list, arrayID(holo.ActionWrite, m.GetOutput())...)
	}
	return list
}

// explainNeeds: of oneself everybody may ask.
func explainNeeds(m *holov1.ExplainRequest) []Access {
	if m.GetPrincipal() == "" {
		return []Access{{Action: holo.ActionObserve}}
	}
	return []Access{{Action: holo.ActionAuditRead}}
}

func listGrantsNeeds(*holov1.ListGrantsRequest) []Access {
	return []Access{{Action: holo.ActionPolicyWrite, Or: holo.ActionAuditRead}}
}
