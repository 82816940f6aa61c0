package lane

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/holocompute/holocompute/internal/digest"
	"github.com/holocompute/holocompute/internal/holo"
)

// FrameBytes is what a record takes besides its bytes: how long it is, whose and
// which, and a check over all that and over where it lies.
const FrameBytes = 4 + 8 + 8 + 8

// Record is one record of a lane.
type Record struct {
	Offset   uint64 // of its frame
	Producer uint64
	Sequence uint64 // counts the producer's records, from 1
	Data     []byte
}

// appendFrame adds the frame of a record to b.
func appendFrame(b []byte, r Record) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.Data)))
	b = binary.LittleEndian.AppendUint64(b, r.Producer)
	b = binary.LittleEndian.AppendUint64(b, r.Sequence)
	sum := frameCheck(b[start:], r.Offset, r.Data)
	return append(append(b, sum[:]...), r.Data...)
}

func frameCheck(head []byte, offset uint64, data []byte) [8]byte {
	all := slices.Grow(slices.Clone(head), 8+len(data))
	d := digest.Of(append(binary.LittleEndian.AppendUint64(all, offset), data...))
	return [8]byte(d[:8])
}

// Frames reads the whole frames at the front of b, which lies at an offset of a
// lane: at most so many bytes of them, but one at least where it is whole. What
// is not a frame, or one of another place, is Corrupt. Records share b's memory.
func Frames(b []byte, offset uint64, most int) (list []Record, end uint64, err error) {
	for end = offset; len(b) >= FrameBytes; {
		size := binary.LittleEndian.Uint32(b)
		if size > MaxRecord {
			return nil, 0, torn(end)
		}
		n := FrameBytes + int(size)
		if n > len(b) || len(list) > 0 && int(end-offset)+n > most {
			break
		}
		r := Record{Offset: end, Producer: binary.LittleEndian.Uint64(b[4:]), Sequence: binary.LittleEndian.Uint64(b[12:]), Data: b[FrameBytes:n:n]}
		if sum := frameCheck(b[:FrameBytes-8], end, r.Data); !bytes.Equal(sum[:], b[FrameBytes-8:FrameBytes]) {
			return nil, 0, torn(end)
		}
		list = append(list, r)
		b, end = b[n:], end+uint64(n)
	}
	return list, end, nil
}

func torn(offset uint64) error {
	return holo.Errorf(holo.Corrupt, "read lane: what lies at byte %d is no record", offset)
}
