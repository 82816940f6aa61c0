// Package claim reads what a client signed: which command of the catalogue a
// request asks for, and what a token lets its holder do.
//
// Its one idea is that the catalogue's voters need no node's word for it. They
// get the bytes that the client signed, and all of them read the same command
// out of them here. So it is a pure function, and it is strict: a request that
// it does not know, or with fields that it does not know, asks for nothing. It
// checks no right and no signature of a request; that is the catalogue's.
package claim

import (
	"google.golang.org/protobuf/proto"

	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/token"
	"github.com/holocompute/holocompute/internal/wire"
)

// Reader is the catalogue's reader (catalog.Reader). It has no state.
type Reader struct{}

// The procedures whose requests become commands of the catalogue.
const (
	createArray = "holo.v1.ArrayService/Create"
	sealArray   = "holo.v1.ArrayService/Seal"
	deleteArray = "holo.v1.ArrayService/Delete"
	setDrain    = "holo.v1.DrainService/Set"
	pushKernel  = "holo.v1.KernelService/Push"
	submitJob   = "holo.v1.JobService/Submit"
)

// Rebalance is the procedure of the request that the keeper is told of.
const Rebalance = "holo.v1.BalanceService/Start"

// Read gives the command that a request asks for. In whose name it is, and
// within what amount, is not in it. What could not be sent as a command is none:
// what the catalogue keeps must survive its snapshot.
func (Reader) Read(procedure string, request []byte) (wire.Message, error) {
	m, err := read(procedure, request)
	if err != nil {
		return nil, err
	}
	return wire.Decode(wire.Encode(m))
}

func read(procedure string, request []byte) (wire.Message, error) {
	switch procedure {
	case createArray:
		return create(request)
	case sealArray:
		m, err := decode(procedure, request, &holov1.SealRequest{})
		return &wire.ArraySealing{Array: holo.ArrayID(m.GetArray())}, err
	case deleteArray:
		m, err := decode(procedure, request, &holov1.DeleteRequest{})
		return &wire.ArrayDelete{Array: holo.ArrayID(m.GetArray())}, err
	case setDrain:
		return drain(request)
	case Rebalance:
		_, err := decode(procedure, request, &holov1.StartBalanceRequest{})
		return &wire.Rebalance{}, err
	case pushKernel:
		return push(request)
	case submitJob:
		return submit(request)
	}
	return nil, holo.Errorf(holo.Invalid, "read request: %.100q asks for no command", procedure)
}

func create(request []byte) (wire.Message, error) {
	m, err := decode(createArray, request, &holov1.CreateArrayRequest{})
	if err != nil {
		return nil, err
	}
	shape, err := ShapeOf(m)
	if err != nil {
		return nil, err
	}
	if m.GetCopies() > holo.MaxClass {
		return nil, holo.Errorf(holo.Invalid, "create array: %d copies, want 1 to %d", m.GetCopies(), holo.MaxClass)
	}
	return &wire.ArrayCreate{Name: m.GetName(), Shape: shape, Class: holo.Class(m.GetCopies()), Affinity: m.GetAffinity(), Buffer: m.GetBuffer()}, nil
}

func drain(request []byte) (wire.Message, error) {
	m, err := decode(setDrain, request, &holov1.SetDrainRequest{})
	if err != nil {
		return nil, err
	}
	if len(m.GetNode()) != len(holo.NodeID{}) {
		return nil, holo.Errorf(holo.Invalid, "read request: %s: a node of %d bytes", setDrain, len(m.GetNode()))
	}
	return &wire.NodeDrain{Node: holo.NodeID(m.GetNode()), On: m.GetOn()}, nil
}

func push(request []byte) (wire.Message, error) {
	m, err := decode(pushKernel, request, &holov1.PushKernelRequest{})
	if err != nil {
		return nil, err
	}
	if len(m.GetModule()) != len(holo.ModuleID{}) {
		return nil, holo.Errorf(holo.Invalid, "read request: %s: a hash of %d bytes", pushKernel, len(m.GetModule()))
	}
	return &wire.KernelPut{Kernel: wire.KernelRecord{
		Name: m.GetName(), Module: holo.ModuleID(m.GetModule()), Size: m.GetSize(), Functions: m.GetFunctions(),
	}}, nil
}

// ShapeOf is the geometry that a request to make an array asks for.
func ShapeOf(m *holov1.CreateArrayRequest) (holo.Shape, error) {
	t, err := holo.ParseElementType(m.GetType())
	if err != nil {
		return holo.Shape{}, err
	}
	shape := holo.Shape{Type: t, Length: m.GetLength(), Extent: m.GetExtentElements()}
	if shape.Extent == 0 {
		shape.Extent = holo.DefaultExtent
	}
	return shape, shape.Check()
}

// decode reads a request into m. Fields that are not known are refused: the
// signer meant something by them.
func decode[M proto.Message](procedure string, request []byte, m M) (M, error) {
	if err := proto.Unmarshal(request, m); err != nil {
		return m, holo.Errorf(holo.Invalid, "read request: %s: it does not decode", procedure)
	}
	if len(m.ProtoReflect().GetUnknown()) > 0 {
		return m, holo.Errorf(holo.Invalid, "read request: %s: it has fields that are not known", procedure)
	}
	return m, nil
}

// Token verifies a chain: see catalog.Reader.
func (Reader) Token(chain string, cluster holo.ClusterID, now int64, keys func(holo.Thumbprint) (wire.TokenKeyRecord, bool),
	mayIssue func(registrant, subject holo.PrincipalID) bool) ([]wire.TokenRecord, func(action, resource string) bool, error) {
	v := &token.Verifier{Cluster: cluster, Now: now, MayIssue: mayIssue, Key: func(id holo.Thumbprint) (token.Key, bool) {
		r, ok := keys(id)
		return token.Key{Public: r.Key, Issuer: r.Registrant, Retired: r.Retired, Revoked: !r.Verifiable()}, ok
	}}
	g, err := v.Verify(chain)
	if err != nil {
		return nil, nil, err
	}
	links := make([]wire.TokenRecord, len(g.Links))
	for i := range g.Links {
		l := &g.Links[i]
		links[i] = wire.TokenRecord{ID: l.ID, Key: g.Key, Subject: l.Subject, Client: l.Client, Issued: l.Issued, Expires: l.Expires}
	}
	return links, g.Allows, nil
}
