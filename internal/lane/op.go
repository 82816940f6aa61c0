package lane

import (
	"encoding/binary"

	"github.com/holocompute/holocompute/internal/holo"
)

// Limits of one operation. It travels as a change of a page, so that it has
// room in 64 KiB.
const (
	MaxRecord  = 60 << 10
	MaxRecords = 1024
	MaxBatch   = 62 << 10 // bytes of records with 4 for each
	// MaxSequence bounds the numbers of a producer's records: what an outcome
	// can say.
	MaxSequence = 1<<56 - 1
)

// OpKind says what an operation does.
type OpKind uint8

// The kinds.
const (
	Open    OpKind = iota + 1 // the lane remembers the producer from now on
	Close                     // and no more
	Append                    // adds records of an open producer
	Take                      // hands out what lies from Head to End
	Commit                    // what was handed out is consumed
	Release                   // what was handed out is there for others
	opKinds
)

// Op is an operation on a lane.
type Op struct {
	Kind    OpKind
	Pages   int // of the lane, its header included
	Who     Party
	Seq     uint64   // of Append: the first record's; of Take: the consumer's own count
	Records [][]byte // of Append
	Number  uint64   // of Take: the last hand-out that the taker knows of; of Commit and Release: which it is about
	Head    uint64   // of Take: where the lane began as far as the taker knows
	End     uint64   // of Take
	Count   uint64   // of Take: the records in it
}

const opHead = 1 + 1 + 16 + 8

// Encode writes the operation.
func (o *Op) Encode() []byte {
	b := append([]byte{byte(o.Kind), byte(o.Pages)}, o.Who.Owner[:]...)
	b = binary.LittleEndian.AppendUint64(b, o.Who.Number)
	switch o.Kind {
	case Append:
		b = binary.LittleEndian.AppendUint64(b, o.Seq)
		for _, r := range o.Records {
			b = append(binary.LittleEndian.AppendUint32(b, uint32(len(r))), r...)
		}
	case Take:
		for _, v := range []uint64{o.Seq, o.Number, o.Head, o.End, o.Count} {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
	case Commit, Release:
		b = binary.LittleEndian.AppendUint64(b, o.Number)
	}
	return b
}

// Decode reads an operation. Records share b's memory.
func Decode(b []byte) (*Op, error) {
	if len(b) < opHead {
		return nil, bad("it has %d bytes", len(b))
	}
	o := &Op{Kind: OpKind(b[0]), Pages: int(b[1]), Who: Party{Owner: [16]byte(b[2:]), Number: binary.LittleEndian.Uint64(b[18:])}}
	if o.Pages < MinPages || o.Pages > MaxPages || o.Who.Number == 0 {
		return nil, bad("%d pages, party %d", o.Pages, o.Who.Number)
	}
	b = b[opHead:]
	words := map[OpKind]int{Open: 0, Close: 0, Take: 5, Commit: 1, Release: 1}
	if n, fixed := words[o.Kind]; fixed && len(b) == 8*n {
		fields := []*uint64{&o.Number}
		if o.Kind == Take {
			fields = []*uint64{&o.Seq, &o.Number, &o.Head, &o.End, &o.Count}
		}
		for i := range n {
			*fields[i] = binary.LittleEndian.Uint64(b[8*i:])
		}
		return o, nil
	}
	if o.Kind == Append && len(b) > 8 {
		o.Seq = binary.LittleEndian.Uint64(b)
		return o, o.decodeRecords(b[8:])
	}
	return nil, bad("kind %d with %d bytes", o.Kind, len(b))
}

func (o *Op) decodeRecords(b []byte) error {
	if len(b) > MaxBatch || o.Seq == 0 || o.Seq > MaxSequence {
		return bad("%d bytes of records from %d on", len(b), o.Seq)
	}
	for len(b) > 0 {
		if len(b) < 4 {
			return bad("a record is cut off")
		}
		n := binary.LittleEndian.Uint32(b)
		if b = b[4:]; uint64(n) > uint64(len(b)) || n > MaxRecord || len(o.Records) == MaxRecords {
			return bad("record %d of %d bytes, %d are there", len(o.Records), n, len(b))
		}
		o.Records = append(o.Records, b[:n:n])
		b = b[n:]
	}
	return nil
}

func bad(format string, args ...any) error {
	return holo.Errorf(holo.Invalid, "operation on a lane: "+format, args...)
}

// Spread is how many pages of the ring an encoded operation may fill, at most.
func Spread(op []byte) int {
	if len(op) == 0 || OpKind(op[0]) != Append {
		return 0
	}
	const most = MaxBatch + MaxRecords*(FrameBytes-4)
	return (min(len(op)*FrameBytes/4, most)+holo.PageSize-1)/holo.PageSize + 1
}

// Outcome is what came of an operation: a word, and a number that says more.
type Outcome struct {
	Word  Word
	Value uint64 // below 2^56
}

// Word is the outcome in a word.
type Word uint8

// The outcomes. Only Done changes anything.
const (
	Done      Word = iota + 1 // Value: the offset appended at; the number of the hand-out
	Again                     // it was done before; Value as then, where that is known
	Full                      // no room; Value: the bytes that there are
	Forgotten                 // no such producer, or no more
	Gap                       // not the producer's next record; Value: its last
	Moved                     // the lane is not as the taker thinks
	Fenced                    // the hand-out is not the caller's, or not any more
	LongAgo                   // what became of so old a hand-out is not known any more
)

// Pack is the outcome as what an atomic operation met.
func (o Outcome) Pack() uint64 { return o.Value<<8 | uint64(o.Word) }

// Unpack reads it.
func Unpack(v uint64) Outcome { return Outcome{Word(v), v >> 8} }
