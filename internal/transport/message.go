package transport

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/protocol"
	"github.com/holocompute/holocompute/internal/wire"
)

// A message on a stream has four bytes of length in front, little endian.
const messageHead = 4

// firstPart is how much of a message is allocated before its bytes have come:
// a page and its head. More follows as they come, so that a length alone costs
// nothing.
const firstPart = holo.PageSize + 4<<10

// keptBuffer is the largest buffer worth keeping for the next message: 1 MiB of
// pages, as one message of replication has at most, and their heads. A buffer that
// grows to that anew copies every page some five times.
const keptBuffer = 1<<20 + 256<<10

var messageBuffers = sync.Pool{New: func() any { return new([]byte) }}

// WriteMessage encodes and sends one message. Concurrent callers do not mix. A
// message that the session's version does not have is refused as Denied, and the
// stream is as before.
func (s *Stream) WriteMessage(m wire.Message) error {
	if err := s.session.can("send", m); err != nil {
		return err
	}
	buffer := messageBuffers.Get().(*[]byte)
	b := wire.Append(append((*buffer)[:0], 0, 0, 0, 0), m)
	defer func() {
		if cap(b) <= keptBuffer {
			*buffer = b[:0]
		}
		messageBuffers.Put(buffer)
	}()
	size := len(b) - messageHead
	if size > wire.MaxMessage {
		return holo.Errorf(holo.Invalid, "send message %#04x: %d bytes, at most %d", uint16(m.Type()), size, wire.MaxMessage)
	}
	binary.LittleEndian.PutUint32(b, uint32(size))
	_, err := s.Write(b)
	return err
}

// ReadMessage reads one message, which keeps the bytes it was decoded from.
// At the authenticated end of the stream, and only between messages, the error
// is io.EOF. One goroutine at a time may read messages from a stream.
func (s *Stream) ReadMessage() (wire.Message, error) {
	var head [messageHead]byte
	if _, err := io.ReadFull(s, head[:]); err != nil {
		return nil, err
	}
	size := int64(binary.LittleEndian.Uint32(head[:]))
	if size > wire.MaxMessage {
		return nil, holo.Errorf(holo.Invalid, "receive message from %s: %d bytes, at most %d", s.session.Peer(), size, wire.MaxMessage)
	}
	b, err := s.readAll(int(size))
	if err != nil {
		return nil, err
	}
	m, err := wire.Decode(b)
	if err != nil {
		return nil, err
	}
	if err := s.session.can("receive", m); err != nil {
		return nil, holo.Refuse(holo.Invalid, protocol.ReasonSkew, "%w", err)
	}
	return m, nil
}

func (s *Stream) readAll(size int) ([]byte, error) {
	b := make([]byte, min(size, firstPart))
	for have := 0; ; {
		n, err := io.ReadFull(s, b[have:])
		have += n
		if errors.Is(err, io.EOF) {
			return nil, io.ErrUnexpectedEOF
		}
		if err != nil || have == size {
			return b, err
		}
		more := make([]byte, min(size, 4*len(b)))
		copy(more, b)
		b = more
	}
}
