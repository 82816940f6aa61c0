package wire

// MaxHalo is the widest halo: rows of 32,767 elements and their neighbours. A
// task reads at most a quarter of a MiB of 8-byte elements on each side.
const MaxHalo = 32 << 10

// Edge says what lies beyond the ends of an array, for who looks there.
type Edge uint8

// The edges. The zero Edge goes with no halo.
const (
	EdgeClamp Edge = iota + 1 // the first or last element
	EdgeZero                  // zeros
	EdgeWrap                  // the other end
	edges
)

// String is "clamp", "zero" or "wrap".
func (e Edge) String() string {
	switch e {
	case EdgeClamp:
		return "clamp"
	case EdgeZero:
		return "zero"
	case EdgeWrap:
		return "wrap"
	}
	return "none"
}

// ParseEdge reads "clamp", "zero" or "wrap".
func ParseEdge(s string) (Edge, bool) {
	for e := EdgeClamp; e < edges; e++ {
		if e.String() == s {
			return e, true
		}
	}
	return 0, false
}

// Halo says how many elements around each one a map sees of its inputs, on
// either side, and what lies beyond the ends. The zero Halo is none.
type Halo struct {
	Width uint32
	Edge  Edge
}

// Valid reports whether a map of arrays of a length may have it. One that wraps
// is not wider than the array.
func (h Halo) Valid(length uint64) bool {
	if h.Width == 0 {
		return h.Edge == 0
	}
	return h.Width <= MaxHalo && h.Edge > 0 && h.Edge < edges && (h.Edge != EdgeWrap || uint64(h.Width) <= length)
}

func (h Halo) encode(e *Encoder) {
	e.U32(h.Width)
	e.U8(uint8(h.Edge))
}

func decodeHalo(d *Decoder) Halo {
	h := Halo{Width: d.U32(), Edge: Edge(d.U8())}
	d.Valid(h.Valid(MaxHalo), "halo")
	return h
}
