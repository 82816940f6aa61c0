package handshake

import (
	"errors"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
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
	h, err := decodeHello(said)
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

// TestOtherVersionIsRefusedOnBothSidesWithTheReason: of this release's version
// there is one, so those before and after it are refused, before a key is used.
func TestOtherVersionIsRefusedOnBothSidesWithTheReason(t *testing.T) {
	for _, version := range []byte{0, helloVersion - 1, helloVersion + 1, 255} {
		i, r, _ := sides(t, KindNode)
		m, first, err := Initiate(i)
		if err != nil {
			t.Fatal(err)
		}
		first[2+len(helloMagic)] = version
		reply, done, err := Respond(r).Process(first)
		wantReason(t, err, ReasonVersion)
		if done || !strings.HasPrefix(string(reply), otherVersion) {
			t.Errorf("version %d: answered with %q", version, reply)
		}
		_, done, err = m.Process(reply)
		wantReason(t, err, ReasonVersion)
		if done || !strings.Contains(err.Error(), "same release") {
			t.Errorf("version %d: %v", version, err)
		}
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
