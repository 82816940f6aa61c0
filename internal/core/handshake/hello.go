package handshake

import (
	"bytes"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/protocol"
)

// The hello is what is said in clear, in front of the first Noise message:
//
//	"holo" offer(3) kind(1) psk_id(8) cluster(16) protocol also
//
// with offer the oldest and the newest version of the protocol that the
// initiator speaks and the one that its cluster is at (protocol.Offer), protocol
// a string of a length byte and its bytes, and also a count byte and as many
// strings. It is the start of the prologue, byte for byte. The first seven bytes
// never change: so any two programs can tell each other why they cannot talk.
const (
	helloMagic = "holo"
	maxAlso    = 8
	// maxHello is 32 fixed bytes, a count, and nine strings of up to 255.
	maxHello = 32 + 1 + (1+maxAlso)*256
)

// refusal is the whole answer to a hello whose protocol name policy does not
// allow. Nothing authenticates it, see Local.Fallback.
const refusal = "holo-refused-protocol\x00"

// otherVersion, and this side's offer behind it, is the whole answer to a hello
// of versions that do not fit. Nothing authenticates it: nothing is retried.
const otherVersion = "holo-refused-version\x00"

type hello struct {
	offer    protocol.Offer
	kind     Kind
	pskID    [8]byte
	cluster  holo.ClusterID
	protocol string
	also     []string
}

func (h *hello) encode() []byte {
	b := appendOffer([]byte(helloMagic), h.offer)
	b = append(b, byte(h.kind))
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

func appendOffer(b []byte, o protocol.Offer) []byte {
	return append(b, byte(o.Oldest), byte(o.Newest), byte(o.Cluster))
}

// decodeHello reads a hello that fills b exactly. What is said by who has no
// version in common with mine is not looked at further.
func decodeHello(b []byte, mine protocol.Offer) (*hello, error) {
	if len(b) > maxHello {
		return nil, badHello("%d bytes, at most %d", len(b), maxHello)
	}
	r := reader{rest: b}
	magic, offer := r.take(len(helloMagic)), r.offer()
	if r.short || !bytes.Equal(magic, []byte(helloMagic)) || !offer.Valid() {
		return nil, badHello("it does not begin as one")
	}
	if !offer.Meets(mine.Range) {
		_, err := mine.Agree(offer)
		return nil, otherwise(err)
	}
	h := &hello{offer: offer, kind: Kind(r.byte())}
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

// otherwise is the error of sides that have no version to talk in.
func otherwise(err error) error { return refuse(ReasonVersion, "%w", err) }

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

func (r *reader) offer() protocol.Offer {
	b := r.take(3)
	if b == nil {
		return protocol.Offer{}
	}
	return protocol.Offer{Range: protocol.Range{Oldest: protocol.Version(b[0]), Newest: protocol.Version(b[1])}, Cluster: protocol.Version(b[2])}
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
