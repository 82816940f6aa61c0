package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
)

// batch is how much plaintext is sealed before it is handed to QUIC: a page in
// one call.
const batch = 4 * handshake.MaxPlaintext

// betweenPages is room in a batch for what a message has besides the page.
const betweenPages = 1 << 10

// Buffers for one record on the way in and one batch on the way out. A stream
// that waits for either holds none, so idle streams are cheap.
var (
	recordBuffers = sync.Pool{New: func() any { return new([handshake.MaxRecord]byte) }}
	batchBuffers  = sync.Pool{New: func() any {
		b := make([]byte, 0, batch/handshake.MaxPlaintext*handshake.MaxRecord+betweenPages)
		return &b
	}}
)

// Stream is an ordered, sealed stream of bytes in both directions. Like every
// net.Conn it is safe for concurrent use. Close MUST be called.
//
// Reading ends with io.EOF where the peer ended its direction on purpose, and
// with io.ErrUnexpectedEOF where the bytes stop otherwise. A Write that fails,
// by its deadline too, ends this side's direction for good: part of a record
// may have been sent. A Read whose deadline passes can be repeated.
type Stream struct {
	session *Session
	quic    *quic.Stream
	closed  atomic.Bool

	in struct {
		sync.Mutex
		opener *handshake.Opener
		record *[handshake.MaxRecord]byte // nil while nothing is buffered
		filled int                        // bytes of the record that have come
		plain  []byte                     // opened and not yet read; lies in record
		err    error                      // final
	}
	out struct {
		sync.Mutex
		sealer *handshake.Sealer
		err    error // final
	}
}

var _ net.Conn = (*Stream)(nil)

// newStream is called once for each QUIC stream.
func newStream(s *Session, q *quic.Stream) (*Stream, error) {
	id := uint64(q.StreamID())
	st := &Stream{session: s, quic: q}
	s.keys.Lock()
	defer s.keys.Unlock()
	if s.keys.wiped {
		return nil, holo.Refuse(holo.Unavailable, ReasonDisconnected, "open stream with %s: session ended", s.Peer())
	}
	st.in.opener, st.out.sealer = s.noise.Opener(id), s.noise.Sealer(id)
	return st, nil
}

// Session is what the stream belongs to.
func (s *Stream) Session() *Session { return s.session }

// Read reads what the peer sealed. A record that p has room for is opened straight
// into it.
func (s *Stream) Read(p []byte) (int, error) {
	s.in.Lock()
	defer s.in.Unlock()
	for len(s.in.plain) == 0 {
		if s.in.err != nil {
			return 0, s.in.err
		}
		if len(p) == 0 {
			return 0, nil
		}
		if n, err := s.nextRecord(p); n > 0 || err != nil {
			return n, err
		}
	}
	n := copy(p, s.in.plain)
	s.in.plain = s.in.plain[n:]
	if len(s.in.plain) == 0 {
		s.releaseRecord()
	}
	return n, nil
}

// nextRecord reads one record and opens it into p, or where it lies if p is too
// short. An error other than a deadline's is kept.
func (s *Stream) nextRecord(p []byte) (n int, err error) {
	if s.in.record == nil {
		s.in.record = recordBuffers.Get().(*[handshake.MaxRecord]byte)
	}
	size, err := s.fillRecord()
	if err != nil {
		if s.in.filled == 0 {
			s.releaseRecord()
		}
		if isDeadline(err) {
			return 0, err
		}
		s.in.err = s.ended(err)
		return 0, s.in.err
	}
	return s.openRecord(p, s.in.record[:size])
}

// fillRecord reads until a whole record is there, and gives its length. It
// goes on where a deadline stopped it.
func (s *Stream) fillRecord() (size int, err error) {
	if err := s.fill(handshake.RecordHeader); err != nil {
		return 0, err
	}
	size, err = handshake.RecordLen(s.in.record[:handshake.RecordHeader])
	if err != nil {
		return 0, err
	}
	return size, s.fill(size)
}

func (s *Stream) fill(upTo int) error {
	for s.in.filled < upTo {
		n, err := s.quic.Read(s.in.record[s.in.filled:upTo])
		s.in.filled += n
		if err != nil && s.in.filled < upTo {
			return err
		}
	}
	return nil
}

// openRecord gives how many bytes were opened into p; else plain has them.
func (s *Stream) openRecord(p, record []byte) (n int, err error) {
	const head = handshake.RecordHeader
	dst, direct := record[head:head], len(p) >= handshake.PlaintextLen(record)
	if direct {
		dst = p[:0:len(p)]
	}
	plain, fin, err := s.in.opener.Open(dst, record)
	s.in.filled = 0
	if err != nil {
		s.in.err = s.ended(err)
		return 0, s.in.err
	}
	if fin {
		s.in.err = io.EOF
	}
	if direct {
		s.releaseRecord()
		return len(plain), nil
	}
	s.in.plain = plain
	return 0, nil
}

