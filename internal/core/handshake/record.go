package handshake

import (
	"encoding/binary"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/invariant"
)

// A stream is a sequence of records in each direction:
//
//	length(2, big endian, of the ciphertext) type(1) flags(1) ciphertext
//
// with the four bytes in front authenticated. A record's number is its place
// in the stream and is not sent: a record that is repeated, left out, moved or
// from another stream does not open.
const (
	RecordHeader = 4        // bytes in front of the ciphertext
	MaxPlaintext = 16 << 10 // bytes in a record: a page is four records
	MaxRecord    = RecordHeader + MaxPlaintext + tagSize

	recordData = 1 // the only type

	flagFIN   = 1 << 0 // the last record of its direction
	flagRekey = 1 << 1 // the next record has the next key
)

// A key seals rekeyRecords records or rekeyBytes of plaintext, whichever comes
// first, and the record that reaches it carries the flag. Both sides count, so
// a flag that comes early or not at all is an error. 2^30 bytes are 2^26 AES
// blocks under a key: the advantage of an attacker on AES-GCM's privacy stays
// below 2^-75, and a key that leaks opens no more than that.
const (
	rekeyRecords = 1 << 20
	rekeyBytes   = 1 << 30
)

// recordState is one direction of a stream: a cipher and where it stands.
type recordState struct {
	cipher         cipherState
	records, bytes uint64 // sealed with the present key
	finished       bool
}

// Sealer seals what this side sends on a stream. Not safe for concurrent use.
type Sealer struct{ recordState }

// Opener opens what the peer sends on a stream. Not safe for concurrent use.
type Opener struct {
	recordState
	err error
}

// Seal appends one record to dst. The plaintext has at most MaxPlaintext bytes
// and is empty only together with fin, which says that nothing follows. What
// breaks these rules, or seals after fin, is a bug and panics. dst must not
// overlap the plaintext.
func (s *Sealer) Seal(dst, plaintext []byte, fin bool) []byte {
	invariant.Check(s.cipher.hasKey() && !s.finished, "record without a key, or after the end of its stream")
	invariant.Check(len(plaintext) <= MaxPlaintext && (len(plaintext) > 0 || fin), "record of a length that no record has")
	start := len(dst)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(plaintext)+tagSize))
	dst = append(dst, recordData, s.flags(len(plaintext), fin))
	dst = s.cipher.seal(dst, dst[start:start+RecordHeader:start+RecordHeader], plaintext)
	s.advance(len(plaintext), fin)
	return dst
}

// Open opens one whole record, as RecordLen measured it, and appends the
// plaintext to dst; record[RecordHeader:RecordHeader] as dst opens it in place.
// fin says that nothing follows: an end of the stream without it is a
// truncation. After an error the Opener opens nothing more.
func (o *Opener) Open(dst, record []byte) (plaintext []byte, fin bool, err error) {
	if o.err == nil {
		dst, o.err = o.open(dst, record)
	}
	if o.err != nil {
		return nil, false, o.err
	}
	return dst, o.finished, nil
}

// Finished reports whether the authenticated end has been read.
func (o *Opener) Finished() bool { return o.finished }

func (o *Opener) open(dst, record []byte) ([]byte, error) {
	if o.finished || !o.cipher.hasKey() {
		return nil, badRecord("data after the end of the stream")
	}
	size, err := RecordLen(record)
	if err != nil {
		return nil, err
	}
	if size != len(record) {
		return nil, badRecord("%d bytes, its head says %d", len(record), size)
	}
	header, ciphertext := record[:RecordHeader], record[RecordHeader:]
	length := len(ciphertext) - tagSize
	fin := header[3]&flagFIN != 0
	if header[3] != o.flags(length, fin) {
		return nil, badRecord("flags %#x, want %#x", header[3], o.flags(length, fin))
	}
	if dst, err = o.cipher.open(dst, header, ciphertext); err != nil {
		return nil, badRecord("number %d does not open: %w", o.cipher.number, err)
	}
	o.advance(length, fin)
	return dst, nil
}

// RecordLen reads a record's head, its first RecordHeader bytes, and gives the
// length of the whole record, at most MaxRecord. It is what to read before
// Open can check anything, so it refuses what no Sealer makes.
func RecordLen(header []byte) (int, error) {
	if len(header) < RecordHeader {
		return 0, badRecord("head of %d bytes", len(header))
	}
	length, kind, flags := int(binary.BigEndian.Uint16(header)), header[2], header[3]
	switch {
	case kind != recordData:
		return 0, badRecord("type %d is not known", kind)
	case flags&^(flagFIN|flagRekey) != 0:
		return 0, badRecord("flags %#x are not known", flags)
	case length > MaxPlaintext+tagSize:
		return 0, badRecord("%d bytes of ciphertext, at most %d", length, MaxPlaintext+tagSize)
	case length < tagSize || length == tagSize && flags&flagFIN == 0:
		return 0, badRecord("%d bytes of ciphertext are none", length)
	}
	return RecordHeader + length, nil
}

// PlaintextLen is how many bytes a whole record opens to.
func PlaintextLen(record []byte) int { return len(record) - RecordHeader - tagSize }

// SealedLen is how many bytes Seal appends for a plaintext of n.
func SealedLen(n int) int { return RecordHeader + n + tagSize }

// flags are those that the next record must have.
func (r *recordState) flags(length int, fin bool) (flags byte) {
	if fin {
		flags |= flagFIN
	}
	if r.records+1 >= rekeyRecords || r.bytes+uint64(length) >= rekeyBytes {
		flags |= flagRekey
	}
	return flags
}

// advance counts a record, and goes on to the next key where it is due.
func (r *recordState) advance(length int, fin bool) {
	due := r.flags(length, fin)&flagRekey != 0
	r.records++
	r.bytes += uint64(length)
	r.finished = fin
	switch {
	case fin:
		r.cipher.wipe()
	case due:
		r.cipher.rekey()
		r.records, r.bytes = 0, 0
	}
}

func badRecord(format string, args ...any) error {
	return holo.Errorf(holo.Corrupt, "open record: "+format, args...)
}
