package wire

import "github.com/holocompute/holocompute/internal/holo"

const typeAttested = Type(0x012d)

// Attested is a command that a node gives on its own word: signed by the node's
// key, over a stamp, so that nobody makes it up, changes it or gives it twice.
// The answer is that of the command.
type Attested struct {
	Node  holo.NodeID
	Stamp [32]byte
	Sig   [64]byte // over AttestProof
	Body  Message  // one for which IsAttested holds
}

// AttestProof is what a node signs to give a command.
func AttestProof(cluster holo.ClusterID, m *Attested) []byte {
	return Append(proof("holo/attest/1", cluster, m.Node[:], m.Stamp[:]), m.Body)
}

// IsAttested reports whether a message is a node's to say of itself.
func IsAttested(m Message) bool {
	switch m.(type) {
	case *NodeAddress, *NodeProgram, *ClusterKeyConfirm, *ArraySealed, *ArrayPurge, *ArrayExpire, *JobTake, *JobState:
		return true
	}
	return false
}

// Type is the number on the wire.
func (*Attested) Type() Type { return typeAttested }

var _ = register[Attested]()

// Like a Command's, the body has no length in front; and it is never another
// Attested, so decoding cannot nest.
func (m *Attested) encode(e *Encoder) {
	e.Fixed(m.Node[:])
	e.Fixed(m.Stamp[:])
	e.Fixed(m.Sig[:])
	if m.Body == nil {
		e.U16(0)
		return
	}
	e.U16(uint16(m.Body.Type()))
	m.Body.encode(e)
}

func (m *Attested) decode(d *Decoder) {
	d.Fixed(m.Node[:])
	d.Fixed(m.Stamp[:])
	d.Fixed(m.Sig[:])
	mk, ok := makers[Type(d.U16())]
	d.Valid(ok, "command")
	if d.err != nil {
		return
	}
	m.Body = mk()
	d.Valid(IsAttested(m.Body), "command")
	if d.err == nil {
		m.Body.decode(d)
	}
}
