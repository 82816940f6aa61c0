package audit

import (
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/holocompute/holocompute/internal/wire"
)

// A frame is the length of its body, the CRC-32C of the body (4 bytes each,
// little endian) and the body, whose first byte says what it is. The CRC finds
// accidents; what finds intent is the tree.
const (
	frameHead = 8

	kindRecord     = byte(1) // an encoded wire.AuditRecord, a leaf of the tree
	kindCheckpoint = byte(2) // a signed note

	maxBody = 1 + max(wire.MaxAuditRecord, maxNote)
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendFrame appends one frame to b.
func appendFrame(b []byte, kind byte, content []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(1+len(content)))
	sum := crc32.Update(crc32.Checksum([]byte{kind}, castagnoli), castagnoli, content)
	b = binary.LittleEndian.AppendUint32(b, sum)
	b = append(b, kind)
	return append(b, content...)
}

// frame is one that was read: its kind, its content and its length in all.
type frame struct {
	kind    byte
	content []byte
	bytes   int64
}

// readFrame reads the next frame. It gives io.EOF where the file ends between
// two frames, and errBroken for what is no frame.
func readFrame(r io.Reader) (frame, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, brokenUnless(err, io.EOF)
	}
	n := binary.LittleEndian.Uint32(head[:4])
	if n < 2 || n > maxBody {
		return frame{}, errBroken
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return frame{}, brokenUnless(err, nil)
	}
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
		return frame{}, errBroken
	}
	return frame{kind: body[0], content: body[1:], bytes: frameHead + int64(n)}, nil
}

// brokenUnless says that the bytes ended too early, unless the error is
// another one, or the end that is right.
func brokenUnless(err, right error) error {
	if err == io.EOF && right == nil || err == io.ErrUnexpectedEOF {
		return errBroken
	}
	return err
}
