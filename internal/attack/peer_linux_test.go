package attack

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// bugs are the ways in which a peer deliberately breaks the rules; without any
// it is let in. It speaks QUIC and the framing itself, in the manner of
// BoringSSL's runner: a peer of the product could not say what it must not.
type bugs struct {
	exporter func([]byte) []byte                     // what it binds the handshake to
	message  func(number int, message []byte) []byte // a handshake message on its way out, 1 or 3
	framed   func(number int, framed []byte) []byte  // the same with its length in front
	answer   func(message []byte) []byte             // the node's message 2 on its way in
	silentAt stage                                   // it says nothing more from here on
	greeting func(sealed []byte) []byte              // its first record
}

// stage is how far a peer goes before it falls silent.
type stage int

const (
	neverSilent stage = iota
	afterTLS          // no stream
	inLength          // one byte of the first message's length
	inFirst           // half of message 1
	afterFirst        // message 1, and no ear for the answer
	inThird           // half of message 3
	beforeGreeting
	stages
)

var errSilent = errors.New("silent on purpose")

// networks numbers the /24 networks that attackers come from, so that the
// limits of one network do not end an attack that has another aim.
var networks atomic.Uint32

func newNetwork() net.IP {
	n := networks.Add(1)
	return net.IPv4(127, byte(1+n>>8), byte(n), 1)
}

// peer is one connection to the target and what came of it.
type peer struct {
	conn    *quic.Conn
	stream  *quic.Stream // of the handshake
	session *handshake.Session
	machine *handshake.Machine
}

// carrier is a QUIC connection to an address, with TLS and nothing more.
func carrier(t *testing.T, ctx context.Context, address string) (*quic.Conn, error) {
	t.Helper()
	return carrierFrom(t, ctx, newNetwork(), address)
}

func carrierFrom(t *testing.T, ctx context.Context, ip net.IP, address string) (*quic.Conn, error) {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip})
	must(t, err)
	tr := &quic.Transport{Conn: socket}
	t.Cleanup(func() { tr.Close(); socket.Close() })
	to, err := net.ResolveUDPAddr("udp", address)
	must(t, err)
	return tr.Dial(ctx, to, carrierTLS(), &quic.Config{KeepAlivePeriod: time.Second})
}

func carrierTLS() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"holo/1"}, MinVersion: tls.VersionTLS13}
}

// dialAs goes through the handshake as the bugs say. The peer that it gives
// has a session unless there is an error.
func dialAs(t *testing.T, ctx context.Context, address string, l handshake.Local, b bugs) (*peer, error) {
	t.Helper()
	conn, err := carrier(t, ctx, address)
	if err != nil {
		return nil, err
	}
	p := &peer{conn: conn}
	if err := p.shake(ctx, l, b); err != nil {
		if !errors.Is(err, errSilent) {
			conn.CloseWithError(0, "") // else the node waits for it, as for any slow peer
		}
		return p, err
	}
	return p, nil
}

func (p *peer) shake(ctx context.Context, l handshake.Local, b bugs) error {
	state := p.conn.ConnectionState().TLS
	exporter, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err != nil {
		return err
	}
	if b.exporter != nil {
		exporter = b.exporter(exporter)
	}
	if l.Transport == "" {
		l.Transport = transport.Kind
	}
	l.Exporter, l.NowUnix = exporter, time.Now().Unix()
	if b.silentAt == afterTLS {
		return errSilent
	}
	var first []byte
	if p.machine, first, err = handshake.Initiate(l); err != nil {
		return err
	}
	if p.stream, err = p.conn.OpenStreamSync(ctx); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { p.stream.SetDeadline(time.Unix(1, 0)) })()
	return p.speak(first, b)
}

