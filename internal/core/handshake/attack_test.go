package handshake

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

// TestEveryFlippedBitEndsTheHandshake flips each bit of each message and wants
// no session at whoever got it. Join sessions differ from node sessions in the
// byte of the kind only.
func TestEveryFlippedBitEndsTheHandshake(t *testing.T) {
	for _, kind := range []Kind{KindNode, KindClient} {
		i, r, _ := sides(t, kind)
		initiator, first, err := Initiate(i)
		if err != nil {
			t.Fatal(err)
		}
		responder := Respond(r)
		second, _, err := responder.Process(first)
		if err != nil {
			t.Fatal(err)
		}
		third, done, err := copyOf(initiator).Process(second)
		if err != nil || !done {
			t.Fatal(err)
		}
		if _, done, err := copyOf(responder).Process(third); err != nil || !done {
			t.Fatal("control: ", err)
		}
		eachFlip(first, func(bit int, flipped []byte) {
			// Without a psk it is only the answer that shows the change.
			reply, _, err := Respond(r).Process(flipped)
			if err == nil {
				_, _, err = copyOf(initiator).Process(reply)
			}
			wantRefused(t, kind, 1, bit, err)
		})
		eachFlip(second, func(bit int, flipped []byte) {
			_, _, err := copyOf(initiator).Process(flipped)
			wantRefused(t, kind, 2, bit, err)
		})
		eachFlip(third, func(bit int, flipped []byte) {
			_, _, err := copyOf(responder).Process(flipped)
			wantRefused(t, kind, 3, bit, err)
		})
	}
}

func wantRefused(t *testing.T, kind Kind, number, bit int, err error) {
	t.Helper()
	if holo.KindOf(err) != holo.Denied {
		t.Errorf("kind %s: message %d with bit %d flipped: %v", kind, number, bit, err)
	}
}

func eachFlip(message []byte, try func(bit int, flipped []byte)) {
	for bit := range 8 * len(message) {
		flipped := bytes.Clone(message)
		flipped[bit/8] ^= 1 << (bit % 8)
		try(bit, flipped)
	}
}

// copyOf copies a machine that waits for a message, so that many can be tried
// on it.
func copyOf(m *Machine) *Machine {
	c, noise, symmetric := *m, *m.noise, *m.noise.symmetric
	symmetric.ck = bytes.Clone(symmetric.ck)
	noise.symmetric = &symmetric
	c.noise = &noise
	return &c
}

func messageSizes(t *testing.T, i, r Local) map[int]int {
	t.Helper()
	sizes := map[int]int{}
	if _, _, err := shake(i, r, func(n int, m []byte) []byte { sizes[n] = len(m); return m }); err != nil || len(sizes) != 3 {
		t.Fatal(sizes, err)
	}
	return sizes
}

func TestTruncatedAndPaddedMessagesEndTheHandshake(t *testing.T) {
	for _, kind := range allKinds {
		i, r, _ := sides(t, kind)
		for number, size := range messageSizes(t, i, r) {
			for cut := 0; cut < size; cut += 1 + cut/8 {
				_, rs, err := shake(i, r, func(n int, m []byte) []byte {
					if n == number {
						return m[:cut]
					}
					return m
				})
				if err == nil || rs != nil {
					t.Fatalf("kind %s: message %d cut to %d bytes went through", kind, number, cut)
				}
			}
			for _, extra := range [][]byte{{0}, make([]byte, tagSize), make([]byte, MaxMessage)} {
				_, rs, err := shake(i, r, func(n int, m []byte) []byte {
					if n == number {
						return slices.Concat(m, extra)
					}
					return m
				})
				if err == nil || rs != nil {
					t.Fatalf("kind %s: message %d with %d bytes more went through", kind, number, len(extra))
				}
			}
		}
	}
}

