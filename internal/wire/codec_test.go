package wire

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
)

func TestDecodeRefusesWhatIsLeftOver(t *testing.T) {
	for _, m := range Registered() {
		b := append(Encode(m), 0)
		if got, err := Decode(b); err == nil && len(Encode(got)) != len(b) {
			t.Errorf("%#04x: a byte too many was accepted and dropped", uint16(m.Type()))
		}
	}
}

func TestDecodeRefusesTruncation(t *testing.T) {
	m := &Grant{Incarnation: 3, Number: 9, Sent: 5, TTL: 7, Configs: []ShardConfig{{Shard: 1, Members: []Member{{Incarnation: 4}}}}}
	b := Encode(m)
	for n := range b {
		if _, err := Decode(b[:n]); holo.KindOf(err) != holo.Invalid {
			t.Errorf("the first %d of %d bytes: %v, want an invalid message", n, len(b), err)
		}
	}
}

func TestDecodeRefusesUnknownTypes(t *testing.T) {
	if _, err := Decode([]byte{0xff, 0xff, 0, 0}); holo.KindOf(err) != holo.Invalid {
		t.Fatalf("type 0xffff: %v", err)
	}
}

func TestDecodeRefusesMessagesOverTheLimit(t *testing.T) {
	if _, err := Decode(make([]byte, MaxMessage+1)); holo.KindOf(err) != holo.Invalid {
		t.Fatalf("an oversized message: %v", err)
	}
}

// A list length is checked against the bytes that are there, before memory is
// taken for it: a short message with a huge count must not allocate.
func TestDecodeChecksListLengthsBeforeAllocating(t *testing.T) {
	b := binary.LittleEndian.AppendUint16(nil, uint16(typeConfigPush))
	b = binary.LittleEndian.AppendUint32(b, maxShardConfigs)
	allocated := testing.AllocsPerRun(10, func() {
		if _, err := Decode(b); err == nil {
			t.Fatal("a list of 768 in no bytes was accepted")
		}
	})
	if allocated > 20 {
		t.Errorf("%v allocations for a message of %d bytes", allocated, len(b))
	}
}

// FuzzDecode covers every registered message: what decodes encodes to the same
// bytes again.
func FuzzDecode(f *testing.F) {
	for _, m := range Registered() {
		f.Add(Encode(m))
	}
	f.Add(Encode(&Grant{TTL: 1, Configs: []ShardConfig{{Shard: 5, Members: make([]Member, 3), Suspended: make([]Member, 1)}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		if again := Encode(m); !bytes.Equal(again, b) {
			t.Fatalf("%#04x: %x decodes, but encodes to %x", uint16(m.Type()), b, again)
		}
		if pieces := bytes.Join(Pieces(nil, m), nil); !bytes.Equal(pieces, b) {
			t.Fatalf("%#04x: %x decodes, but its pieces are %x", uint16(m.Type()), b, pieces)
		}
	})
}
