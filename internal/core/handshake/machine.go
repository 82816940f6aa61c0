package handshake

import (
	"bytes"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/protocol"
)

// MaxMessage bounds every message of a handshake: hello, the longest Noise
// message without payload (1248 bytes), a payload and its tag.
const MaxMessage = 2 + maxHello + 1248 + maxPayload + tagSize

// Machine is one side of a handshake. Whoever carries the messages frames
// them, gives up after a deadline, and closes the connection on an error,
// after sending the reply where there is one. No error heals.
type Machine struct {
	local     Local
	hello     *hello
	version   protocol.Version // of the session, once both sides' are known
	noise     *handshakeState
	initiator bool
	err       error
	session   *Session
	peer      *identity
}

// Initiate starts a handshake and gives the first message.
func Initiate(l Local) (*Machine, []byte, error) {
	if err := l.checkInitiator(); err != nil {
		return nil, nil, err
	}
	name, also := l.proposal()
	h := &hello{offer: l.offer(l.Kind), kind: l.Kind, pskID: l.PSK.ID, cluster: l.Static.cluster, protocol: name, also: also}
	m := &Machine{local: l, hello: h, initiator: true}
	said := h.encode()
	if err := m.startNoise(said, l.PSK); err != nil {
		return nil, nil, err
	}
	first, err := m.noise.write(nil)
	if err != nil {
		return nil, nil, holo.Errorf(holo.Internal, "handshake: make first message: %w", err)
	}
	return m, append(appendLong(nil, said), first...), nil
}

// Respond waits for a first message. A wrong configuration is told by the
// first Process.
func Respond(l Local) *Machine { return &Machine{local: l, err: l.checkResponder()} }

// Process takes the peer's next message. A reply is to be sent even when there
// is an error; done says that Session has the session, once the reply is sent.
func (m *Machine) Process(message []byte) (reply []byte, done bool, err error) {
	if m.err == nil && m.session != nil {
		m.err = refuse(ReasonBadHandshake, "a message after the end")
	}
	if m.err == nil {
		reply, m.err = m.step(message)
	}
	if m.err != nil {
		m.session = nil
		return reply, false, m.err
	}
	return reply, m.session != nil, nil
}

func (m *Machine) step(message []byte) (reply []byte, err error) {
	switch {
	case len(message) > MaxMessage:
		return nil, refuse(ReasonBadHandshake, "a message of %d bytes, at most %d", len(message), MaxMessage)
	case m.initiator:
		return m.finishInitiator(message)
	case m.hello == nil:
		return m.answer(message)
	}
	return nil, m.finishResponder(message)
}

// Session is the outcome, nil before Process has said done.
func (m *Machine) Session() *Session { return m.session }

func (m *Machine) startNoise(said []byte, psk PSK) error {
	p, err := parseProtocol(m.hello.protocol, linkAlgorithms)
	if err != nil {
		return err
	}
	c := noiseConfig{initiator: m.initiator, prologue: prologue(said, &m.local), static: m.local.Static.private}
	if m.hello.kind.NeedsPSK() {
		c.psks = []key.Secret{psk.Key}
	}
	if m.noise, err = newNoise(p, c); err != nil {
		return holo.Errorf(holo.Invalid, "handshake: start %s: %w", m.hello.protocol, err)
	}
	return nil
}

// answer is the responder's first step: hello and message 1 in, message 2 out.
// With a pre-shared key a stranger fails here, after microseconds, unanswered.
func (m *Machine) answer(message []byte) (reply []byte, err error) {
	if string(message) == question {
		return m.introduce()
	}
	if strings.HasPrefix(string(message), whyRefused) {
		return m.part(message)
	}
	said, first, err := splitFirst(message)
	if err != nil {
		return nil, err
	}
	if err := m.greeted(said); holo.ReasonOf(err) == ReasonVersion {
		return appendOffer([]byte(otherVersion), m.local.offer(KindNode)), err
	} else if err != nil {
		return nil, err
	}
	psk, err := m.local.receive(m.hello)
	if holo.ReasonOf(err) == ReasonSuiteRefused {
		return []byte(refusal), err
	}
	if err != nil {
		return nil, err
	}
	if err := m.startNoise(said, psk); err != nil {
		return nil, err
	}
	if err := m.readEmpty(first); err != nil {
		return nil, err
	}
	return m.speak(true)
}

// greeted reads the hello and finds the version to talk in.
func (m *Machine) greeted(said []byte) (err error) {
	if m.hello, err = decodeHello(said, m.local.offer(KindNode)); err != nil {
		return err
	}
	return m.agree(m.hello.offer)
}

// agree finds the version that both sides speak best.
func (m *Machine) agree(peer protocol.Offer) (err error) {
	if m.version, err = m.local.offer(m.hello.kind).Agree(peer); err != nil {
		return otherwise(err)
	}
	return nil
}

// refused says why a peer has no version to talk in, as far as it says itself.
func (m *Machine) refused(said []byte) error {
	r := reader{rest: said}
	if err := m.agree(r.offer()); err != nil {
		return err
	}
	return refuse(ReasonVersion, "the peer refused the versions offered, %s, though it says that it speaks one of them", m.hello.offer.Range)
}

// readEmpty reads message 1, whose payload is always empty: it would not be
// secret from whoever records it and learns the pre-shared key later.
func (m *Machine) readEmpty(message []byte) error {
	payload, err := m.noise.read(message)
	if err == nil && len(payload) > 0 {
		err = errLong
	}
	if err != nil {
		return broken(1, err)
	}
	return nil
}

// finishInitiator reads message 2, decides about the responder, and only then
// says who it is itself.
func (m *Machine) finishInitiator(message []byte) (reply []byte, err error) {
	if string(message) == refusal {
		return nil, refuse(ReasonSuiteRefused, "peer does not allow protocol %s", m.hello.protocol)
	}
	if said, other := bytes.CutPrefix(message, []byte(otherVersion)); other && len(said) == 3 {
		return nil, m.refused(said)
	}
	if err := m.listen(2, message); err != nil {
		return nil, err
	}
	if reply, err = m.speak(m.hello.kind == KindNode); err != nil {
		return nil, err
	}
	m.session = m.complete()
	return reply, nil
}

func (m *Machine) finishResponder(message []byte) error {
	if err := m.listen(3, message); err != nil {
		return err
	}
	m.session = m.complete()
	return nil
}