// TestBothSidesMustMeanTheSame: whatever one side has differently, no session.
func TestBothSidesMustMeanTheSame(t *testing.T) {
	otherPSK := ClusterPSK(key.Random(), testCluster)
	for name, c := range map[string]struct {
		change func(i, r *Local)
		reason string
	}{
		"unknown psk":                {func(i, _ *Local) { i.PSK = otherPSK }, ReasonUnknownPSK},
		"wrong key under a known ID": {func(i, _ *Local) { i.PSK.Key = otherPSK.Key }, ReasonBadHandshake},
		"a member's key that the responder lost": {func(_, r *Local) {
			r.FindPSK = func(Kind, [8]byte) (PSK, bool) { return PSK{}, true }
		}, ReasonUnknownPSK},
		"other exporter":   {func(i, _ *Local) { i.Exporter = repeated(6, 32) }, ReasonBadHandshake},
		"no exporter":      {func(i, _ *Local) { i.Exporter = nil }, ReasonBadHandshake},
		"other transport":  {func(i, _ *Local) { i.Transport = "tcp" }, ReasonBadHandshake},
		"bytes moved over": {func(i, _ *Local) { i.Transport, i.Exporter = "quic\x05", repeated(5, 31) }, ReasonBadHandshake},
		"other cluster": {func(i, _ *Local) {
			i.Static = must(NewStatic(key.GenerateSigner(), holo.ClusterID{8}, "alpha", now))(t)
		}, ReasonWrongCluster},
		"suite not allowed":      {func(i, r *Local) { i.Suites, r.Suites = []Suite{AESGCM}, []Suite{XChaChaPoly} }, ReasonSuiteRefused},
		"classical where hybrid": {func(i, _ *Local) { i.PQ = PQOff }, ReasonSuiteRefused},
		"hybrid where classical": {func(_, r *Local) { r.PQ = PQOff }, ReasonSuiteRefused},
		"kind not accepted":      {func(_, r *Local) { r.Accept = []Kind{KindJoin, KindClient} }, ReasonWrongKind},
		"nothing accepted":       {func(_, r *Local) { r.Accept = nil }, ReasonWrongKind},
	} {
		t.Run(name, func(t *testing.T) {
			i, r, told := sides(t, KindNode)
			c.change(&i, &r)
			is, rs, err := shake(i, r, nil)
			wantReason(t, err, c.reason)
			if is != nil || rs != nil || len(told[0])+len(told[1]) > 0 {
				t.Error("there is a session, or somebody was asked to admit")
			}
		})
	}
}

// TestInviteDoesNotOpenANodeSession: the psk of one kind is no psk of another,
// and the kind cannot be changed on the way.
func TestInviteDoesNotOpenANodeSession(t *testing.T) {
	invite := InvitePSK(key.RandomOf(20), testCluster)
	i, r, _ := sides(t, KindNode)
	cluster := i.PSK
	r.FindPSK = func(kind Kind, id [8]byte) (PSK, bool) {
		psk := map[Kind]PSK{KindNode: cluster, KindJoin: invite}[kind]
		return psk, psk.ID == id
	}
	i.PSK = invite
	_, _, err := shake(i, r, nil)
	wantReason(t, err, ReasonUnknownPSK)
	i.Kind = KindJoin
	if _, _, err := shake(i, r, nil); err != nil {
		t.Fatalf("control: %v", err)
	}
	_, _, err = shake(i, r, func(n int, m []byte) []byte {
		if n == 1 {
			m[2+len(helloMagic)+3] = byte(KindNode) // behind the offer
		}
		return m
	})
	wantReason(t, err, ReasonUnknownPSK)
}

func TestAdmitDecidesOnBothSides(t *testing.T) {
	plain := errors.New("not in the chain")
	reasoned := holo.Refuse(holo.Denied, "evicted", "node was evicted")
	for _, c := range []struct {
		err    error
		reason string
	}{{plain, ReasonUnknownNode}, {reasoned, "evicted"}} {
		refuse := func(Kind, holo.NodeID, string, []byte) error { return c.err }
		i, r, told := sides(t, KindNode)
		i.Admit = refuse
		sent := 0
		_, _, err := shake(i, r, func(n int, m []byte) []byte { sent = n; return m })
		wantReason(t, err, c.reason)
		if sent != 2 || len(told[1]) != 0 || !errors.Is(err, c.err) {
			t.Error("the initiator told a stranger who it is")
		}
		i, r, _ = sides(t, KindNode)
		r.Admit = refuse
		_, rs, err := shake(i, r, nil)
		wantReason(t, err, c.reason)
		if rs != nil {
			t.Error("a session with a node that was refused")
		}
	}
}

