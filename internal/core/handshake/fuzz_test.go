package handshake

import (
	"bytes"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/protocol"
)

// What decodes encodes to the same bytes: there is one form of everything.

func FuzzHello(f *testing.F) {
	for _, kind := range allKinds {
		l := Local{Kind: kind, PQ: PQPrefer}
		h := hello{offer: protocol.Offer{Range: protocol.Spoken()}, kind: kind, cluster: testCluster}
		if kind.NeedsPSK() {
			h.pskID = [8]byte{1}
		}
		h.protocol, h.also = l.proposal()
		f.Add(h.encode())
	}
	f.Add([]byte(helloMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHello(b, protocol.Offer{Range: protocol.Spoken()})
		if err != nil {
			if reason := holo.ReasonOf(err); reason != ReasonBadHello && reason != ReasonVersion {
				t.Errorf("refused without the reason: %v", err)
			}
			return
		}
		if again := h.encode(); !bytes.Equal(again, b) {
			t.Errorf("%x decodes and encodes to %x", b, again)
		}
	})
}

func FuzzIdentity(f *testing.F) {
	static, err := NewStatic(key.GenerateSigner(), testCluster, "alpha", now)
	if err != nil {
		f.Fatal(err)
	}
	for _, proof := range [][]byte{nil, []byte("proof")} {
		i := identity{certificate: static.certificate, offer: protocol.Offer{Range: protocol.Spoken()}, proof: proof}
		f.Add(i.encode())
	}
	f.Add([]byte{fieldNode, 0, 32})
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := decodeIdentity(b)
		if err != nil {
			if holo.ReasonOf(err) != ReasonBadIdentity {
				t.Errorf("refused without the reason: %v", err)
			}
			return
		}
		if again := i.encode(); !bytes.Equal(again, b) {
			t.Errorf("%x decodes and encodes to %x", b, again)
		}
	})
}

// FuzzFirstMessage throws bytes at a responder: whoever sends them can do so
// without any key. All that it may ever hear are the two fixed refusals.
func FuzzFirstMessage(f *testing.F) {
	psk := PSK{ID: [8]byte{1}, Key: key.Random()}
	static, err := NewStatic(key.GenerateSigner(), testCluster, "beta", now)
	if err != nil {
		f.Fatal(err)
	}
	r := Local{
		Accept: []Kind{KindNode, KindJoin}, Static: static, Transport: "quic", NowUnix: now, PQ: PQPrefer,
		FindPSK: func(_ Kind, id [8]byte) (PSK, bool) { return psk, id == psk.ID },
		Admit:   func(Kind, holo.NodeID, string, []byte) error { return nil },
	}
	guess := psk
	guess.Key = key.Random()
	for _, kind := range []Kind{KindNode, KindJoin} {
		i := r
		i.Kind, i.PSK = kind, guess
		_, first, err := Initiate(i)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(first)
	}
	f.Add(Question())
	f.Add([]byte(helloMagic + "0a0"))
	other := string(appendOffer([]byte(otherVersion), r.offer(KindNode)))
	f.Fuzz(func(t *testing.T, first []byte) {
		reply, done, err := Respond(r).Process(first)
		if heard := string(reply); err == nil || done || heard != "" && heard != refusal && heard != other {
			t.Errorf("a stranger heard %q, done %v, %v", heard, done, err)
		}
	})
}

func FuzzRecord(f *testing.F) {
	sealer := func(direction byte) *Sealer {
		s := Session{suite: AESGCM, send: secretOf(repeated(direction, keySize))}
		return s.Sealer(0)
	}
	f.Add(sealer(1).Seal(nil, []byte("text"), false))
	f.Add(sealer(1).Seal(nil, nil, true))
	f.Add(sealer(2).Seal(nil, []byte("text"), true))
	f.Fuzz(func(t *testing.T, record []byte) {
		size, lengthErr := RecordLen(record)
		if lengthErr == nil && (size < RecordHeader+tagSize || size > MaxRecord) {
			t.Errorf("a record of %d bytes", size)
		}
		s := Session{suite: AESGCM, receive: secretOf(repeated(1, keySize))}
		text, fin, err := s.Opener(0).Open(nil, record)
		if err != nil {
			if holo.KindOf(err) != holo.Corrupt {
				t.Errorf("refused as %v", err)
			}
			return
		}
		if again := sealer(1).Seal(nil, text, fin); !bytes.Equal(again, record) {
			t.Errorf("%x opens and seals to %x", record, again)
		}
	})
}
