package handshake

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

func TestLinkOfEachKind(t *testing.T) {
	for _, kind := range allKinds {
		for _, suite := range []Suite{AESGCM, XChaChaPoly} {
			for _, pq := range []PQ{PQRequire, PQPrefer, PQOff} {
				t.Run(kind.String()+" "+suite.String()+" "+pq.String(), func(t *testing.T) {
					i, r, told := sides(t, kind)
					i.Suites, i.PQ, r.PQ = []Suite{suite}, pq, pq
					is, rs, err := shake(i, r, nil)
					if err != nil {
						t.Fatal(err)
					}
					checkEnds(t, is, rs, i, r)
					checkTold(t, told, i, r)
					exchange(t, is, rs, 0)
				})
			}
		}
	}
}

func checkEnds(t *testing.T, is, rs *Session, i, r Local) {
	t.Helper()
	if is.Peer() != r.Static.Node() || rs.Peer() != i.Static.Node() || is.PeerName() != "beta" || rs.PeerName() != "alpha" {
		t.Error("the ends are mistaken about each other")
	}
	name := protocolName(i.Kind, i.PQ != PQOff, i.Suites[0])
	if is.Protocol() != name || rs.Protocol() != name || is.Kind() != i.Kind || rs.Kind() != i.Kind {
		t.Errorf("protocol %s and %s, kind %s and %s", is.Protocol(), rs.Protocol(), is.Kind(), rs.Kind())
	}
	if is.Hash() != rs.Hash() || is.Hash() == [32]byte{} {
		t.Error("the ends have different names for the session")
	}
	if !is.Initiator() || rs.Initiator() {
		t.Error("who began?")
	}
}

// checkTold: each Admit is asked once, about the verified peer; a joiner and a
// client show no proof.
func checkTold(t *testing.T, told *[2][]admission, i, r Local) {
	t.Helper()
	wantProof := ""
	if i.Kind == KindNode {
		wantProof = "alpha's proof"
	}
	for side, want := range []admission{
		{i.Kind, r.Static.Node(), "beta", []byte("beta's proof")},
		{i.Kind, i.Static.Node(), "alpha", []byte(wantProof)},
	} {
		if len(told[side]) != 1 {
			t.Fatalf("side %d was asked %d times", side, len(told[side]))
		}
		got := told[side][0]
		if got.kind != want.kind || got.peer != want.peer || got.name != want.name || !bytes.Equal(got.proof, want.proof) {
			t.Errorf("side %d was told %v, want %v", side, got, want)
		}
	}
}

// exchange sends a record each way on a stream.
func exchange(t *testing.T, a, b *Session, stream uint64) {
	t.Helper()
	for _, ends := range [][2]*Session{{a, b}, {b, a}} {
		sealed := ends[0].Sealer(stream).Seal(nil, []byte("over the link"), true)
		text, fin, err := ends[1].Opener(stream).Open(nil, sealed)
		if string(text) != "over the link" || !fin || err != nil {
			t.Errorf("arrived: %q, %v, %v", text, fin, err)
		}
	}
}

func TestEverySessionHasItsOwnKeys(t *testing.T) {
	i, r, _ := sides(t, KindNode)
	seen := map[string]bool{}
	for range 8 {
		is, _, err := shake(i, r, nil)
		if err != nil {
			t.Fatal(err)
		}
		hash := is.Hash()
		seen[string(hash[:])] = true
		seen[string(is.Sealer(0).Seal(nil, []byte("same"), true))] = true
	}
	if len(seen) != 16 {
		t.Errorf("%d distinct values, want 16", len(seen))
	}
}

func TestLongestIdentityFits(t *testing.T) {
	i, r, _ := sides(t, KindNode)
	i.Static, r.Static = newStatic(t, strings.Repeat("n", MaxName)), newStatic(t, "")
	i.Proof, r.Proof = repeated(1, MaxProof), repeated(2, MaxProof)
	longest := 0
	is, rs, err := shake(i, r, func(_ int, m []byte) []byte { longest = max(longest, len(m)); return m })
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(is.Proof(), r.Proof) || !bytes.Equal(rs.Proof(), i.Proof) || is.PeerName() != "" {
		t.Error("the proofs or names did not arrive")
	}
	if longest > MaxMessage || longest < MaxProof {
		t.Errorf("longest message has %d bytes", longest)
	}
}