// TestStolenCertificateIsUseless: a member shows another's certificate and
// lacks the Noise key in it.
func TestStolenCertificateIsUseless(t *testing.T) {
	victim := newStatic(t, "victim")
	for _, initiator := range []bool{true, false} {
		i, r, _ := sides(t, KindNode)
		thief := &i
		if !initiator {
			thief = &r
		}
		thief.Static = &Static{cluster: testCluster, private: thief.Static.private, certificate: victim.certificate}
		_, rs, err := shake(i, r, nil)
		wantReason(t, err, ReasonBadIdentity)
		if rs != nil {
			t.Error("the thief got in")
		}
	}
}

func TestOwnIdentityComingBackIsRefused(t *testing.T) {
	for _, kind := range allKinds {
		i, r, told := sides(t, kind)
		r.Static = i.Static // the same process, reached through a mirror
		_, _, err := shake(i, r, nil)
		wantReason(t, err, ReasonReflection)
		signer := key.GenerateSigner()
		i.Static = must(NewStatic(signer, testCluster, "alpha", now))(t)
		r.Static = must(NewStatic(signer, testCluster, "beta", now))(t) // the node key was copied
		_, _, err = shake(i, r, nil)
		wantReason(t, err, ReasonReflection)
		if len(told[0])+len(told[1]) > 0 {
			t.Error("somebody was asked to admit itself")
		}
	}
}

// TestReflectedMessagesFail sends a side its own messages.
func TestReflectedMessagesFail(t *testing.T) {
	i, r, _ := sides(t, KindNode)
	im, first, err := Initiate(i)
	if err != nil {
		t.Fatal(err)
	}
	rm := Respond(r)
	second, _, err := rm.Process(slices.Clone(first))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := im.Process(slices.Clone(first)); err == nil {
		t.Error("the initiator takes its own first message")
	}
	if _, _, err := rm.Process(slices.Clone(second)); err == nil {
		t.Error("the responder takes its own message")
	}
}

// TestReplayedMessagesFail: what was recorded of one handshake is worth
// nothing in another.
func TestReplayedMessagesFail(t *testing.T) {
	i, r, _ := sides(t, KindNode)
	var recorded [4][]byte
	if _, _, err := shake(i, r, func(n int, m []byte) []byte { recorded[n] = bytes.Clone(m); return m }); err != nil {
		t.Fatal(err)
	}
	for number := 1; number <= 3; number++ {
		_, rs, err := shake(i, r, func(n int, m []byte) []byte {
			if n == number {
				return recorded[n]
			}
			return m
		})
		wantReason(t, err, ReasonBadHandshake)
		if rs != nil {
			t.Errorf("replayed message %d gives a session", number)
		}
	}
	r.Exporter = repeated(7, 32) // another connection: message 1 is refused at once
	reply, _, err := Respond(r).Process(recorded[1])
	wantReason(t, err, ReasonBadHandshake)
	if len(reply) > 0 {
		t.Error("a stranger gets an answer")
	}
}

// lowOrder are the X25519 coordinates of small order, all encodings below 2^255.
var lowOrder = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

// TestPointsOfSmallOrderAreRefused: an attacker who may choose the X25519
// shares (a client needs no psk) cannot force a known secret.
func TestPointsOfSmallOrderAreRefused(t *testing.T) {
	for _, encoding := range lowOrder {
		for _, top := range []byte{0, 0x80} { // the unused bit must not matter
			var point octets
			if err := point.UnmarshalText([]byte(encoding)); err != nil {
				t.Fatal(err)
			}
			point[31] |= top
			i, r, _ := sides(t, KindClient)
			_, first, err := Initiate(i)
			if err != nil {
				t.Fatal(err)
			}
			hello, noise, err := splitFirst(first)
			if err != nil {
				t.Fatal(err)
			}
			copy(noise, point)
			reply, _, err := Respond(r).Process(append(appendLong(nil, hello), noise...))
			wantReason(t, err, ReasonBadHandshake)
			if len(reply) > 0 {
				t.Errorf("share %s was answered", encoding)
			}
			if _, _, err := shake(i, r, func(n int, m []byte) []byte {
				if n == 2 {
					copy(m, point)
				}
				return m
			}); err == nil {
				t.Errorf("share %s of the responder was taken", encoding)
			}
		}
	}
}