func (s *Stream) releaseRecord() {
	if s.in.record != nil && s.in.filled == 0 {
		recordBuffers.Put(s.in.record)
		s.in.record, s.in.plain = nil, nil
	}
}

// ended is the final error of the reading side. What does not open was not
// sealed by the peer at this place; then the whole session is given up.
func (s *Stream) ended(err error) error {
	switch {
	case holo.KindOf(err) == holo.Corrupt:
		s.session.broken(ReasonBadRecord)
		return holo.Refuse(holo.Corrupt, ReasonBadRecord, "read from %s: %w", s.session.Peer(), err)
	case errors.Is(err, io.EOF): // QUIC's end, which nobody authenticated
		return io.ErrUnexpectedEOF
	}
	return s.session.wrap("read from stream", err)
}

// Write seals p and sends it. It returns when QUIC has taken everything.
func (s *Stream) Write(p []byte) (int, error) {
	s.out.Lock()
	defer s.out.Unlock()
	return s.writePieces(p)
}

// writePieces seals pieces one after another, and hands them to QUIC in batches.
func (s *Stream) writePieces(pieces ...[]byte) (sent int, err error) {
	if s.out.err != nil {
		return 0, s.out.err
	}
	buffer := batchBuffers.Get().(*[]byte)
	defer batchBuffers.Put(buffer)
	b, sealed := (*buffer)[:0], 0
	for _, p := range pieces {
		for len(p) > 0 {
			n := min(handshake.MaxPlaintext, len(p))
			if len(b)+handshake.SealedLen(n) > cap(b) {
				if err := s.writeBatch(b); err != nil {
					return sent, err
				}
				b, sent, sealed = b[:0], sent+sealed, 0
			}
			b, p, sealed = s.out.sealer.Seal(b, p[:n], false), p[n:], sealed+n
		}
	}
	if len(b) == 0 {
		return sent, nil
	}
	if err := s.writeBatch(b); err != nil {
		return sent, err
	}
	return sent + sealed, nil
}

// writeBatch hands sealed records to QUIC in one piece.
func (s *Stream) writeBatch(b []byte) error {
	_, err := s.quic.Write(b)
	if err != nil {
		s.out.err = err
		if !isDeadline(err) {
			s.out.err = s.session.wrap("write to stream", err)
		}
		s.quic.CancelWrite(codeBroken) // half a record may be on its way
	}
	return s.out.err
}

// sealEnd seals the end of the stream.
func (s *Stream) sealEnd() []byte { return s.out.sealer.Seal(nil, nil, true) }

// errEnded is what Write gives after CloseWrite or Close.
var errEnded = holo.Errorf(holo.Invalid, "write to stream: %w", net.ErrClosed)

// CloseWrite ends this side's direction: the peer reads io.EOF after what was
// written, and can go on writing.
func (s *Stream) CloseWrite() error {
	s.out.Lock()
	defer s.out.Unlock()
	if s.out.err != nil {
		if s.out.err == errEnded {
			return nil
		}
		return s.out.err
	}
	if err := s.writeBatch(s.sealEnd()); err != nil {
		return err
	}
	s.out.err = errEnded
	return s.quic.Close()
}

// Close ends both directions. What was written before is still delivered, with
// an authenticated end; what the peer goes on to send is dropped. It does not
// wait: a Write in progress is broken off, and so is the stream where the peer
// takes nothing any more.
func (s *Stream) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	if s.out.TryLock() {
		s.end()
		s.out.Unlock()
	} else {
		s.quic.CancelWrite(codeBroken)
	}
	s.quic.CancelRead(codeClosed)
	s.quic.ReleaseStreamCredit()
	return nil
}

// end is CloseWrite without waiting.
func (s *Stream) end() {
	if s.out.err != nil {
		return
	}
	s.out.err = errEnded
	if s.quic.TryWriteAll(s.sealEnd()) != nil {
		s.quic.CancelWrite(codeBroken)
		return
	}
	s.quic.Close()
}

// Reset breaks both directions off: the peer's Read gives an error, never
// io.EOF. It is for answers that cannot be finished.
func (s *Stream) Reset() {
	s.quic.CancelWrite(codeBroken)
	s.Close()
}

// LocalAddr and RemoteAddr are the ends of the connection; they identify
// nobody.
func (s *Stream) LocalAddr() net.Addr  { return s.session.conn.LocalAddr() }
func (s *Stream) RemoteAddr() net.Addr { return s.session.conn.RemoteAddr() }

// SetDeadline sets both deadlines. The zero time is none.
func (s *Stream) SetDeadline(t time.Time) error { return s.quic.SetDeadline(t) }

// SetReadDeadline makes Reads that wait at t fail with
// os.ErrDeadlineExceeded; they can be repeated with a later one.
func (s *Stream) SetReadDeadline(t time.Time) error { return s.quic.SetReadDeadline(t) }

// SetWriteDeadline makes Writes that wait at t fail, which is final.
func (s *Stream) SetWriteDeadline(t time.Time) error { return s.quic.SetWriteDeadline(t) }

func isDeadline(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