func TestNothingAboutAPeerIsSentInClear(t *testing.T) {
	for _, kind := range allKinds {
		i, r, _ := sides(t, kind)
		var wire []byte
		if _, _, err := shake(i, r, func(_ int, m []byte) []byte { wire = append(wire, m...); return m }); err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(wire, testCluster[:]) {
			t.Fatal("control: the capture lacks even the hello")
		}
		for _, secret := range [][]byte{[]byte("alpha"), []byte("beta"), i.Static.certificate.node[:], r.Static.certificate.node[:],
			i.Static.private.PublicKey().Bytes(), r.Static.private.PublicKey().Bytes(), i.Static.certificate.signature} {
			if bytes.Contains(wire, secret) {
				t.Errorf("kind %s sends %x in clear", kind, secret)
			}
		}
	}
}

func TestWrongConfigurationIsRefusedBeforeAnythingIsSent(t *testing.T) {
	for name, mutate := range map[string]func(l *Local){
		"no kind":             func(l *Local) { l.Kind = 0 },
		"unknown kind":        func(l *Local) { l.Kind = 9 },
		"no psk":              func(l *Local) { l.PSK = PSK{} },
		"psk without an ID":   func(l *Local) { l.PSK.ID = [8]byte{} },
		"wiped psk":           func(l *Local) { k := key.Random(); k.Wipe(); l.PSK.Key = k },
		"short psk":           func(l *Local) { l.PSK.Key = key.RandomOf(20) },
		"psk of a client":     func(l *Local) { l.Kind = KindClient },
		"no static key":       func(l *Local) { l.Static = nil },
		"no Admit":            func(l *Local) { l.Admit = nil },
		"unknown policy":      func(l *Local) { l.PQ = 7 },
		"unknown suite":       func(l *Local) { l.Suites = []Suite{AESGCM, 3} },
		"suite twice":         func(l *Local) { l.Suites = []Suite{AESGCM, AESGCM} },
		"no transport":        func(l *Local) { l.Transport = "" },
		"long exporter":       func(l *Local) { l.Exporter = make([]byte, 65) },
		"long proof":          func(l *Local) { l.Proof = make([]byte, MaxProof+1) },
		"no time":             func(l *Local) { l.NowUnix = 0 },
		"own certificate old": func(l *Local) { l.NowUnix += CertificateLife + 1 },
	} {
		i, _, _ := sides(t, KindNode)
		mutate(&i)
		if _, first, err := Initiate(i); holo.KindOf(err) != holo.Invalid || first != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, mutate := range map[string]func(l *Local){
		"unknown kind": func(l *Local) { l.Accept = []Kind{KindNode, 0} },
		"no FindPSK":   func(l *Local) { l.FindPSK = nil },
		"no Admit":     func(l *Local) { l.Admit = nil },
		"no transport": func(l *Local) { l.Transport = "" },
	} {
		i, r, _ := sides(t, KindNode)
		mutate(&r)
		if _, _, err := shake(i, r, nil); holo.KindOf(err) != holo.Invalid {
			t.Errorf("responder with %s: %v", name, err)
		}
	}
}

func TestStaticKeyIsBoundToNodeClusterAndName(t *testing.T) {
	signer := key.GenerateSigner()
	s := must(NewStatic(signer, testCluster, "alpha", now))(t)
	public := s.private.PublicKey().Bytes()
	if err := s.certificate.verify(testCluster, public, now); err != nil {
		t.Fatal(err)
	}
	for name, attempt := range map[string]func() error{
		"another cluster": func() error { return s.certificate.verify(holo.ClusterID{9}, public, now) },
		"another key":     func() error { return s.certificate.verify(testCluster, randomPrivate(t).PublicKey().Bytes(), now) },
		"another name": func() error {
			c := s.certificate
			c.name = "alphb"
			return c.verify(testCluster, public, now)
		},
		"another node": func() error {
			c := s.certificate
			c.node = key.GenerateSigner().Public()
			return c.verify(testCluster, public, now)
		},
		"a longer life": func() error {
			c := s.certificate
			c.notAfter++
			return c.verify(testCluster, public, now)
		},
	} {
		if holo.ReasonOf(attempt()) != ReasonBadIdentity {
			t.Errorf("%s verifies", name)
		}
	}
	if s.Node() != signer.Public() || s.Cluster() != testCluster {
		t.Error("a static key for somebody else")
	}
}

func TestCertificateIsJudgedByTheClock(t *testing.T) {
	s := newStatic(t, "alpha")
	public := s.private.PublicKey().Bytes()
	for offset, good := range map[int64]bool{
		-ClockSkew - 1: false, -ClockSkew: true, 0: true, CertificateLife: true,
		CertificateLife + ClockSkew: true, CertificateLife + ClockSkew + 1: false, 1 << 40: false, -now: false,
	} {
		if err := s.certificate.verify(testCluster, public, now+offset); (err == nil) != good {
			t.Errorf("%d s after its start: %v", offset, err)
		}
	}
	for offset, stale := range map[int64]bool{-1: true, 0: false, CertificateLife/2 - 1: false, CertificateLife / 2: true} {
		if s.Stale(now+offset) != stale {
			t.Errorf("stale %d s after its start: %v", offset, !stale)
		}
	}
}

// TestSelfMadeLongCertificateIsRefused: a node cannot give itself more than a
// day, however it signs.
func TestSelfMadeLongCertificateIsRefused(t *testing.T) {
	signer, static := key.GenerateSigner(), randomPrivate(t).PublicKey().Bytes()
	for name, span := range map[string][2]int64{
		"ten years": {now, now + 10*365*86400}, "a second more": {now, now + CertificateLife + 1}, "backwards": {now + 1, now - 1}, "no time": {now, now},
		"overflow": {0, 1<<63 - 1},
	} {
		c := certificate{node: signer.Public(), notBefore: span[0], notAfter: span[1]}
		c.signature = signer.Sign(c.statement(testCluster, static))
		if holo.ReasonOf(c.verify(testCluster, static, now)) != ReasonBadIdentity {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestNewStaticRefusesNonsense(t *testing.T) {
	signer := key.GenerateSigner()
	for name, err := range map[string]error{
		"no signer":  second(NewStatic(key.Signer{}, testCluster, "a", now)),
		"no cluster": second(NewStatic(signer, holo.ClusterID{}, "a", now)),
		"long name":  second(NewStatic(signer, testCluster, strings.Repeat("a", MaxName+1), now)),
		"no time":    second(NewStatic(signer, testCluster, "a", 0)),
		"bad name":   second(NewStatic(signer, testCluster, "a\x1b[2J", now)),
	} {
		if holo.KindOf(err) != holo.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestPSKsAreSeparated(t *testing.T) {
	secret, other := secretFrom(t, repeated(1, 32)), secretFrom(t, repeated(2, 32))
	seen := map[string]bool{}
	for _, psk := range []PSK{
		ClusterPSK(secret, testCluster), ClusterPSK(secret, holo.ClusterID{9}), ClusterPSK(other, testCluster),
		InvitePSK(secret, testCluster), InvitePSK(secret, holo.ClusterID{9}),
	} {
		seen[string(psk.ID[:])] = true
		seen[string(psk.Key.Bytes())] = true
		if bytes.Contains(psk.Key.Bytes(), psk.ID[:]) {
			t.Error("the public ID is part of the key")
		}
	}
	if len(seen) != 10 {
		t.Errorf("%d distinct values, want 10", len(seen))
	}
	if first := InvitePSK(secret, testCluster); NewPSK(first.Key).ID != first.ID {
		t.Error("the ID does not follow from the key")
	}
	again := ClusterPSK(secretFrom(t, repeated(1, 32)), testCluster)
	if first := ClusterPSK(secret, testCluster); again.ID != first.ID || !again.Key.Equal(first.Key) {
		t.Error("the same cluster key gives another psk")
	}
}

func TestMachineTakesNothingAfterTheEnd(t *testing.T) {
	i, r, _ := sides(t, KindNode)
	var messages [][]byte
	im, first, err := Initiate(i)
	if err != nil {
		t.Fatal(err)
	}
	rm := Respond(r)
	if rm.Session() != nil || im.Session() != nil {
		t.Fatal("a session before the handshake")
	}
	reply, _, err := rm.Process(first)
	if err != nil || rm.Session() != nil {
		t.Fatal("a session before message 3", err)
	}
	messages = append(messages, first, slices.Clone(reply))
	third, done, err := im.Process(reply)
	if err != nil || !done {
		t.Fatal(err)
	}
	if _, done, err = rm.Process(third); err != nil || !done || rm.Session() == nil {
		t.Fatal(err)
	}
	for _, m := range append(messages, third, nil) {
		if _, done, err := rm.Process(m); err == nil || done || rm.Session() != nil {
			t.Error("the responder goes on after the end")
		}
		if _, done, err := im.Process(m); err == nil || done || im.Session() != nil {
			t.Error("the initiator goes on after the end")
		}
	}
}
