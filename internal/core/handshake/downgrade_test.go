package handshake

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/protocol"
)

// dial is what a transport does: it goes on to the next protocol when, and
// only when, the last was refused.
func dial(i, r Local, man func(number int, message []byte) []byte) (rs *Session, attempts int, err error) {
	for more := true; more; i, more = i.Fallback() {
		attempts++
		_, rs, err = shake(i, r, man)
		if holo.ReasonOf(err) != ReasonSuiteRefused {
			break
		}
	}
	return rs, attempts, err
}

func TestPoliciesMeet(t *testing.T) {
	const hybrid, classical, none = "hybrid", "classical", "none"
	for _, c := range []struct {
		initiator, responder PQ
		want                 string
	}{
		{PQRequire, PQRequire, hybrid}, {PQRequire, PQPrefer, hybrid}, {PQRequire, PQOff, none},
		{PQPrefer, PQRequire, hybrid}, {PQPrefer, PQPrefer, hybrid}, {PQPrefer, PQOff, classical},
		{PQOff, PQRequire, none}, {PQOff, PQPrefer, classical}, {PQOff, PQOff, classical},
	} {
		for _, kind := range allKinds {
			i, r, _ := sides(t, kind)
			i.PQ, r.PQ = c.initiator, c.responder
			rs, _, err := dial(i, r, nil)
			got := none
			switch {
			case err == nil && strings.Contains(rs.Protocol(), "MLKEM768"):
				got = hybrid
			case err == nil:
				got = classical
			}
			if got != c.want {
				t.Errorf("%s meets %s: %s, want %s (%v)", c.initiator, c.responder, got, c.want, err)
			}
		}
	}
}

func TestSuitesMeet(t *testing.T) {
	i, r, _ := sides(t, KindNode)
	i.Suites, r.Suites = []Suite{AESGCM, XChaChaPoly}, []Suite{XChaChaPoly}
	rs, attempts, err := dial(i, r, nil)
	if err != nil || attempts != 2 || rs.Protocol() != protocolName(KindNode, true, XChaChaPoly) {
		t.Errorf("after %d attempts: %v", attempts, err)
	}
	r.PQ = PQOff
	if _, attempts, err = dial(i, r, nil); holo.ReasonOf(err) != ReasonSuiteRefused || attempts != 2 {
		t.Errorf("PQRequire made %d attempts: %v", attempts, err)
	}
}

// TestForgedRefusalDoesNotDowngrade: somebody in the middle answers the hybrid
// hello with a refusal. Two sides that prefer the hybrid do not end up without.
func TestForgedRefusalDoesNotDowngrade(t *testing.T) {
	for _, policy := range []PQ{PQPrefer, PQRequire} {
		for _, kind := range allKinds {
			i, r, told := sides(t, kind)
			i.PQ, r.PQ = PQPrefer, policy
			rs, err := withForgedRefusals(i, r)
			if rs != nil || len(told[0])+len(told[1]) > 0 {
				t.Errorf("kind %s, responder %s: the link was downgraded to %s", kind, policy, rs.Protocol())
			}
			want := map[PQ]string{PQPrefer: ReasonDowngrade, PQRequire: ReasonSuiteRefused}[policy]
			wantReason(t, err, want)
		}
	}
}

// withForgedRefusals refuses, in the responder's name, all that is hybrid, and
// lets the rest through.
func withForgedRefusals(i, r Local) (rs *Session, err error) {
	for more := true; more; i, more = i.Fallback() {
		im, first, err := Initiate(i)
		if err != nil {
			return nil, err
		}
		if !strings.Contains(decode(first).protocol, "MLKEM768") {
			_, rs, err = shake(i, r, nil)
			return rs, err
		}
		if _, _, err = im.Process([]byte(refusal)); holo.ReasonOf(err) != ReasonSuiteRefused {
			return nil, err
		}
	}
	return nil, errors.New("nothing but hybrids was proposed")
}

func decode(first []byte) *hello {
	said, _, err := splitFirst(first)
	if err != nil {
		panic(err)
	}
	h, err := decodeHello(said, protocol.Offer{Range: protocol.Spoken()})
	if err != nil {
		panic(err)
	}
	return h
}

