package wire

import (
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/protocol"
)

// MaxProgram bounds what a node says about its program.
const MaxProgram = 128 // bytes

const (
	typeNodeProgram = Type(0x0433)
	typeRebalance   = Type(0x0118)
)

// since is the version of the protocol from which on a type exists. Every type
// has one: register puts it there.
var since = map[Type]protocol.Version{}

// Since is the version of the protocol from which on a message can be said: that
// of its type, of a command inside of it and of what it asks for.
func Since(m Message) protocol.Version {
	v := since[m.Type()]
	switch m := m.(type) {
	case *Command:
		return max(v, sinceBody(m.Body))
	case *Attested:
		return max(v, sinceBody(m.Body))
	case *CatalogQuery:
		if m.What >= QueryPrograms {
			return max(v, 2)
		}
	}
	return v
}

func sinceBody(m Message) protocol.Version {
	if m == nil {
		return protocol.First
	}
	return Since(m)
}

func (e *Encoder) speaks(r protocol.Range) {
	e.U8(uint8(r.Oldest))
	e.U8(uint8(r.Newest))
}

// speaks reads what a node speaks; zeros where it has not said so yet.
func (d *Decoder) speaks() protocol.Range {
	r := protocol.Range{Oldest: protocol.Version(d.U8()), Newest: protocol.Version(d.U8())}
	d.Valid(r == protocol.Range{} || r.Valid(), "range of versions")
	return r
}

// NodeProgram tells which program a member runs, for people to read. In a
// snapshot it is also the record.
type NodeProgram struct {
	Node    holo.NodeID
	Program string // printable ASCII, at most MaxProgram bytes
}

// Type is the number on the wire.
func (*NodeProgram) Type() Type { return typeNodeProgram }

var _ = registerSince[NodeProgram](2)

func (m *NodeProgram) encode(e *Encoder) {
	e.Fixed(m.Node[:])
	e.String(m.Program)
}

func (m *NodeProgram) decode(d *Decoder) {
	d.Fixed(m.Node[:])
	m.Program = d.String(MaxProgram)
	for _, c := range []byte(m.Program) {
		d.Valid(c >= ' ' && c <= '~', "name of a program")
	}
}

// Rebalance has the keeper even out what the nodes hold now. It changes nothing
// in the catalogue: the log only says who asked.
type Rebalance struct{}

// Type is the number on the wire.
func (*Rebalance) Type() Type { return typeRebalance }

var _ = registerSince[Rebalance](2)

func (*Rebalance) encode(*Encoder) {}

func (*Rebalance) decode(*Decoder) {}
