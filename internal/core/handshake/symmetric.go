package handshake

import (
	"crypto/hkdf"

	"github.com/holocompute/holocompute/internal/invariant"
)

// symmetricState is Noise's SymmetricState (section 5.2): a running hash h of
// all that was said, and a chaining key ck of all the secrets so far.
type symmetricState struct {
	protocol *noiseProtocol
	cipher   cipherState
	ck, h    []byte
}

func newSymmetric(p *noiseProtocol) *symmetricState {
	s := &symmetricState{protocol: p, cipher: cipherState{algorithm: p.cipher}}
	digest := p.hash()
	s.h = make([]byte, digest.Size())
	if len(p.name) <= len(s.h) {
		copy(s.h, p.name)
	} else {
		digest.Write([]byte(p.name))
		digest.Sum(s.h[:0])
	}
	s.ck = append(s.ck, s.h...)
	return s
}

// mixHash adds data to the transcript.
func (s *symmetricState) mixHash(data []byte) {
	digest := s.protocol.hash()
	digest.Write(s.h)
	digest.Write(data)
	s.h = digest.Sum(nil)
}

// derive is Noise's HKDF (section 4.3), which is that of RFC 5869 with the
// chaining key as salt and no info: n outputs of the hash's size.
func (s *symmetricState) derive(input []byte, n int) [][]byte {
	size := len(s.ck)
	out, err := hkdf.Key(s.protocol.hash, input, s.ck, "", n*size)
	invariant.Check(err == nil, "derive %d keys: %v", n, err)
	keys := make([][]byte, n)
	for i := range keys {
		keys[i] = out[i*size : (i+1)*size : (i+1)*size]
	}
	return keys
}

// mixKey adds a secret.
func (s *symmetricState) mixKey(input []byte) {
	keys := s.derive(input, 2)
	s.ck = keys[0]
	s.cipher.setKey(keys[1][:keySize])
}

// mixKeyAndHash adds a pre-shared key, to the transcript too.
func (s *symmetricState) mixKeyAndHash(input []byte) {
	keys := s.derive(input, 3)
	s.ck = keys[0]
	s.mixHash(keys[1])
	s.cipher.setKey(keys[2][:keySize])
}

// encryptAndHash appends the sealed plaintext to dst. The ciphertext becomes
// part of the transcript.
func (s *symmetricState) encryptAndHash(dst, plaintext []byte) []byte {
	start := len(dst)
	dst = s.cipher.seal(dst, s.h, plaintext)
	s.mixHash(dst[start:])
	return dst
}

func (s *symmetricState) decryptAndHash(ciphertext []byte) ([]byte, error) {
	plaintext, err := s.cipher.open(nil, s.h, ciphertext)
	if err != nil {
		return nil, err
	}
	s.mixHash(ciphertext)
	return plaintext, nil
}

// overhead is what sealing adds now: nothing before there is a key.
func (s *symmetricState) overhead() int {
	if s.cipher.hasKey() {
		return tagSize
	}
	return 0
}

// split gives the two keys of the finished handshake, the initiator's sending
// key first, and forgets the chaining key.
func (s *symmetricState) split() (initiator, responder []byte) {
	keys := s.derive(nil, 2)
	s.wipe()
	return keys[0][:keySize], keys[1][:keySize]
}

func (s *symmetricState) wipe() {
	clear(s.ck)
	s.cipher.wipe()
}
