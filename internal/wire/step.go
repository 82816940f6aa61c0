package wire

import "github.com/holocompute/holocompute/internal/holo"

const typeStepReceipt = Type(0x0386)

// StepReceipt is a node's word on a step of a reduce: it combined two partial
// results, the later one into the earlier one. It is in no message: it goes into
// files of receipts. Into and From are the step's place in the tree of
// core/sched; the other side of what it says is in the receipts below it.
type StepReceipt struct {
	Job      holo.JobID
	Epoch    holo.JobEpoch
	Into     holo.TaskID // the lower one of each pair
	From     holo.TaskID
	Module   holo.ModuleID
	Function string // without its prefix: by_hour
	Params   holo.Digest
	Node     holo.NodeID // also the key that signs
	Time     int64       // seconds since 1970, by the node's clock, when the step ended
	Prices   string      // the table that the gas was counted by
	Gas      holo.Gas
	Left     holo.Digest // of the accumulator of Into, before
	Right    holo.Digest // of the accumulator of From
	Output   holo.Digest // of the accumulator of Into, after

	Signature [64]byte
}

// Type is the number on the wire.
func (*StepReceipt) Type() Type { return typeStepReceipt }

var _ = register[StepReceipt]()

func (m *StepReceipt) encode(e *Encoder) {
	m.encodeSigned(e)
	e.Fixed(m.Signature[:])
}

func (m *StepReceipt) encodeSigned(e *Encoder) {
	e.U64(uint64(m.Job))
	e.U64(uint64(m.Epoch))
	e.U32(uint32(m.Into))
	e.U32(uint32(m.From))
	e.Fixed(m.Module[:])
	e.String(m.Function)
	e.Fixed(m.Params[:])
	e.Fixed(m.Node[:])
	e.U64(uint64(m.Time))
	e.String(m.Prices)
	e.U64(uint64(m.Gas))
	e.Fixed(m.Left[:])
	e.Fixed(m.Right[:])
	e.Fixed(m.Output[:])
}

func (m *StepReceipt) decode(d *Decoder) {
	m.Job, m.Epoch = holo.JobID(d.U64()), holo.JobEpoch(d.U64())
	m.Into, m.From = holo.TaskID(d.U32()), holo.TaskID(d.U32())
	d.Valid(m.Into < m.From, "place in the tree")
	d.Fixed(m.Module[:])
	m.Function = d.String(MaxFunctionName)
	d.Fixed(m.Params[:])
	d.Fixed(m.Node[:])
	m.Time = int64(d.U64())
	d.Valid(m.Time >= 0, "time")
	m.Prices = d.String(MaxPrices)
	m.Gas = holo.Gas(d.U64())
	d.Fixed(m.Left[:])
	d.Fixed(m.Right[:])
	d.Fixed(m.Output[:])
	d.Fixed(m.Signature[:])
}

// Proof is what the node signs in its cluster.
func (m *StepReceipt) Proof(cluster holo.ClusterID) []byte {
	e := Encoder{b: []byte("holo/step/1\x00")}
	e.Fixed(cluster[:])
	m.encodeSigned(&e)
	return e.b
}
