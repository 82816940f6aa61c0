package consensus

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/hashicorp/raft"

	"github.com/holocompute/holocompute/internal/holo"
)

// An entry in the file:
//
//	crc(4) version(1) type(1) index(8) term(8) appended(8) extensions(4, then bytes) data(the rest)
//
// big endian, the checksum (CRC-32C) over all that follows it. It finds what a
// disk changed; whoever can write the file can also write a checksum.
const (
	entryVersion = 1
	entryHead    = 4 + 1 + 1 + 8 + 8 + 8 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeEntry(l *raft.Log) []byte {
	b := make([]byte, 4, entryHead+len(l.Extensions)+len(l.Data))
	b = append(b, entryVersion, byte(l.Type))
	b = binary.BigEndian.AppendUint64(b, l.Index)
	b = binary.BigEndian.AppendUint64(b, l.Term)
	b = binary.BigEndian.AppendUint64(b, uint64(appendedNanos(l.AppendedAt)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(l.Extensions)))
	b = append(b, l.Extensions...)
	b = append(b, l.Data...)
	binary.BigEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	return b
}

// decodeEntry copies everything out of b, which is gone with its transaction.
func decodeEntry(b []byte, index uint64, l *raft.Log) error {
	if len(b) < entryHead || binary.BigEndian.Uint32(b) != crc32.Checksum(b[4:], castagnoli) {
		return holo.Errorf(holo.Corrupt, "read log entry %d: checksum is wrong", index)
	}
	extensions := int64(binary.BigEndian.Uint32(b[30:]))
	found := binary.BigEndian.Uint64(b[6:])
	if b[4] != entryVersion || found != index || extensions > int64(len(b)-entryHead) {
		return holo.Errorf(holo.Corrupt, "read log entry %d: malformed", index)
	}
	rest := append([]byte(nil), b[entryHead:]...)
	*l = raft.Log{
		Index: found, Term: binary.BigEndian.Uint64(b[14:]), Type: raft.LogType(b[5]),
		AppendedAt: appendedTime(int64(binary.BigEndian.Uint64(b[22:]))),
		Extensions: rest[:extensions:extensions], Data: rest[extensions:],
	}
	if len(l.Extensions) == 0 {
		l.Extensions = nil
	}
	return nil
}

// The zero time has no UnixNano; 0 stands for it.
func appendedNanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func appendedTime(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}
