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

// keptBuffer is the largest buffer worth keeping for the next message: the heads of
// a message of 1 MiB of pages, which are not copied into it.
const keptBuffer = 64 << 10

var messageBuffers = sync.Pool{New: func() any { return new([]byte) }}

// WriteMessage encodes and sends one message, its pages from where they lie.
// Concurrent callers do not mix. A message that the session's version does not have
// is refused as Denied, and the stream is as before.
func (s *Stream) WriteMessage(m wire.Message) error {
	if err := s.session.can("send", m); err != nil {
		return err
	}
	buffer := messageBuffers.Get().(*[]byte)
	pieces := wire.Pieces(append((*buffer)[:0], make([]byte, messageHead)...), m)
	defer func() {
		if head := pieces[0]; cap(head) <= keptBuffer {
			*buffer = head[:0]
		}
		messageBuffers.Put(buffer)
	}()
	size := -messageHead
	for _, p := range pieces {
		size += len(p)
	}
	if size > wire.MaxMessage {
		return holo.Errorf(holo.Invalid, "send message %#04x: %d bytes, at most %d", uint16(m.Type()), size, wire.MaxMessage)
	}
	binary.LittleEndian.PutUint32(pieces[0], uint32(size))
	s.out.Lock()
	defer s.out.Unlock()
	_, err := s.writePieces(pieces...)
	return err
}

// ReadMessage reads one message, which keeps the bytes it was decoded from.
// At the authenticated end of the stream, and only between messages, the error
// is io.EOF. One goroutine at a time may read messages from a stream.
func (s *Stream) ReadMessage() (wire.Message, error) {
	m, _, err := s.ReadFrame()
	return m, err
}

// ReadFrame is ReadMessage that also gives the bytes the message was decoded from.
func (s *Stream) ReadFrame() (wire.Message, Frame, error) {
	var head [messageHead]byte
	if _, err := io.ReadFull(s, head[:]); err != nil {
		return nil, Frame{}, err
	}
	size := int64(binary.LittleEndian.Uint32(head[:]))
	if size > wire.MaxMessage {
		return nil, Frame{}, holo.Errorf(holo.Invalid, "receive message from %s: %d bytes, at most %d", s.session.Peer(), size, wire.MaxMessage)
	}
	b, err := s.readAll(int(size))
	if err != nil {
		return nil, Frame{}, err
	}
	m, err := wire.Decode(b)
	if err != nil {
		return nil, Frame{}, err
	}
	if err := s.session.can("receive", m); err != nil {
		return nil, Frame{}, holo.Refuse(holo.Invalid, protocol.ReasonSkew, "%w", err)
	}
	return m, Frame{b}, nil
}

func (s *Stream) readAll(size int) ([]byte, error) {
	b := room(size)
	for have := 0; ; {
		n, err := io.ReadFull(s, b[have:])
		have += n
		if errors.Is(err, io.EOF) {
			return nil, io.ErrUnexpectedEOF
		}
		if err != nil || have == size {
			return b, err
		}
		b = grown(b, size)
	}
}
