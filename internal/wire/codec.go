// Package wire turns messages into bytes and back. It holds the types of all
// messages between nodes, a file per protocol, and no logic.
//
// The encoding is plain: little-endian integers of fixed width, byte strings
// and lists with a length in front. It is strict: what decodes encodes to the
// same bytes again, every length has a limit that is checked before anything
// is allocated, and bytes left over are an error. Each message type has a fuzz
// target's coverage through FuzzDecode.
package wire

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/protocol"
)

// MaxMessage bounds an encoded message: an extent of 64 pages and its heads.
const MaxMessage = holo.MaxExtentPages*holo.PageSize + 256<<10

// Type is a message's number on the wire. The high byte is its protocol:
// 1 control, 2 shard, 3 data, 4 join and membership, 5 access.
type Type uint16

// Message is anything that can be sent. encode writes the fields in order;
// decode reads them in the same order.
type Message interface {
	Type() Type
	encode(*Encoder)
	decode(*Decoder)
}

var makers = map[Type]func() Message{}

// register makes a type known to Decode that exists since the first version of
// the protocol. Each file registers its own in a package variable; a number used
// twice is a bug.
func register[M any, P interface {
	*M
	Message
}]() struct{} {
	return registerSince[M, P](protocol.First)
}

// registerSince is register for a type of a later version.
func registerSince[M any, P interface {
	*M
	Message
}](v protocol.Version) struct{} {
	t := P(new(M)).Type()
	if _, twice := makers[t]; twice {
		panic(fmt.Sprintf("bug: wire type %#04x registered twice", uint16(t)))
	}
	makers[t], since[t] = func() Message { return P(new(M)) }, v
	return struct{}{}
}

// Registered gives an empty message of every type, in order of their numbers:
// whoever tests or documents all of them forgets none.
func Registered() []Message {
	all := make([]Message, 0, len(makers))
	for _, t := range slices.Sorted(maps.Keys(makers)) {
		all = append(all, makers[t]())
	}
	return all
}

// Append encodes a message, its type in front, onto dst.
func Append(dst []byte, m Message) []byte {
	e := Encoder{b: dst}
	e.U16(uint16(m.Type()))
	m.encode(&e)
	return e.b
}

// Encode encodes a message into a new slice.
func Encode(m Message) []byte { return Append(nil, m) }

// Decode reads one message that fills b exactly. Byte strings of the message
// may alias b, which therefore must not be modified afterwards.
func Decode(b []byte) (Message, error) {
	if len(b) > MaxMessage {
		return nil, holo.Errorf(holo.Invalid, "decode message: %d bytes, at most %d", len(b), MaxMessage)
	}
	d := Decoder{b: b}
	t := Type(d.U16())
	mk, ok := makers[t]
	if d.err == nil && !ok {
		return nil, holo.Errorf(holo.Invalid, "decode message: unknown type %#04x", uint16(t))
	}
	if d.err == nil {
		m := mk()
		m.decode(&d)
		if d.err == nil && len(d.b) != 0 {
			d.fail("%d bytes left over", len(d.b))
		}
		if d.err == nil {
			return m, nil
		}
	}
	return nil, holo.Errorf(holo.Invalid, "decode message %#04x: %w", uint16(t), d.err)
}

// Encoder appends fields to a byte slice.
type Encoder struct {
	b     []byte
	apart bool  // long byte strings are not copied
	cuts  []cut // these
}

// U8, U16, U32, U64 append integers; Bool appends 0 or 1.
func (e *Encoder) U8(v uint8)   { e.b = append(e.b, v) }
func (e *Encoder) U16(v uint16) { e.b = binary.LittleEndian.AppendUint16(e.b, v) }
func (e *Encoder) U32(v uint32) { e.b = binary.LittleEndian.AppendUint32(e.b, v) }
func (e *Encoder) U64(v uint64) { e.b = binary.LittleEndian.AppendUint64(e.b, v) }

// Bool appends 0 or 1.
func (e *Encoder) Bool(v bool) {
	if v {
		e.U8(1)
	} else {
		e.U8(0)
	}
}

// Fixed appends bytes whose number both sides know.
func (e *Encoder) Fixed(b []byte) {
	if e.apart && len(b) >= apart {
		e.cuts = append(e.cuts, cut{len(e.b), b})
		return
	}
	e.b = append(e.b, b...)
}

// Bytes appends a byte string with its length in front.
func (e *Encoder) Bytes(b []byte) {
	e.U32(uint32(len(b)))
	e.Fixed(b)
}

// String appends a string with its length in front.
func (e *Encoder) String(s string) {
	e.U32(uint32(len(s)))
	e.b = append(e.b, s...)
}

// Count appends the length of a list.
func (e *Encoder) Count(n int) { e.U32(uint32(n)) }

// Decoder reads fields from a byte slice. After the first error every read
// gives zero values, and Err tells the error.
type Decoder struct {
	b   []byte
	err error
}

func (d *Decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

// Err is the first error.
func (d *Decoder) Err() error { return d.err }

// take gives the next n bytes, or nil and an error.
func (d *Decoder) take(n int) []byte {
	if d.err != nil {
		return nil
	}
	if n > len(d.b) {
		d.fail("truncated: %d bytes wanted, %d left", n, len(d.b))
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

// U8 reads one byte.
func (d *Decoder) U8() uint8 {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

// U16 reads two bytes.
func (d *Decoder) U16() uint16 {
	if b := d.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

// U32 reads four bytes.
func (d *Decoder) U32() uint32 {
	if b := d.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// U64 reads eight bytes.
func (d *Decoder) U64() uint64 {
	if b := d.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// Bool reads 0 or 1 and refuses anything else.
func (d *Decoder) Bool() bool {
	v := d.U8()
	if v > 1 {
		d.fail("a truth value of %d", v)
	}
	return v == 1
}

// Fixed fills dst.
func (d *Decoder) Fixed(dst []byte) { copy(dst, d.take(len(dst))) }

// Bytes reads a byte string of at most limit bytes. It aliases the input; it
// is nil when empty.
func (d *Decoder) Bytes(limit int) []byte {
	n := int(d.U32())
	if d.err == nil && n > limit {
		d.fail("a byte string of %d bytes, at most %d", n, limit)
	}
	if n == 0 {
		return nil
	}
	return d.take(n)
}

// String reads a string of at most limit bytes.
func (d *Decoder) String(limit int) string { return string(d.Bytes(limit)) }

// Count reads the length of a list of at most limit items, each of which takes
// at least minBytes; so a list can never be longer than the bytes that are
// left, and nothing is allocated for what is not there.
func (d *Decoder) Count(limit, minBytes int) int {
	n := int(d.U32())
	if d.err == nil && n > limit {
		d.fail("a list of %d, at most %d", n, limit)
	}
	if d.err == nil && n*max(minBytes, 1) > len(d.b) {
		d.fail("truncated: a list of %d in %d bytes", n, len(d.b))
	}
	if d.err != nil {
		return 0
	}
	return n
}

// Valid fails the decoding unless ok.
func (d *Decoder) Valid(ok bool, what string) {
	if !ok {
		d.fail("invalid %s", what)
	}
}
