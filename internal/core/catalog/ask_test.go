package catalog

import (
	"encoding/binary"

	"google.golang.org/protobuf/proto"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

const (
	createArray = "holo.v1.ArrayService/Create"
	sealArray   = "holo.v1.ArrayService/Seal"
	deleteArray = "holo.v1.ArrayService/Delete"
	setDrain    = "holo.v1.DrainService/Set"
	pushKernel  = "holo.v1.KernelService/Push"
	submitJob   = "holo.v1.JobService/Submit"
	rebalance   = "holo.v1.BalanceService/Start"
)

// requestOf is what a client would ask for a command; nil where no client can.
func requestOf(body wire.Message) (procedure string, q proto.Message) {
	switch m := body.(type) {
	case *wire.ArrayCreate:
		return createArray, &holov1.CreateArrayRequest{
			Name: m.Name, Type: m.Shape.Type.String(), Length: m.Shape.Length, ExtentElements: m.Shape.Extent, Copies: uint32(m.Class), Affinity: m.Affinity, Buffer: m.Buffer,
		}
	case *wire.ArraySealing:
		return sealArray, &holov1.SealRequest{Array: uint64(m.Array)}
	case *wire.ArrayDelete:
		return deleteArray, &holov1.DeleteRequest{Array: uint64(m.Array)}
	case *wire.KernelPut:
		return pushKernel, &holov1.PushKernelRequest{Name: m.Kernel.Name, Module: m.Kernel.Module[:], Size: m.Kernel.Size, Functions: m.Kernel.Functions}
	case *wire.NodeDrain:
		return setDrain, &holov1.SetDrainRequest{Node: m.Node[:], On: m.On}
	case *wire.Rebalance:
		return rebalance, &holov1.StartBalanceRequest{}
	}
	return "", nil
}

// ask is a request as a client signs it, in a session of node 1.
func (w *town) ask(by, procedure string, q proto.Message) *wire.Asked {
	b, err := proto.Marshal(q)
	if err != nil {
		panic(err)
	}
	m := &wire.Asked{Procedure: procedure, Request: b, Node: node(1), Key: principal(by)}
	api.BindSession(&m.Session, cluster, m.Node)
	w.asks++
	var random [8]byte
	binary.BigEndian.PutUint64(random[:], w.asks)
	m.Stamp = api.NewStamp(w.version, random, "")
	return sign(by, m)
}

// sign signs it again, after a change.
func sign(by string, m *wire.Asked) *wire.Asked {
	copy(m.Sig[:], signer(by).Sign(requestProof(m)))
	return m
}

// askedAt makes it a request of somebody's at a node.
func (w *town) askedAt(by string, at holo.NodeID, m *wire.Asked) *wire.Asked {
	m.Key, m.Node = principal(by), at
	api.BindSession(&m.Session, cluster, at)
	return sign(by, m)
}

// speaker is the number of the node whose word a command is.
func (w *town) speaker(body wire.Message) (n int) {
	by := node(1)
	switch m := body.(type) {
	case *wire.NodeAddress:
		by = m.Node
	case *wire.NodeProgram:
		by = m.Node
	case *wire.ClusterKeyConfirm:
		by = m.Node
	case *wire.JobTake:
		by = m.Coordinator
	case *wire.JobState:
		if j, ok := w.JobByID(m.Job); ok {
			by = j.Coordinator
		}
	}
	for n = 1; n < 9 && node(n) != by; n++ {
	}
	return n
}

// attest is a command on a node's own word.
func (w *town) attest(n int, body wire.Message) *wire.Attested {
	w.asks++
	var random [8]byte
	binary.BigEndian.PutUint64(random[:], w.asks)
	m := &wire.Attested{Node: node(n), Body: body, Stamp: api.NewStamp(w.version, random, "")}
	return signNode(n, m)
}

func signNode(n int, m *wire.Attested) *wire.Attested {
	copy(m.Sig[:], signer("node "+string(rune('0'+n))).Sign(wire.AttestProof(cluster, m)))
	return m
}
