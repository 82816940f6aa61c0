package handshake

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"math"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/holocompute/holocompute/internal/invariant"
)

// keySize is the length of every symmetric key; tagSize what sealing adds.
const (
	keySize = 32
	tagSize = 16
)

// cipherAlgorithm is an AEAD as Noise uses it (section 12): the nonce is zeros
// and then the 64-bit message number.
type cipherAlgorithm struct {
	aead      func(key []byte) (cipher.AEAD, error)
	nonceSize int
	putNumber func(b []byte, n uint64)
}

var (
	cipherAESGCM      = cipherAlgorithm{newAESGCM, 12, binary.BigEndian.PutUint64}
	cipherXChaChaPoly = cipherAlgorithm{chacha20poly1305.NewX, chacha20poly1305.NonceSizeX, binary.LittleEndian.PutUint64}
)

func newAESGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// noRoom is the message number that is never used for a message: REKEY is
// computed with it (Noise section 5.1).
const noRoom = math.MaxUint64

// cipherState is a key and the number of the next message. Without a key it
// passes text through, as the first tokens of a handshake do.
//
// Invariant: a number is used at most once with a key. It only ever grows,
// over rekeys too, and the last one is never used.
type cipherState struct {
	algorithm cipherAlgorithm
	aead      cipher.AEAD // nil: no key yet
	key       [keySize]byte
	number    uint64
	nonce     [chacha20poly1305.NonceSizeX]byte // kept here so that sealing does not allocate
}

func (c *cipherState) hasKey() bool { return c.aead != nil }

// setKey starts over with a new key, at message 0.
func (c *cipherState) setKey(key []byte) {
	c.useKey(key)
	c.number = 0
}

func (c *cipherState) useKey(key []byte) {
	copy(c.key[:], key)
	aead, err := c.algorithm.aead(c.key[:])
	invariant.Check(err == nil, "cipher with a key of %d bytes: %v", len(key), err)
	c.aead = aead
}

func (c *cipherState) nonceOf(number uint64) []byte {
	nonce := c.nonce[:c.algorithm.nonceSize]
	c.algorithm.putNumber(nonce[len(nonce)-8:], number)
	return nonce
}

// seal appends the sealed text to dst.
func (c *cipherState) seal(dst, ad, plaintext []byte) []byte {
	if !c.hasKey() {
		return append(dst, plaintext...)
	}
	invariant.Check(c.number != noRoom, "message numbers are used up")
	dst = c.aead.Seal(dst, c.nonceOf(c.number), plaintext, ad)
	c.number++
	return dst
}

// open appends the opened text to dst. A message that does not open leaves the
// number as it was; callers stop for good then.
func (c *cipherState) open(dst, ad, ciphertext []byte) ([]byte, error) {
	if !c.hasKey() {
		return append(dst, ciphertext...), nil
	}
	invariant.Check(c.number != noRoom, "message numbers are used up")
	dst, err := c.aead.Open(dst, c.nonceOf(c.number), ciphertext, ad)
	if err != nil {
		return nil, err
	}
	c.number++
	return dst, nil
}

// rekey replaces the key by REKEY of it, a one-way step, so that whoever learns
// the new key cannot read what was sealed before. The number goes on.
func (c *cipherState) rekey() {
	var zeros [keySize]byte
	next := c.aead.Seal(nil, c.nonceOf(noRoom), zeros[:], nil)
	c.useKey(next[:keySize])
	clear(next)
}

// wipe forgets the key.
func (c *cipherState) wipe() {
	clear(c.key[:])
	c.aead = nil
}
