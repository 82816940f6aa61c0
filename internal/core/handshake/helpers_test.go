package handshake

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"slices"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
)

const now = 1_800_000_000 // a Unix time

var (
	testCluster = holo.ClusterID{1, 2, 3}
	testOwner   = holo.PrincipalID{7}
	allKinds    = []Kind{KindNode, KindJoin, KindClient}
)

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func privateKey(t *testing.T, b []byte) *ecdh.PrivateKey {
	t.Helper()
	return must(ecdh.X25519().NewPrivateKey(b))(t)
}

func publicKey(t *testing.T, b []byte) *ecdh.PublicKey {
	t.Helper()
	return must(ecdh.X25519().NewPublicKey(b))(t)
}

func randomPrivate(t *testing.T) *ecdh.PrivateKey {
	t.Helper()
	return must(ecdh.X25519().GenerateKey(rand.Reader))(t)
}

func secretFrom(t *testing.T, b []byte) key.Secret {
	t.Helper()
	return must(key.NewSecret(b))(t)
}

func repeated(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }

func newStatic(t *testing.T, name string) *Static {
	t.Helper()
	return must(NewStatic(key.GenerateSigner(), testCluster, name, now))(t)
}

// admission is what an Admit was told.
type admission struct {
	kind  Kind
	peer  holo.NodeID
	name  string
	proof []byte
}

// sides makes two machines that can shake hands as the given kind, and what
// their Admits will be told: the initiator's first.
func sides(t *testing.T, kind Kind) (i, r Local, told *[2][]admission) {
	t.Helper()
	told = new([2][]admission)
	psk := ClusterPSK(secretFrom(t, repeated(9, 32)), testCluster)
	admit := func(side int) func(Kind, holo.NodeID, string, []byte) error {
		return func(kind Kind, peer holo.NodeID, name string, proof []byte) error {
			told[side] = append(told[side], admission{kind, peer, name, proof})
			return nil
		}
	}
	i = Local{
		Kind: kind, Static: newStatic(t, "alpha"), Proof: []byte("alpha's proof"), Admit: admit(0),
		Transport: "quic", Exporter: repeated(5, 32), NowUnix: now,
	}
	if kind.NeedsPSK() {
		i.PSK = psk
	}
	r = Local{
		Accept: allKinds, Owner: testOwner, Static: newStatic(t, "beta"), Proof: []byte("beta's proof"), Admit: admit(1),
		Transport: "quic", Exporter: repeated(5, 32), NowUnix: now,
		FindPSK: func(_ Kind, id [8]byte) (PSK, bool) { return psk, id == psk.ID },
	}
	return i, r, told
}

// shake runs a handshake to its end. Man, where there is one, sees each
// message (1 to 3) on its way and says what arrives.
func shake(i, r Local, man func(number int, message []byte) []byte) (is, rs *Session, err error) {
	if man == nil {
		man = func(_ int, message []byte) []byte { return message }
	}
	im, message, err := Initiate(i)
	if err != nil {
		return nil, nil, err
	}
	rm := Respond(r)
	reply, done, err := rm.Process(slices.Clone(man(1, message)))
	if err != nil {
		if len(reply) > 0 {
			_, _, err = im.Process(slices.Clone(man(2, reply)))
		}
		return nil, nil, err
	}
	if done {
		panic("the responder is done before message 3")
	}
	reply, _, err = im.Process(slices.Clone(man(2, reply)))
	if err != nil {
		return nil, nil, err
	}
	_, _, err = rm.Process(slices.Clone(man(3, reply)))
	return im.Session(), rm.Session(), err
}

// sessions are the two ends of a link that works.
func sessions(t *testing.T, mutate ...func(i, r *Local)) (is, rs *Session) {
	t.Helper()
	i, r, _ := sides(t, KindNode)
	for _, m := range mutate {
		m(&i, &r)
	}
	is, rs, err := shake(i, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return is, rs
}

func wantReason(t *testing.T, err error, reason string) {
	t.Helper()
	if err == nil || holo.ReasonOf(err) != reason {
		t.Errorf("error %v with reason %q, want reason %q", err, holo.ReasonOf(err), reason)
	}
}