// TestEditedHelloDoesNotDowngrade: the man in the middle also edits the second
// hello, so that it no longer says that the initiator could do better. The
// responder is taken in, and the cryptography is not.
func TestEditedHelloDoesNotDowngrade(t *testing.T) {
	for _, kind := range allKinds {
		i, r, told := sides(t, kind)
		i.PQ, r.PQ = PQPrefer, PQPrefer
		i.Suites = []Suite{AESGCM}
		fallback, ok := i.Fallback()
		if !ok {
			t.Fatal("PQPrefer has no fallback")
		}
		edit := func(n int, m []byte) []byte {
			if n != 1 {
				return m
			}
			h := decode(m)
			h.also = nil
			_, noise, _ := splitFirst(m)
			return append(appendLong(nil, h.encode()), noise...)
		}
		_, rs, err := shake(fallback, r, edit)
		wantReason(t, err, ReasonBadHandshake)
		if rs != nil || len(told[1]) > 0 {
			t.Errorf("kind %s: the edited hello went through", kind)
		}
	}
}

// TestRequireNeverProposesClassical, whatever it is told.
func TestRequireNeverProposesClassical(t *testing.T) {
	i, _, _ := sides(t, KindNode)
	for more := true; more; i, more = i.Fallback() {
		_, first, err := Initiate(i)
		if err != nil {
			t.Fatal(err)
		}
		h := decode(first)
		for _, name := range append(h.also, h.protocol) {
			if !strings.Contains(name, "_25519+MLKEM768_") {
				t.Errorf("PQRequire offers %s", name)
			}
		}
	}
	if _, _, err := Initiate(i); holo.KindOf(err) != holo.Invalid {
		t.Errorf("a dial goes on after the last fallback: %v", err)
	}
}

// speaking has a side speak some versions, in a cluster that is at one.
func speaking(l Local, oldest, newest, cluster protocol.Version) Local {
	l.Speaks, l.Cluster = protocol.Range{Oldest: oldest, Newest: newest}, cluster
	return l
}

// TestSessionIsInTheHighestVersionThatBothSpeak, whoever begins.
func TestSessionIsInTheHighestVersionThatBothSpeak(t *testing.T) {
	for _, c := range []struct {
		i, r [3]protocol.Version
		want protocol.Version
	}{
		{[3]protocol.Version{1, 2, 0}, [3]protocol.Version{1, 2, 0}, 2},
		{[3]protocol.Version{1, 1, 1}, [3]protocol.Version{1, 2, 1}, 1},
		{[3]protocol.Version{1, 2, 1}, [3]protocol.Version{1, 1, 1}, 1},
		{[3]protocol.Version{2, 3, 2}, [3]protocol.Version{1, 2, 2}, 2},
		{[3]protocol.Version{1, 2, 2}, [3]protocol.Version{2, 3, 0}, 2},
	} {
		i, r, _ := sides(t, KindNode)
		is, rs, err := shake(speaking(i, c.i[0], c.i[1], c.i[2]), speaking(r, c.r[0], c.r[1], c.r[2]), nil)
		if err != nil {
			t.Errorf("%v with %v: %v", c.i, c.r, err)
			continue
		}
		if is.Version() != c.want || rs.Version() != c.want {
			t.Errorf("%v with %v: version %d here, %d there, want %d", c.i, c.r, is.Version(), rs.Version(), c.want)
		}
		if is.Speaks() != (protocol.Range{Oldest: c.r[0], Newest: c.r[1]}) || rs.Speaks() != (protocol.Range{Oldest: c.i[0], Newest: c.i[1]}) {
			t.Errorf("%v with %v: the peers are said to speak %v and %v", c.i, c.r, is.Speaks(), rs.Speaks())
		}
	}
}

