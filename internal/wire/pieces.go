package wire

// apart is from what length on a byte string stays where it is: a shorter one costs
// less to copy than to send as a piece of its own.
const apart = 4 << 10

// cut is a byte string that stands in front of the encoder's byte at.
type cut struct {
	at    int
	bytes []byte
}

// Pieces is Append that copies no pages: what it appends is its pieces, one after
// another. The first begins with dst; some are the message's own bytes, which MUST
// NOT change while they are in use.
func Pieces(dst []byte, m Message) [][]byte {
	e := Encoder{b: dst, apart: true}
	e.U16(uint16(m.Type()))
	m.encode(&e)
	pieces, from := make([][]byte, 0, 2*len(e.cuts)+1), 0
	for _, c := range e.cuts {
		pieces = append(pieces, e.b[from:c.at], c.bytes)
		from = c.at
	}
	return append(pieces, e.b[from:])
}
