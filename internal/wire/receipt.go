package wire

import "github.com/holocompute/holocompute/internal/holo"

// MaxPrices bounds the name of a table of gas prices: gas/1.
const MaxPrices = 16

const typeReceipt = Type(0x0385)

// Receipt is a node's word on a task that it ran: from what, to what, for how
// much. It says nothing of the task itself, which stands beside it; the
// signature is over both (Proof).
type Receipt struct {
	Node   holo.NodeID // also the key that signs
	Time   int64       // seconds since 1970, by the node's clock, when the task ended
	Prices string      // the table that the gas was counted by
	Gas    holo.Gas
	Inputs []holo.Digest // of each input the root of the digests of the extent's pages
	Halos  []holo.Digest // of a task with a halo, the digest of the elements around the extent of each input
	Output holo.Digest   // of a map the same of its output; of a reduce the digest of its accumulator

	Signature [64]byte
}

// Type is the number on the wire.
func (*Receipt) Type() Type { return typeReceipt }

var _ = register[Receipt]()

func (m *Receipt) encode(e *Encoder) {
	m.encodeSigned(e)
	e.Fixed(m.Signature[:])
}

func (m *Receipt) encodeSigned(e *Encoder) {
	e.Fixed(m.Node[:])
	e.U64(uint64(m.Time))
	e.String(m.Prices)
	e.U64(uint64(m.Gas))
	e.Count(len(m.Inputs))
	for i := range m.Inputs {
		e.Fixed(m.Inputs[i][:])
	}
	e.Count(len(m.Halos))
	for i := range m.Halos {
		e.Fixed(m.Halos[i][:])
	}
	e.Fixed(m.Output[:])
}

func (m *Receipt) decode(d *Decoder) {
	d.Fixed(m.Node[:])
	m.Time = int64(d.U64())
	d.Valid(m.Time >= 0, "time")
	m.Prices = d.String(MaxPrices)
	m.Gas = holo.Gas(d.U64())
	n := d.Count(MaxTaskInputs, 32)
	d.Valid(n > 0, "number of inputs")
	m.Inputs = make([]holo.Digest, n)
	for i := range m.Inputs {
		d.Fixed(m.Inputs[i][:])
	}
	halos := d.Count(MaxTaskInputs, 32)
	d.Valid(halos == 0 || halos == n, "number of halos")
	for range halos {
		var sum holo.Digest
		d.Fixed(sum[:])
		m.Halos = append(m.Halos, sum)
	}
	d.Fixed(m.Output[:])
	d.Fixed(m.Signature[:])
}

// Proof is what the node signs for a task in its cluster.
func (m *Receipt) Proof(cluster holo.ClusterID, t *RunTask) []byte {
	e := Encoder{b: []byte("holo/receipt/1\x00")}
	e.Fixed(cluster[:])
	e.Bytes(Encode(t))
	m.encodeSigned(&e)
	return e.b
}
