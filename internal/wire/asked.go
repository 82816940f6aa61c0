package wire

import "github.com/holocompute/holocompute/internal/holo"

// Limits of a client's command. The largest request is that of a job: its
// parameters, and names and IDs; the largest token is that of package token.
const (
	maxAsked = MaxParams + 16<<10
	maxToken = 4*4096 + 3 // token.MaxChain
	// MaxStamps is how many uses of signatures the catalogue remembers, of
	// clients and of nodes each.
	MaxStamps = 16384

	typeAsked  = Type(0x012b)
	typeStamps = Type(0x0135)
)

// Asked is a command that a client asked for: the request as the client signed
// it (api.RequestProof), and whatever shows in whose name. There is nothing in
// it that a node could add or change: what is to be done is read out of the
// request by everybody who applies it. The answer is that of the command.
type Asked struct {
	Procedure string // holo.v1.ArrayService/Create
	Request   []byte // the encoded message
	Stamp     [32]byte
	Node      holo.NodeID // whose client asked
	Session   [32]byte    // one of that node's
	Key       holo.PrincipalID
	Token     string   // chain with which the key acts for another; "": it is the principal's own
	Sig       [64]byte // the key's
}

// StampUse is one use of a signature that was carried out, or refused for good.
type StampUse struct {
	Version uint64   // that the stamp begins with
	Use     [16]byte // hash of what was signed, and by whom
}

// Stamps is what the catalogue remembers of them, in a snapshot: those of
// clients, or of nodes.
type Stamps struct {
	Nodes bool
	Floor uint64 // stamps of an older version are not taken
	Uses  []StampUse
}

// Type is the number on the wire.
func (*Asked) Type() Type  { return typeAsked }
func (*Stamps) Type() Type { return typeStamps }

var _ = []struct{}{register[Asked](), register[Stamps]()}

func (m *Asked) encode(e *Encoder) {
	e.String(m.Procedure)
	e.Bytes(m.Request)
	e.Fixed(m.Stamp[:])
	e.Fixed(m.Node[:])
	e.Fixed(m.Session[:])
	e.Fixed(m.Key[:])
	e.String(m.Token)
	e.Fixed(m.Sig[:])
}

func (m *Asked) decode(d *Decoder) {
	m.Procedure = d.String(maxProcedure)
	m.Request = d.Bytes(maxAsked)
	d.Fixed(m.Stamp[:])
	d.Fixed(m.Node[:])
	d.Fixed(m.Session[:])
	d.Fixed(m.Key[:])
	m.Token = d.String(maxToken)
	d.Fixed(m.Sig[:])
}

func (m *Stamps) encode(e *Encoder) {
	e.Bool(m.Nodes)
	e.U64(m.Floor)
	e.Count(len(m.Uses))
	for i := range m.Uses {
		e.U64(m.Uses[i].Version)
		e.Fixed(m.Uses[i].Use[:])
	}
}

func (m *Stamps) decode(d *Decoder) {
	m.Nodes = d.Bool()
	m.Floor = d.U64()
	n := d.Count(MaxStamps, 24)
	if n == 0 {
		return
	}
	m.Uses = make([]StampUse, n)
	for i := range m.Uses {
		m.Uses[i].Version = d.U64()
		d.Fixed(m.Uses[i].Use[:])
	}
}
