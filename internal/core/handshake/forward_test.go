package handshake

import (
	"bytes"
	"crypto/ecdh"
	"crypto/mlkem"
	"testing"
)

// recording is all that somebody on the network saw of a handshake, and what
// they were handed afterwards: both static keys, the pre-shared key and the
// prologue, which has the TLS exporter in it.
type recording struct {
	first, second []byte
	i, r          *handshakeState // to know their statics and, in controls, more
	p             *noiseProtocol
}

func record(t *testing.T) *recording {
	t.Helper()
	p := must(parseProtocol(protocolName(KindNode, true, AESGCM), linkAlgorithms))(t)
	psks := pskFor(t, p)
	i := must(newNoise(p, noiseConfig{initiator: true, static: randomPrivate(t), psks: psks}))(t)
	r := must(newNoise(p, noiseConfig{static: randomPrivate(t), psks: psks}))(t)
	messages := converse(t, i, r)
	return &recording{first: messages[0], second: messages[1], i: i, r: r, p: p}
}

// open reads the second message with what it is told are its two secrets. It
// gives how many of the fields that hide something it opened: the ML-KEM
// ciphertext and the responder's static key.
func (c *recording) open(t *testing.T, ee, kem []byte) (opened int) {
	t.Helper()
	reader := must(newNoise(c.p, noiseConfig{static: c.r.static, psks: pskFor(t, c.p)}))(t)
	if _, err := reader.read(bytes.Clone(c.first)); err != nil {
		t.Fatal("the pre-shared key opens the first message: ", err)
	}
	s := reader.symmetric
	public, rest := c.second[:publicSize], c.second[publicSize:]
	s.mixHash(public)
	s.mixKey(public)
	s.mixKey(ee)
	const sealedCiphertext = mlkem.CiphertextSize768 + tagSize
	if _, err := s.decryptAndHash(rest[:sealedCiphertext]); err != nil {
		return 0
	}
	s.mixKey(kem)
	if _, err := s.decryptAndHash(rest[sealedCiphertext : sealedCiphertext+publicSize+tagSize]); err != nil {
		return 1
	}
	return 2
}

func shared(t *testing.T, private *ecdh.PrivateKey, public *ecdh.PublicKey) []byte {
	t.Helper()
	return must(private.ECDH(public))(t)
}

// TestLongTermKeysDoNotOpenARecording (threat-model row I1-2): who gets every
// long-term key after the session has ended reads nothing that it hid.
func TestLongTermKeysDoNotOpenARecording(t *testing.T) {
	c := record(t)
	is, rs := c.i.static, c.r.static
	ie, re := c.r.remoteEphemeral, c.i.remoteEphemeral // both were sent in clear
	for name, guess := range map[string][]byte{
		"static and static":                shared(t, is, rs.PublicKey()),
		"initiator's static and ephemeral": shared(t, is, re),
		"responder's static and ephemeral": shared(t, rs, ie),
		"responder's own ephemeral":        shared(t, rs, re),
		"initiator's own ephemeral":        shared(t, is, ie),
		"the pre-shared key":               pskFor(t, c.p)[0].Bytes(),
		"nothing":                          nil,
	} {
		if c.open(t, guess, nil) > 0 {
			t.Errorf("%s opens the recording", name)
		}
	}
	if opened := c.open(t, shared(t, c.i.ephemeral, re), nil); opened != 1 {
		t.Errorf("control: with X25519's ephemeral key and without ML-KEM's %d of 2 fields open, want 1", opened)
	}
}
