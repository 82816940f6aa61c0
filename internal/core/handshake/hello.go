package handshake

import (
	"bytes"

	"github.com/holocompute/holocompute/internal/holo"
)

// The hello is what is said in clear, in front of the first Noise message:
//
//	"holo" version(1) kind(1) psk_id(8) cluster(16) protocol also
//
// with protocol a string of a length byte and its bytes, and also a count byte
// and as many strings. It is the start of the prologue, byte for byte.
const (
	helloMagic   = "holo"
	helloVersion = 2
	maxAlso      = 8
	// maxHello is 30 fixed bytes, a count, and nine strings of up to 255.
	maxHello = 30 + 1 + (1+maxAlso)*256
)

// refusal is the whole answer to a hello whose protocol name policy does not
// allow. Nothing authenticates it, see Local.Fallback.
const refusal = "holo-refused-protocol\x00"

// otherVersion is the whole answer to a hello of another version. Its last byte
// is the version spoken here. Nothing authenticates it: nothing is retried.
const otherVersion = "holo-refused-version\x00"

type hello struct {
	kind     Kind
	pskID    [8]byte
	cluster  holo.ClusterID
	protocol string
	also     []string
}

func (h *hello) encode() []byte {
	b := append([]byte(helloMagic), helloVersion, byte(h.kind))
	b = append(b, h.pskID[:]...)
	b = append(b, h.cluster[:]...)
	b = appendShort(b, h.protocol)
	b = append(b, byte(len(h.also)))
	for _, name := range h.also {
		b = appendShort(b, name)
	}
	return b
}

func appendShort(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }

// decodeHello reads a hello that fills b exactly.
func decodeHello(b []byte) (*hello, error) {
	if len(b) > maxHello {
		return nil, badHello("%d bytes, at most %d", len(b), maxHello)
	}
	r := reader{rest: b}
	magic, version := r.take(len(helloMagic)), r.byte()
	if r.short || !bytes.Equal(magic, []byte(helloMagic)) {
		return nil, badHello("it does not begin as one")
	}
	if version != helloVersion {
		return nil, refuse(ReasonVersion, "peer speaks version %d of the protocol, this node %d: bring both to the same release", version, helloVersion)
	}
	h := &hello{kind: Kind(r.byte())}
	copy(h.pskID[:], r.take(len(h.pskID)))
	copy(h.cluster[:], r.take(len(h.cluster)))
	h.protocol = string(r.take(int(r.byte())))
	count := int(r.byte())
	if count > maxAlso {
		return nil, badHello("%d other protocols, at most %d", count, maxAlso)
	}
	for range count {
		h.also = append(h.also, string(r.take(int(r.byte()))))
	}
	switch {
	case r.short:
		return nil, badHello("truncated")
	case len(r.rest) > 0:
		return nil, badHello("%d bytes left over", len(r.rest))
	case !h.kind.Valid():
		return nil, badHello("%s is not known", h.kind)
	case h.kind.NeedsPSK() == (h.pskID == [8]byte{}):
		return nil, badHello("kind %s with the wrong use of a pre-shared key", h.kind)
	}
	return h, nil
}

func badHello(format string, args ...any) error { return refuse(ReasonBadHello, format, args...) }

// refuse makes the error of a handshake that ends here.
func refuse(reason, format string, args ...any) error {
	return holo.Refuse(holo.Denied, reason, "handshake: "+format, args...)
}

// splitFirst separates the hello from the Noise message behind it.
func splitFirst(message []byte) (hello, noise []byte, err error) {
	r := reader{rest: message}
	hello = r.take(r.uint16())
	if r.short {
		return nil, nil, badHello("truncated")
	}
	return hello, r.rest, nil
}

// prologue binds the handshake to all that both sides must see alike.
func prologue(hello []byte, l *Local) []byte {
	b := []byte("holocompute/noise/1\x00")
	b = appendLong(b, hello)
	b = appendLong(b, []byte(l.Transport))
	return appendLong(b, l.Exporter)
}

// appendLong appends a byte string of up to 65535 bytes behind its length.
func appendLong(b, s []byte) []byte {
	b = append(b, byte(len(s)>>8), byte(len(s)))
	return append(b, s...)
}

// reader takes fields off the front of a message. After a field that is not
// there it gives zeros, and short is true.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if r.short || n > len(r.rest) {
		r.short = true
		return nil
	}
	field := r.rest[:n:n]
	r.rest = r.rest[n:]
	return field
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() int {
	if b := r.take(2); b != nil {
		return int(b[0])<<8 | int(b[1])
	}
	return 0
}