// speak says message 1, hears 2, says 3, and greets.
func (p *peer) speak(first []byte, b bugs) error {
	if err := p.say(1, first, b); err != nil {
		return err
	}
	second, err := p.hear()
	if err != nil {
		return err
	}
	if b.answer != nil {
		second = b.answer(second)
	}
	third, done, err := p.machine.Process(second)
	if err != nil || !done {
		return errors.Join(err, errors.New("no session after message 2"))
	}
	if err := p.say(3, third, b); err != nil {
		return err
	}
	p.session = p.machine.Session()
	return p.greet(b)
}

func (p *peer) say(number int, message []byte, b bugs) error {
	if b.message != nil {
		message = b.message(number, message)
	}
	framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
	if b.framed != nil {
		framed = b.framed(number, framed)
	}
	cut, silent := len(framed), false
	switch {
	case number == 1 && b.silentAt == inLength:
		cut, silent = 1, true
	case number == 1 && b.silentAt == inFirst, number == 3 && b.silentAt == inThird:
		cut, silent = cut/2, true
	case number == 1 && b.silentAt == afterFirst, number == 3 && b.silentAt == beforeGreeting:
		silent = true
	}
	if _, err := p.stream.Write(framed[:cut]); err != nil || !silent {
		return err
	}
	return errSilent
}

func (p *peer) hear() ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(p.stream, head[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(head[:]))
	_, err := io.ReadFull(p.stream, message)
	return message, err
}

// greet says that this connection is for control, and reads the node's answer,
// which says that it let the peer in.
func (p *peer) greet(b bugs) error {
	id := uint64(p.stream.StreamID())
	sealed := p.session.Sealer(id).Seal(nil, make([]byte, 17), true)
	if b.greeting != nil {
		sealed = b.greeting(sealed)
	}
	if _, err := p.stream.Write(sealed); err != nil {
		return err
	}
	record, err := readRecord(p.stream)
	if err != nil {
		return err
	}
	_, _, err = p.session.Opener(id).Open(nil, record)
	return err
}

func readRecord(r io.Reader) ([]byte, error) {
	record := make([]byte, handshake.MaxRecord)
	if _, err := io.ReadFull(r, record[:handshake.RecordHeader]); err != nil {
		return nil, err
	}
	size, err := handshake.RecordLen(record[:handshake.RecordHeader])
	if err != nil {
		return nil, err
	}
	_, err = io.ReadFull(r, record[handshake.RecordHeader:size])
	return record[:size], err
}

// channel is a stream of a session, whose records the peer makes by hand.
type channel struct {
	*quic.Stream
	sealer *handshake.Sealer
	opener *handshake.Opener
}

func (p *peer) open(ctx context.Context) (*channel, error) {
	q, err := p.conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	id := uint64(q.StreamID())
	return &channel{q, p.session.Sealer(id), p.session.Opener(id)}, nil
}

// framed is a message with its length in front, as streams carry it.
func framed(m wire.Message) []byte {
	b := wire.Encode(m)
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// ask sends a request by the rules and reads one answer.
func (p *peer) ask(ctx context.Context, m wire.Message) (wire.Message, error) {
	c, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	defer c.CancelRead(0)
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	if err := c.write(framed(m)); err != nil {
		return nil, err
	}
	var text []byte
	for {
		record, err := readRecord(c)
		if err != nil {
			return nil, err
		}
		plain, fin, err := c.opener.Open(nil, record)
		if err != nil {
			return nil, err
		}
		text = append(text, plain...)
		if size := 4 + int(binary.LittleEndian.Uint32(append(text, 0, 0, 0, 0))); len(text) >= 4 && len(text) >= size {
			return wire.Decode(text[4:size])
		}
		if fin {
			return nil, io.ErrUnexpectedEOF
		}
	}
}

// write seals bytes, and the end of the stream with the last of them.
func (c *channel) write(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), handshake.MaxPlaintext)
		if _, err := c.Write(c.sealer.Seal(nil, b[:n], n == len(b))); err != nil {
			return err
		}
		b = b[n:]
	}
	c.Close() // fails only where the node has read all that it wants
	return nil
}
