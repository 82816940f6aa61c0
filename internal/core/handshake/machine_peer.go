package handshake

import (
	"slices"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/protocol"
)

// receive judges a hello as responder, cheapest first, and finds its key.
func (l *Local) receive(h *hello) (psk PSK, err error) {
	switch {
	case !slices.Contains(l.Accept, h.kind):
		return PSK{}, refuse(ReasonWrongKind, "sessions of kind %s are not accepted here", h.kind)
	case !h.cluster.Equal(l.Static.cluster):
		return PSK{}, refuse(ReasonWrongCluster, "peer means cluster %s, this is %s", h.cluster, l.Static.cluster)
	}
	if err := l.judge(h); err != nil || !h.kind.NeedsPSK() {
		return PSK{}, err
	}
	psk, known := l.FindPSK(h.kind, h.pskID)
	if !known || psk.Key.IsZero() {
		return PSK{}, refuse(ReasonUnknownPSK, "no pre-shared key %x for kind %s", h.pskID, h.kind)
	}
	return psk, nil
}

// speak makes this side's identity message.
func (m *Machine) speak(withProof bool) ([]byte, error) {
	mine := identity{certificate: m.local.Static.certificate, clock: m.local.NowUnix, offer: m.local.offer(m.hello.kind)}
	if withProof {
		mine.proof = m.local.Proof
	}
	message, err := m.noise.write(mine.encode())
	if err != nil { // a point of small order shows only now
		return nil, refuse(ReasonBadHandshake, "answer: %w", err)
	}
	return message, nil
}

// listen reads the peer's identity message (number 2 or 3) and decides about
// the peer.
func (m *Machine) listen(number int, message []byte) error {
	payload, err := m.noise.read(message)
	if err != nil {
		return broken(number, err)
	}
	peer, err := decodeIdentity(payload)
	if err != nil {
		return err
	}
	l := &m.local
	if err := m.heard(peer.offer); err != nil {
		return err
	}
	if peer.node == l.Static.Node() {
		return refuse(ReasonReflection, "peer claims to be this node itself")
	}
	if err := peer.compare(l.NowUnix); err != nil {
		return err
	}
	if err := peer.verify(l.Static.cluster, m.noise.remoteStatic.Bytes(), l.NowUnix); err != nil {
		return err
	}
	if err := l.Admit(m.hello.kind, peer.node, peer.name, peer.proof); err != nil {
		return notAdmitted(peer.node, err)
	}
	m.peer = peer
	return nil
}

// heard takes the versions that the peer speaks, as it says under authentication:
// the responder's decide, the initiator's are those of its hello.
func (m *Machine) heard(peer protocol.Offer) error {
	if m.initiator {
		return m.agree(peer)
	}
	if peer != m.hello.offer {
		return badIdentity("it speaks other versions than in its hello")
	}
	return nil
}

// notAdmitted keeps the reason that Admit gave.
func notAdmitted(node holo.NodeID, err error) error {
	reason := holo.ReasonOf(err)
	if reason == "" {
		reason = ReasonUnknownNode
	}
	return refuse(reason, "node %s is not admitted: %w", node, err)
}

// broken is the one error for all that does not decrypt: the wrong pre-shared
// key, another channel, another protocol and a flipped bit look alike.
func broken(number int, err error) error {
	return refuse(ReasonBadHandshake, "message %d: %w", number, err)
}
