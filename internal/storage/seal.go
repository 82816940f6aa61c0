package storage

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/invariant"
)

// tagSize is what AES-GCM adds to a page.
const tagSize = 16

// recordSize is a page as it lies on disk: ciphertext and tag. What record it
// is does not lie there; the index says so.
const recordSize = holo.PageSize + tagSize

// buffers hold records on their way.
var buffers = sync.Pool{New: func() any { return new([recordSize]byte) }}

// purpose separates these keys from all others.
const purpose = "holo spill/1"

// binding is all that says which record it is, in 61 bytes.
func binding(p Page, at spot) []byte {
	b := append(make([]byte, 0, 64), purpose...)
	for _, n := range []uint64{p.Ref, uint64(p.ID.Array), uint64(p.ID.Index), uint64(p.Version.Epoch), uint64(p.Version.Seq), uint64(at.slot) * recordSize} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return binary.BigEndian.AppendUint32(b, at.segment)
}

// nonce is file and place. A key serves one record, so this is one more thing
// that has to be right and not what keeps nonces apart.
func nonce(at spot) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 12), at.segment)
	return binary.BigEndian.AppendUint64(b, uint64(at.slot)*recordSize)
}

// keyOf is the key of one record, which follows from the secret and the binding
// (HKDF, RFC 5869, whose extraction a random secret does not need).
func (k *dataKey) keyOf(bound []byte) []byte {
	b, err := hkdf.Expand(sha256.New, k.secret.Bytes(), string(bound), 32)
	invariant.Check(err == nil, "storage: derive a key: %v", err)
	return b
}

func (k *dataKey) cipher(bound []byte) cipher.AEAD {
	block, err := aes.NewCipher(k.keyOf(bound))
	invariant.Check(err == nil, "storage: make a cipher: %v", err)
	a, err := cipher.NewGCM(block)
	invariant.Check(err == nil, "storage: make a cipher: %v", err)
	return a
}

// seal makes a record in dst.
func (k *dataKey) seal(dst *[recordSize]byte, p Page, at spot, data []byte) {
	b := binding(p, at)
	k.cipher(b).Seal(dst[:0], nonce(at), data, b)
}

// open writes a record's page into dst and reports whether it is that page's
// record. Else dst holds nothing of it.
func (k *dataKey) open(dst []byte, p Page, at spot, record []byte) bool {
	b := binding(p, at)
	_, err := k.cipher(b).Open(dst[:0], nonce(at), record, b)
	return err == nil
}
