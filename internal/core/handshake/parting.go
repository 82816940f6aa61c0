package handshake

import (
	"crypto/cipher"
	"crypto/hmac"
	"strings"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// A node that was put out while it was off has only the key of before, which
// opens nothing. It asks why, in the place of a first message, and is told the
// owner's word and nothing else:
//
//	question  "holo-why-refused/1" 0 id(8) mac(32)
//	answer    "holo-parting/1" 0 sealed
//
// Both are under a key of that one node's, which follows from the cluster's key of
// before and opens no session, and belong to one connection: the mac and the key
// that seals are over its channel binding. Who has no such key is answered like
// anybody with an unknown one: not at all.
const (
	whyRefused  = "holo-why-refused/1\x00"
	partingWord = "holo-parting/1\x00"

	whySize = len(whyRefused) + 8 + keySize
)

// ReasonParted is the reason with which a connection ends that only asked why it
// is refused, and was told.
const ReasonParted = "told_why_refused"

// PartingKey is what a node shares with those who had the same cluster key, once
// it is put out. Only an answer that is for this node is under it.
func PartingKey(clusterKey key.Secret, cluster holo.ClusterID, node holo.NodeID) PSK {
	return NewPSK(secretOf(expand(clusterKey, "holocompute/parting/1", append(cluster[:], node[:]...), keySize)))
}

// WhyRefused is the question, on a connection with this channel binding.
func WhyRefused(k PSK, exporter []byte) []byte {
	b := append([]byte(whyRefused), k.ID[:]...)
	return append(b, expand(k.Key, "holocompute/parting-mac/1", exporter, keySize)...)
}

// ReadParting opens the answer. What is in it still has to be verified: whoever
// had the cluster's key of before may have said it.
func ReadParting(k PSK, exporter, answer []byte) ([]byte, error) {
	sealed, ok := strings.CutPrefix(string(answer), partingWord)
	if !ok {
		return nil, badHello("the answer is no parting")
	}
	c, err := partingCipher(k, exporter)
	if err != nil {
		return nil, err
	}
	word, err := c.Open(nil, make([]byte, c.NonceSize()), []byte(sealed), nil)
	if err != nil {
		return nil, badHello("the parting does not open")
	}
	return word, nil
}

func partingCipher(k PSK, exporter []byte) (cipher.AEAD, error) {
	return newAESGCM(expand(k.Key, "holocompute/parting-seal/1", exporter, keySize))
}

// part answers who asks why it is refused. The key that seals serves one
// connection, and a machine answers once: its nonce is zero.
func (m *Machine) part(question []byte) (reply []byte, err error) {
	l := &m.local
	if len(question) != whySize || l.Parting == nil || len(l.Exporter) == 0 {
		return nil, badHello("nobody is told here why they are refused")
	}
	id, mac := [8]byte(question[len(whyRefused):]), question[whySize-keySize:]
	k, word, known := l.Parting(id)
	if !known || !hmac.Equal(mac, expand(k.Key, "holocompute/parting-mac/1", l.Exporter, keySize)) {
		return nil, refuse(ReasonUnknownPSK, "no node that was put out asks with key %x", id)
	}
	c, err := partingCipher(k, l.Exporter)
	if err != nil {
		return nil, holo.Errorf(holo.Internal, "seal parting: %w", err)
	}
	return c.Seal([]byte(partingWord), make([]byte, c.NonceSize()), word, nil), refuse(ReasonParted, "a node that was put out asked why it is refused")
}
