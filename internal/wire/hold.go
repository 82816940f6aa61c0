package wire

import "github.com/holocompute/holocompute/internal/holo"

const (
	typeHold = Type(0x0317)
	typeHeld = Type(0x0318)
)

// Hold asks the home of a run of pages for a write lease on them, under a name
// that whoever asks has drawn at random; for a longer one, where it runs; or to
// end it, when For is 0.
type Hold struct {
	Array holo.ArrayID
	Run   PageRun
	Lease holo.LeaseID
	For   holo.Duration // from when the home hears of it
}

// MaxHold is the longest write lease: who needs more asks again.
const MaxHold = 60 * holo.Second

// Held answers it: what to write under.
type Held struct {
	Token holo.Token
}

// Type is the number on the wire.
func (*Hold) Type() Type { return typeHold }
func (*Held) Type() Type { return typeHeld }

var _ = []struct{}{register[Hold](), register[Held]()}

func (m *Hold) encode(e *Encoder) {
	e.U64(uint64(m.Array))
	m.Run.encode(e)
	e.U64(uint64(m.Lease))
	e.U64(uint64(m.For))
}

func (m *Hold) decode(d *Decoder) {
	m.Array = holo.ArrayID(d.U64())
	m.Run.decode(d)
	m.Lease = holo.LeaseID(d.U64())
	n := d.U64()
	d.Valid(m.Lease != 0, "name of a write lease")
	d.Valid(n <= uint64(MaxHold), "length of a write lease")
	m.For = holo.Duration(n)
}

func (m *Held) encode(e *Encoder) { e.token(m.Token) }
func (m *Held) decode(d *Decoder) { m.Token = d.token() }

// token writes what most mutations do not have.
func (e *Encoder) token(t holo.Token) {
	e.Bool(t.Lease != 0)
	if t.Lease != 0 {
		e.U64(uint64(t.Lease))
		e.U64(uint64(t.Epoch))
		e.U64(t.Number)
	}
}

func (d *Decoder) token() (t holo.Token) {
	if d.Bool() {
		t = holo.Token{Lease: holo.LeaseID(d.U64()), Epoch: holo.Epoch(d.U64()), Number: d.U64()}
		d.Valid(d.err != nil || t.Lease != 0, "name of a write lease")
	}
	return t
}
