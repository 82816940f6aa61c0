// Package lane is one lane of a buffer: a queue of records in the pages of one
// extent.
//
// Its one idea is that all a lane has to remember lies in its first page: how
// far it is filled, how far it is consumed, what is handed out, and how far each
// producer has come. So an operation on a lane is a function of that page, and
// what it does is changes of a few pages: they are replicated, moved, spilled and
// dropped as all pages are, and survive what pages survive. A page of zeros is an
// empty lane.
//
// It is pure. The home of the lane's shard calls Step when it gives an operation
// its place in the history (core/shard); members get the changes. It decides no
// rights: who asks is named by the node that authorised them. What it follows is
// the idempotent producer of Kafka and the message group of SQS.
package lane

import (
	"encoding/binary"

	"github.com/holocompute/holocompute/internal/holo"
)

// Limits of a lane.
const (
	// Producers is how many producers a lane remembers, PerOwner how many of
	// one principal: what one opens beyond that, its own oldest makes room for.
	Producers = 64
	PerOwner  = 16
	// MinPages and MaxPages bound the pages of a lane: the header, and three at
	// least that are filled in turn.
	MinPages = 4
	MaxPages = holo.MaxExtentPages
	// HeadBytes is the part of the header that says how the lane is.
	HeadBytes = 128

	slotBytes   = 16 + 3*8
	headerBytes = HeadBytes + Producers*slotBytes
)

// Party is a producer or a consumer: a number that it drew, and the principal
// who did, so that nobody speaks for somebody else by knowing a number.
type Party struct {
	Owner  [16]byte
	Number uint64
}

// Phase is what has become of the last hand-out.
type Phase uint64

// The phases.
const (
	Idle      Phase = iota // nothing is handed out
	HandedOut              // from Head to Taken, to Taker
)

// State is a lane as its header says. Offsets count the bytes ever appended.
type State struct {
	Head, Tail uint64 // what is there: from Head to Tail
	Taken      uint64 // end of what is handed out, while something is
	Number     uint64 // counts the hand-outs: the fencing token of the last
	Phase      Phase
	Taker      Party
	TakerSeq   uint64 // the consumer's own count of what it asks for
	Settled    uint64 // of the last 64 hand-outs, a bit each: it was committed
	Steps      uint64 // counts the appends, for who was idle longest
	Appended   uint64 // records
	Consumed   uint64
	Count      uint64 // records in what is handed out
}

// Ready reports whether there are records that nobody has.
func (s *State) Ready() bool { return s.Head < s.Tail && s.Phase == Idle }

// Room is how many bytes of frames can be appended. One page of the ring is kept
// free: what is consumed is cleared by whole pages, and so no page that is
// cleared holds anything new.
func (s *State) Room(pages int) uint64 { return Capacity(pages) - (s.Tail - s.Head) }

// Capacity is how many bytes of frames a lane of so many pages holds.
func Capacity(pages int) uint64 { return uint64(pages-2) * holo.PageSize }

// producer is what a lane remembers of one: the last of its records that is there.
type producer struct {
	who  Party
	last uint64
	used uint64 // the step of its last append
}

// header is the whole of the first page.
type header struct {
	State
	producers []producer // in no order, those that there are
}

// ParseState reads the head of a header, of HeadBytes.
func ParseState(b []byte) (s State, err error) {
	if len(b) < HeadBytes {
		return s, holo.Errorf(holo.Corrupt, "read lane: a header of %d bytes", len(b))
	}
	u := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	s = State{
		Head: u(0), Tail: u(1), Taken: u(2), Number: u(3), Phase: Phase(u(4)), TakerSeq: u(5), Settled: u(6),
		Steps: u(7), Appended: u(8), Consumed: u(9), Count: u(10),
	}
	copy(s.Taker.Owner[:], b[88:])
	s.Taker.Number = binary.LittleEndian.Uint64(b[104:])
	if s.Head > s.Tail || s.Tail-s.Head > Capacity(MaxPages) || s.Phase > HandedOut || s.Phase == HandedOut && (s.Taken <= s.Head || s.Taken > s.Tail) {
		return State{}, holo.Errorf(holo.Corrupt, "read lane: its header makes no sense: from %d to %d, handed out to %d", s.Head, s.Tail, s.Taken)
	}
	return s, nil
}

// Put writes it as ParseState reads it.
func (s *State) Put(b []byte) {
	for i, v := range []uint64{
		s.Head, s.Tail, s.Taken, s.Number, uint64(s.Phase), s.TakerSeq, s.Settled, s.Steps, s.Appended, s.Consumed, s.Count,
	} {
		binary.LittleEndian.PutUint64(b[8*i:], v)
	}
	copy(b[88:], s.Taker.Owner[:])
	binary.LittleEndian.PutUint64(b[104:], s.Taker.Number)
}

func parse(b []byte) (*header, error) {
	s, err := ParseState(b)
	if err != nil {
		return nil, err
	}
	h := &header{State: s}
	for b = b[HeadBytes:headerBytes]; len(b) > 0; b = b[slotBytes:] {
		p := producer{
			who:  Party{Number: binary.LittleEndian.Uint64(b[16:])},
			last: binary.LittleEndian.Uint64(b[24:]), used: binary.LittleEndian.Uint64(b[32:]),
		}
		if copy(p.who.Owner[:], b); p.who.Number != 0 {
			h.producers = append(h.producers, p)
		}
	}
	return h, nil
}

func (h *header) bytes() []byte {
	b := make([]byte, headerBytes)
	h.State.Put(b)
	for i, p := range h.producers {
		at := b[HeadBytes+i*slotBytes:]
		copy(at, p.who.Owner[:])
		binary.LittleEndian.PutUint64(at[16:], p.who.Number)
		binary.LittleEndian.PutUint64(at[24:], p.last)
		binary.LittleEndian.PutUint64(at[32:], p.used)
	}
	return b
}