// TestOtherVersionIsRefusedOnBothSidesWithTheReason: who has no version in common
// with us, or does not speak that of the cluster, is refused before a key is
// used, and each side is told which of them is to be upgraded.
func TestOtherVersionIsRefusedOnBothSidesWithTheReason(t *testing.T) {
	for _, c := range []struct {
		i, r        [3]protocol.Version
		here, there string // what the initiator and the responder are told
	}{
		{[3]protocol.Version{3, 4, 0}, [3]protocol.Version{1, 2, 0}, "upgrade the program of the peer", "upgrade the program of this machine"},
		{[3]protocol.Version{1, 2, 0}, [3]protocol.Version{3, 4, 0}, "upgrade the program of this machine", "upgrade the program of the peer"},
		{[3]protocol.Version{1, 1, 1}, [3]protocol.Version{1, 2, 2}, "upgrade the program of this machine", "upgrade the program of the peer"},
		{[3]protocol.Version{1, 2, 2}, [3]protocol.Version{1, 1, 1}, "upgrade the program of the peer", "upgrade the program of this machine"},
		{[3]protocol.Version{2, 3, 0}, [3]protocol.Version{1, 2, 1}, "bring every member to version 2 first", "bring every member to version 2 first"},
		{[3]protocol.Version{255, 255, 0}, [3]protocol.Version{1, 2, 0}, "upgrade the program of the peer", "upgrade the program of this machine"},
	} {
		i, r, told := sides(t, KindNode)
		m, first, err := Initiate(speaking(i, c.i[0], c.i[1], c.i[2]))
		if err != nil {
			t.Fatal(err)
		}
		r.FindPSK = func(Kind, [8]byte) (PSK, bool) { t.Error("a key was looked for"); return PSK{}, false }
		reply, done, err := Respond(speaking(r, c.r[0], c.r[1], c.r[2])).Process(first)
		wantReason(t, err, ReasonVersion)
		if done || !strings.HasPrefix(string(reply), otherVersion) || !strings.Contains(err.Error(), c.there) {
			t.Errorf("%v to %v: answered with %q: %v", c.i, c.r, reply, err)
		}
		_, done, err = m.Process(reply)
		wantReason(t, err, ReasonVersion)
		if done || !strings.Contains(err.Error(), c.here) || len(told[0])+len(told[1]) > 0 {
			t.Errorf("%v to %v: %v", c.i, c.r, err)
		}
	}
}

// TestClientsNeedNotSpeakTheClustersVersion: only who takes part in it does.
func TestClientsNeedNotSpeakTheClustersVersion(t *testing.T) {
	for _, kind := range allKinds {
		i, r, _ := sides(t, kind)
		is, _, err := shake(speaking(i, 1, 1, 0), speaking(r, 1, 2, 2), nil)
		if kind == KindClient && (err != nil || is.Version() != 1) {
			t.Errorf("kind %s: %v", kind, err)
		}
		if kind != KindClient {
			wantReason(t, err, ReasonVersion)
		}
	}
}

// TestEditedVersionsEndTheHandshake: nobody in the middle makes two programs
// speak an older version than both can, nor has them believe another cluster's
// version: what was offered is under authentication, in both directions.
func TestEditedVersionsEndTheHandshake(t *testing.T) {
	const at = 2 + len(helloMagic) // of the offer, behind the hello's length
	for name, edit := range map[string]func([]byte){
		"an older newest":          func(offer []byte) { offer[1], offer[2] = 1, 0 },
		"a newer oldest":           func(offer []byte) { offer[0] = 2 },
		"a newer newest":           func(offer []byte) { offer[1] = 3 },
		"another cluster's":        func(offer []byte) { offer[2] = 1 },
		"no version of a cluster":  func(offer []byte) { offer[2] = 0 },
		"an older newest, at that": func(offer []byte) { offer[1], offer[2] = 1, 1 },
	} {
		i, r, _ := sides(t, KindNode)
		is, rs, err := shake(speaking(i, 1, 2, 2), speaking(r, 1, 2, 0), func(number int, message []byte) []byte {
			if number == 1 {
				message = slices.Clone(message)
				edit(message[at : at+3])
			}
			return message
		})
		if is != nil || rs != nil {
			t.Errorf("%s: there is a session", name)
		}
		wantReason(t, err, ReasonBadHandshake)
	}
}

// TestForgedRefusalOfVersionsIsNotRetried: whoever makes one up ends this
// handshake, and has nobody speak less in the next.
func TestForgedRefusalOfVersionsIsNotRetried(t *testing.T) {
	for _, said := range [][]byte{{1, 1, 0}, {1, 2, 0}, {9, 9, 9}, {0, 0, 0}} {
		i, _, _ := sides(t, KindNode)
		m, first, err := Initiate(i)
		if err != nil {
			t.Fatal(err)
		}
		_, done, err := m.Process(append([]byte(otherVersion), said...))
		wantReason(t, err, ReasonVersion)
		_, again, err := Initiate(i)
		if err != nil || done || !bytes.Equal(again[:2+len(helloMagic)+3], first[:2+len(helloMagic)+3]) {
			t.Errorf("%v: the next hello begins with %x, after %x", said, again[:9], first[:9])
		}
	}
}

