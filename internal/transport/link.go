package transport

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
)

// link runs the Noise handshake over the first stream of a connection:
// messages with two bytes of length in front, and then a greeting in each
// direction, the only sealed records on that stream. The initiator's says what
// the connection carries; the responder's says that it admitted the initiator,
// who otherwise would learn of a refusal only from its first use of the
// session.
type link struct {
	stream   *quic.Stream
	machine  *handshake.Machine
	instance instance // ours
}

// instance is drawn for each Transport, to tell a process from the one that it
// replaces under the same identity.
type instance [16]byte

// greeting is what both sides say first in the session.
type greeting struct {
	class Class
	from  instance
}

const greetingSize = 1 + len(instance{})

// bind fills in what ties the handshake to this connection and this moment.
// An attacker between two TLS sessions has two different exporters.
func bind(l *handshake.Local, conn *quic.Conn, now time.Time) error {
	state := conn.ConnectionState().TLS
	exporter, err := state.ExportKeyingMaterial(exporterLabel, nil, 32)
	if err != nil {
		return holo.Errorf(holo.Internal, "bind handshake to its connection: %w", err)
	}
	l.Transport, l.Exporter, l.NowUnix = Kind, exporter, now.Unix()
	return nil
}

// initiate says the first message and goes on to the end.
func (k *link) initiate(first []byte, class Class) (*handshake.Session, greeting, error) {
	if err := k.write(first); err != nil {
		return nil, greeting{}, err
	}
	noise, err := k.exchange()
	if err != nil {
		return nil, greeting{}, err
	}
	if err := k.greet(noise, class); err != nil {
		return nil, greeting{}, err
	}
	peer, err := k.greeted(noise)
	if err == nil && peer.class != class {
		err = holo.Refuse(holo.Corrupt, handshake.ReasonBadHandshake, "handshake: %s was asked for and %s answered", class, peer.class)
	}
	return noise, peer, err
}

// respond waits for the first message and goes on to the end.
func (k *link) respond() (*handshake.Session, greeting, error) {
	noise, err := k.exchange()
	if err != nil {
		return nil, greeting{}, err
	}
	peer, err := k.greeted(noise)
	if err != nil {
		return nil, greeting{}, err
	}
	return noise, peer, k.greet(noise, peer.class)
}

// exchange takes turns until there is a session.
func (k *link) exchange() (*handshake.Session, error) {
	for {
		message, err := k.read()
		if err != nil {
			return nil, err
		}
		reply, done, err := k.machine.Process(message)
		if err != nil {
			k.sayNo(reply)
			return nil, err
		}
		if reply != nil {
			if err := k.write(reply); err != nil {
				return nil, err
			}
		}
		if done {
			return k.machine.Session(), nil
		}
	}
}

// sayNo sends the one answer that a refusal may have (that a protocol is not
// allowed), and waits until the peer has taken it and gone, or is out of time:
// closing the connection at once would overtake it.
func (k *link) sayNo(reply []byte) {
	if reply == nil || k.write(reply) != nil {
		return
	}
	k.stream.Close()
	io.Copy(io.Discard, io.LimitReader(k.stream, handshake.MaxMessage))
}

func (k *link) write(message []byte) error {
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(message)), uint16(len(message)))
	_, err := k.stream.Write(append(framed, message...))
	return k.wrap(err)
}

func (k *link) read() ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(k.stream, head[:]); err != nil {
		return nil, k.wrap(err)
	}
	size := int(binary.BigEndian.Uint16(head[:]))
	if size > handshake.MaxMessage {
		return nil, holo.Refuse(holo.Invalid, ReasonLong, "handshake: a message of %d bytes, at most %d", size, handshake.MaxMessage)
	}
	message := make([]byte, size)
	_, err := io.ReadFull(k.stream, message)
	return message, k.wrap(err)
}

// greet sends this side's greeting and ends its direction of the stream.
func (k *link) greet(noise *handshake.Session, class Class) error {
	b := append([]byte{byte(class)}, k.instance[:]...)
	sealer := noise.Sealer(uint64(k.stream.StreamID()))
	if _, err := k.stream.Write(sealer.Seal(nil, b, true)); err != nil {
		return k.wrap(err)
	}
	k.stream.Close() // fails only where the peer has read all that it wants, and the record says the end
	return nil
}

// greeted reads the peer's greeting.
func (k *link) greeted(noise *handshake.Session) (greeting, error) {
	var record [handshake.MaxRecord - handshake.MaxPlaintext + greetingSize]byte
	if _, err := io.ReadFull(k.stream, record[:]); err != nil {
		return greeting{}, k.wrap(err)
	}
	b, fin, err := noise.Opener(uint64(k.stream.StreamID())).Open(nil, record[:])
	if err != nil {
		return greeting{}, holo.Refuse(holo.Corrupt, ReasonBadRecord, "handshake: greeting: %w", err)
	}
	if !fin || len(b) != greetingSize || b[0] >= byte(classes) {
		return greeting{}, holo.Refuse(holo.Invalid, handshake.ReasonBadHandshake, "handshake: greeting %x", b)
	}
	return greeting{class: Class(b[0]), from: instance(b[1:])}, nil
}

// wrap says why the stream failed: the peer refused, time ran out, or the
// connection broke.
func (k *link) wrap(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok && e.Remote && e.ErrorCode == codeRefused {
		return holo.Refuse(holo.Denied, ReasonRefused, "handshake: the peer refused")
	}
	var timeout net.Error
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return holo.Refuse(holo.Unavailable, ReasonTimeout, "handshake: not finished in time: %w", err)
	}
	return holo.Refuse(holo.Unavailable, ReasonBroken, "handshake: %w", err)
}
