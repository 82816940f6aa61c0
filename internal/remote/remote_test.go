package remote

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wire"
)

// founder is an owner with a cluster, who can let nodes in.
type founder struct {
	owner   key.Signer
	cluster holo.ClusterID
}

func newFounder(id byte) founder { return founder{key.GenerateSigner(), holo.ClusterID{id}} }

func (f founder) pin() identity.Pin {
	return identity.Pin{Cluster: f.cluster, Owner: holo.PrincipalID(f.owner.Public())}
}

// proof is the record by which the owner lets a node in.
func (f founder) proof(node holo.NodeID) []byte {
	r := &wire.ChainRecord{Kind: wire.ChainGenesis, Time: 1, Node: node, Name: "n", Owner: holo.PrincipalID(f.owner.Public())}
	copy(r.OwnerSig[:], f.owner.Sign(wire.GenesisProof(f.cluster, r.Owner, r.Node, r.Name, r.Time)))
	return wire.Encode(r)
}

// face is a node as a client sees it: what it says of itself, and what it has
// to show for it.
type face struct {
	*transport.Transport
	signer key.Signer
	told   atomic.Int32 // how often somebody said who they are
}

// answer listens as somebody of a cluster, who introduces an owner and shows a
// proof for its key.
func answer(t *testing.T, listen string, cluster holo.ClusterID, owner holo.PrincipalID, proof func(holo.NodeID) []byte) *face {
	t.Helper()
	f := &face{signer: key.GenerateSigner()}
	static, err := handshake.NewStatic(f.signer, cluster, "face", time.Now().Unix())
	must(t, err)
	local := handshake.Local{
		Accept: []handshake.Kind{handshake.KindClient}, Owner: owner, Static: static, Proof: proof(f.signer.Public()),
		Admit: func(handshake.Kind, holo.NodeID, string, []byte) error { f.told.Add(1); return nil },
	}
	f.Transport, err = transport.Listen(transport.Config{Listen: listen, Local: func() handshake.Local { return local }, Logger: quiet})
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// member is an honest node of a founder's cluster.
func (f founder) member(t *testing.T, listen string) *face {
	return answer(t, listen, f.cluster, holo.PrincipalID(f.owner.Public()), f.proof)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantReason(t *testing.T, err error, reason string) {
	t.Helper()
	if err == nil || holo.KindOf(err) != holo.Denied || holo.ReasonOf(err) != reason {
		t.Errorf("%v with reason %q, want denied as %q", err, holo.ReasonOf(err), reason)
	}
}

// user is a client's folder and key.
type user struct {
	t      *testing.T
	config string
	signer key.Signer
}

func newUser(t *testing.T) user { return user{t, t.TempDir(), key.GenerateSigner()} }

func (u user) open(w Wanted) error {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	l, err := Open(ctx, u.config, u.signer, w)
	if err == nil {
		u.t.Cleanup(func() { l.Close() })
	}
	return err
}

// known is the file as it is now.
func (u user) known() string {
	b, err := os.ReadFile(filepath.Join(u.config, identity.KnownFile))
	if err != nil && !os.IsNotExist(err) {
		u.t.Fatal(err)
	}
	return string(b)
}

const anyPort = "127.0.0.1:0"

func at(f *face) []string { return []string{f.Addr().String()} }

func trusting(string) bool { return true }

func TestFirstContactIsShownDecidedAndKept(t *testing.T) {
	f, u := newFounder(1), newUser(t)
	n := f.member(t, anyPort)
	wantReason(t, u.open(Wanted{Addresses: at(n)}), ReasonUnknownCluster)
	wantReason(t, u.open(Wanted{Addresses: at(n), Trust: func(string) bool { return false }}), ReasonUnknownCluster)
	other := newFounder(2).pin()
	wantReason(t, u.open(Wanted{Addresses: at(n), Fingerprint: other.Fingerprint(), Trust: trusting}), identity.ReasonPinMismatch)
	if u.known() != "" || n.told.Load() != 0 {
		t.Fatalf("before anybody decided %d handshakes were done and this was kept: %s", n.told.Load(), u.known())
	}
	shown := ""
	must(t, u.open(Wanted{Addresses: at(n), Trust: func(s string) bool { shown = s; return true }}))
	if shown != f.pin().Fingerprint() {
		t.Errorf("%q was shown, the cluster's is %s", shown, f.pin().Fingerprint())
	}
	must(t, u.open(Wanted{Addresses: at(n)})) // the second contact needs nobody
	must(t, newUser(t).open(Wanted{Addresses: at(n), Fingerprint: f.pin().Fingerprint()}))
	wantReason(t, u.open(Wanted{Addresses: at(n), Fingerprint: other.Fingerprint()}), identity.ReasonPinMismatch)
}

// Whoever answers where a pinned cluster was is found out, whatever they copy of
// it, and learns not even the client's public key.
func TestImpostorIsRefusedAndThePinStays(t *testing.T) {
	f, usurper := newFounder(1), newFounder(1) // the same cluster ID
	stranger := newFounder(2)
	owner := holo.PrincipalID(f.owner.Public())
	n := f.member(t, anyPort)
	record := f.proof(n.signer.Public()) // whoever connects is shown it
	for what, impostor := range map[string]func(listen string) *face{
		"another cluster":                   func(l string) *face { return stranger.member(t, l) },
		"another owner, the cluster's ID":   func(l string) *face { return usurper.member(t, l) },
		"the owner's name, another's proof": func(l string) *face { return answer(t, l, f.cluster, owner, usurper.proof) },
		"the owner's name, a node's own proof": func(l string) *face {
			return answer(t, l, f.cluster, owner, func(holo.NodeID) []byte { return record })
		},
		"the owner's name, no proof": func(l string) *face { return answer(t, l, f.cluster, owner, func(holo.NodeID) []byte { return nil }) },
	} {
		u := newUser(t)
		real := f.member(t, anyPort)
		where := at(real)
		must(t, u.open(Wanted{Addresses: where, Trust: trusting}))
		before := u.known()
		must(t, real.Close())
		fake := impostor(where[0])
		err := u.open(Wanted{Addresses: where, Trust: trusting})
		wantReason(t, err, identity.ReasonPinMismatch)
		if err != nil && !strings.Contains(err.Error(), "ALARM") {
			t.Errorf("%s: no alarm: %v", what, err)
		}
		if u.known() != before || fake.told.Load() != 0 {
			t.Errorf("%s: the pin changed to %s, or the client said who it is (%d)", what, u.known(), fake.told.Load())
		}
		must(t, fake.Close())
		f.member(t, where[0])
		must(t, u.open(Wanted{Addresses: where})) // the cluster itself is connected to as before
	}
}

// At a first contact with a known fingerprint a liar cannot show the proof.
func TestFingerprintIsNotBelievedWithoutAProof(t *testing.T) {
	f, usurper, u := newFounder(1), newFounder(1), newUser(t)
	fake := answer(t, anyPort, f.cluster, holo.PrincipalID(f.owner.Public()), usurper.proof)
	wantReason(t, u.open(Wanted{Addresses: at(fake), Fingerprint: f.pin().Fingerprint()}), identity.ReasonPinMismatch)
	if u.known() != "" || fake.told.Load() != 0 {
		t.Errorf("kept %q, told %d times", u.known(), fake.told.Load())
	}
}

// A cluster that is pinned is known at a new address too, and an impostor there
// is an alarm and not a first contact.
func TestPinHoldsAtEveryAddress(t *testing.T) {
	f, usurper, u := newFounder(1), newFounder(1), newUser(t)
	must(t, u.open(Wanted{Addresses: at(f.member(t, anyPort)), Trust: trusting}))
	must(t, u.open(Wanted{Addresses: at(f.member(t, anyPort))}))
	before := u.known()
	wantReason(t, u.open(Wanted{Addresses: at(usurper.member(t, anyPort)), Trust: trusting}), identity.ReasonPinMismatch)
	if u.known() != before {
		t.Errorf("the pin changed: %s", u.known())
	}
}

func TestLinkGoesOnAtAnotherMember(t *testing.T) {
	f, u := newFounder(1), newUser(t)
	first, second := f.member(t, anyPort), f.member(t, anyPort)
	l, err := Open(t.Context(), u.config, u.signer, Wanted{Addresses: at(first), Trust: trusting})
	must(t, err)
	defer l.Close()
	l.Learn(at(second))
	conn, err := l.Dial(t.Context())
	must(t, err)
	if conn.(Conn).Peer() != holo.NodeID(first.signer.Public()) {
		t.Fatal("the connection leads elsewhere")
	}
	must(t, first.Close())
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the connection lives on")
	}
	conn, err = l.Dial(t.Context())
	must(t, err)
	if conn.(Conn).Peer() != holo.NodeID(second.signer.Public()) {
		t.Error("the connection does not lead to the other member")
	}
	must(t, l.Remember())
	k, err := identity.ReadKnown(filepath.Join(u.config, identity.KnownFile))
	if err != nil || k.Default != f.cluster || len(k.Pins[0].Addresses) != 2 {
		t.Errorf("%+v, %v", k, err)
	}
	must(t, second.Close())
	_, _ = conn.Read(make([]byte, 1)) // until the end has been noticed here
	_, err = l.Dial(t.Context())
	if holo.KindOf(err) != holo.Unavailable || holo.ReasonOf(err) != ReasonUnreachable {
		t.Errorf("nobody is left: %v", err)
	}
}

// An impostor where a member was ends the search: an alarm is not passed over.
func TestAlarmIsNotPassedOverForAnotherMember(t *testing.T) {
	f, u := newFounder(1), newUser(t)
	first, second := f.member(t, anyPort), f.member(t, anyPort)
	places := append(at(first), at(second)...)
	must(t, u.open(Wanted{Addresses: places, Trust: trusting}))
	where := at(first)[0]
	must(t, first.Close())
	newFounder(2).member(t, where)
	wantReason(t, u.open(Wanted{Addresses: places}), identity.ReasonPinMismatch)
}

func TestNothingIsRememberedWithoutAConnection(t *testing.T) {
	u := newUser(t)
	err := u.open(Wanted{})
	if holo.KindOf(err) != holo.NotFound || holo.ReasonOf(err) != ReasonUnknownCluster {
		t.Errorf("%v", err)
	}
	if u.known() != "" {
		t.Errorf("kept %s", u.known())
	}
}

// A node that listens everywhere tells its loopback address too. On another
// machine that is another node's place, and would raise an alarm.
func TestLoopbackOfAnotherMachineIsNotKept(t *testing.T) {
	l := &Link{}
	l.mu.at = "192.0.2.1:7600"
	l.mu.pin.Addresses = []string{"192.0.2.1:7600", "127.0.0.1:7600"}
	l.Learn([]string{"[::1]:7600", "127.0.0.1:7600", "[::ffff:127.0.0.1]:1", "192.0.2.2:7600"})
	if got := strings.Join(l.Pin().Addresses, " "); got != "192.0.2.1:7600 192.0.2.2:7600" {
		t.Errorf("from afar: %s", got)
	}
	l.mu.at = "127.0.0.1:7600"
	l.Learn(nil)
	if got := strings.Join(l.Pin().Addresses, " "); got != "127.0.0.1:7600 192.0.2.1:7600 192.0.2.2:7600" {
		t.Errorf("on the same machine: %s", got)
	}
	if got := strings.Join(elsewhere([]string{"127.0.0.1:1", "localhost:2"}), " "); got != "localhost:2" {
		t.Errorf("of an invite: %s", got)
	}
	if got := elsewhere([]string{"127.0.0.1:1"}); len(got) != 1 {
		t.Errorf("nothing is left: %v", got)
	}
}