// TestInitiatorJudgesTheRespondersVersions: what decides is in the responder's
// authenticated message, and is judged before the initiator says who it is.
func TestInitiatorJudgesTheRespondersVersions(t *testing.T) {
	i, r, told := sides(t, KindNode)
	m, first, err := Initiate(speaking(i, 1, 2, 2))
	if err != nil {
		t.Fatal(err)
	}
	said, noise, err := splitFirst(first)
	if err != nil {
		t.Fatal(err)
	}
	liar := Respond(speaking(r, 1, 1, 0)) // which is not told to refuse
	if liar.hello, err = decodeHello(said, liar.local.offer(KindNode)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(liar.startNoise(said, i.PSK), liar.readEmpty(noise)); err != nil {
		t.Fatal(err)
	}
	second, err := liar.speak(true)
	if err != nil {
		t.Fatal(err)
	}
	third, done, err := m.Process(second)
	wantReason(t, err, ReasonVersion)
	if done || len(third) > 0 || len(told[0]) > 0 {
		t.Error("the initiator went on with who does not speak its cluster's version")
	}
}

// TestClocksThatDifferAreRefusedWithTheReason: both sides learn it, whoever is
// wrong; less is measured.
func TestClocksThatDifferAreRefusedWithTheReason(t *testing.T) {
	for _, skew := range []int64{-600, -ClockSkew - 1, ClockSkew + 1, 600} {
		i, r, _ := sides(t, KindNode)
		r.NowUnix += skew
		r.Static = must(NewStatic(key.GenerateSigner(), testCluster, "skewed", r.NowUnix))(t)
		m, first, err := Initiate(i)
		if err != nil {
			t.Fatal(err)
		}
		second, _, err := Respond(r).Process(first)
		if err != nil {
			t.Fatal(err)
		}
		third, done, err := m.Process(second)
		wantReason(t, err, ReasonClockSkew)
		if done || len(third) > 0 {
			t.Errorf("skew %d: went on to message 3", skew)
		}
	}
	for _, skew := range []int64{-ClockSkew, -61, 0, ClockSkew} {
		i, r, _ := sides(t, KindNode)
		i.NowUnix += skew
		i.Static = must(NewStatic(key.GenerateSigner(), testCluster, "skewed", i.NowUnix))(t)
		m, first, err := Initiate(i)
		if err != nil {
			t.Fatal(err)
		}
		responder := Respond(r)
		reply, _, err := responder.Process(first)
		if err != nil {
			t.Fatal(err)
		}
		reply, _, err = m.Process(reply)
		if err != nil {
			t.Fatal(err)
		}
		if _, done, err := responder.Process(reply); err != nil || !done {
			t.Fatalf("skew %d: %v", skew, err)
		}
		if a, b := m.Session().Skew(), responder.Session().Skew(); a != -skew || b != skew {
			t.Errorf("skew %d is measured as %d and %d", skew, a, b)
		}
	}
}

// TestOnlySuiteRefusalIsAnswered: a stranger learns nothing else of what policy
// says; that another version is spoken here is told as well.
func TestOnlySuiteRefusalIsAnswered(t *testing.T) {
	for name, change := range map[string]func(i, r *Local){
		"unknown psk":   func(i, _ *Local) { i.PSK.ID[0] ^= 1 },
		"wrong channel": func(i, _ *Local) { i.Exporter = nil },
		"wrong kind":    func(_, r *Local) { r.Accept = nil },
		"downgrade":     func(i, r *Local) { i.PQ, r.PQ, i.refused = PQPrefer, PQPrefer, 2 },
	} {
		i, r, _ := sides(t, KindNode)
		change(&i, &r)
		_, first, err := Initiate(i)
		if err != nil {
			t.Fatal(err)
		}
		if reply, _, err := Respond(r).Process(first); err == nil || len(reply) > 0 {
			t.Errorf("%s: answered with %q, %v", name, reply, err)
		}
	}
}
