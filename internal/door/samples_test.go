package door

import (
	"crypto/sha256"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
)

// attachment is what comes with a sample of a procedure.
func attachment(procedure string) []byte {
	if strings.TrimPrefix(procedure, "/") == holov1connect.KernelServicePushProcedure[1:] {
		return sampleModule
	}
	return nil
}

// sample is a message that passes the route's check.
func sample(procedure string) proto.Message {
	m := routes[procedure].make()
	switch m := m.(type) {
	case *holov1.CreateArrayRequest:
		m.Name, m.Type, m.Length = "b", "i16", 8
	case *holov1.GetArrayRequest:
		m.Name = "a"
	case *holov1.GetKernelRequest:
		m.Name = "k"
	case *holov1.PushKernelRequest:
		sum := sha256.Sum256(sampleModule)
		m.Name, m.Module, m.Size = "k", sum[:], uint64(len(sampleModule))
	case *holov1.SubmitRequest:
		m.Kernel, m.Function, m.Kind, m.Inputs, m.AccBytes = "k", "f", "reduce", []uint64{1}, 8
	case *holov1.CreateInviteRequest:
		m.InviteKey, m.Psk, m.OwnerSignature = make([]byte, 32), make([]byte, 32), make([]byte, 64)
	case *holov1.ExplainRequest:
		m.Action = "READ"
	case *holov1.EvictRequest:
		m.Node, m.Admission, m.OwnerSignature = make([]byte, 32), make([]byte, 32), make([]byte, 64)
	case *holov1.RekeyRequest:
		m.OwnerSignature = make([]byte, 64)
	case *holov1.SetDrainRequest:
		m.Node = make([]byte, 32)
	case *holov1.RotateDataRequest:
		m.Node = make([]byte, 32)
	case *holov1.SucceedUserRequest:
		m.Next, m.Signature, m.NextSignature = make([]byte, 32), make([]byte, 64), make([]byte, 64)
	case *holov1.SucceedOwnerRequest:
		m.Succession = make([]byte, 300)
	case *holov1.ApproveRequest:
		m.Node = make([]byte, 32)
	case *holov1.PolicyRequest:
		m.OwnerSignature = make([]byte, 64)
	case *holov1.PutGrantRequest:
		m.Grant, m.Signature = &holov1.Grant{}, make([]byte, 64)
	case *holov1.RevokeGrantRequest:
		m.Signature = make([]byte, 64)
	case *holov1.ChangeTokenKeyRequest:
		m.State, m.PublicKey, m.Authority, m.Signature = "active", make([]byte, 32), make([]byte, 32), make([]byte, 64)
	case *holov1.RecordTokenRequest:
		m.Id, m.Key, m.Subject, m.Client, m.Signature = make([]byte, 16), make([]byte, 32), make([]byte, 32), make([]byte, 32), make([]byte, 64)
	case *holov1.RevokeTokensRequest:
		m.Kind, m.Name, m.Authority, m.Signature = "token", make([]byte, 32), make([]byte, 32), make([]byte, 64)
	case *holov1.FillRequest:
		m.Array, m.Count, m.Value = 1, 1, []byte{1, 2}
	case *holov1.ApplyAtomicRequest:
		m.Array, m.Operation, m.Kind, m.Operand = 1, make([]byte, 16), "add", []byte{1, 2}
	case *holov1.HoldRequest:
		m.Array, m.Count, m.Lease = 1, 1, 5
	case *holov1.OpenBufferRequest:
		m.Array, m.Producer = 1, 5
	case *holov1.AppendRequest:
		m.Array, m.Producer, m.Sequence, m.Records = 1, 5, 1, [][]byte{{1}}
	case *holov1.TakeRequest:
		m.Array, m.Consumer = 1, 5
	case *holov1.SettleRequest:
		m.Array, m.Consumer, m.Number = 1, 5, 1
	case *holov1.StatBufferRequest:
		m.Array = 1
	case *holov1.SealRequest:
		m.Array = 1
	case *holov1.DeleteRequest:
		m.Array = 99
	case *holov1.PagesRequest:
		m.Array = 1
	case *holov1.GetJobRequest:
		m.Job = 1
	case *holov1.CancelRequest:
		m.Job = 1
	case *holov1.WatchRequest:
		m.Job = 1
	case *holov1.GetReceiptsRequest:
		m.Job = 1
	case *holov1.WhyRequest:
		m.Job = 1
	case *holov1.TraceRequest:
		m.Job = 1
	case *holov1.LogRequest:
		m.Job = 1
	case *holov1.GetModuleRequest:
		m.Name = "k"
	}
	return m
}
