package catalog

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/claim"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/protocol"
	"github.com/holocompute/holocompute/internal/wire"
)

var (
	cluster = holo.ClusterID{1, 2, 3}
	spoken  = protocol.Spoken()
)

// signer makes the key of a name, the same in every run.
func signer(name string) key.Signer {
	seed := sha256.Sum256([]byte(name))
	return key.SignerFromSeed(&seed)
}

func node(n int) holo.NodeID { return holo.NodeID(signer("node " + string(rune('0'+n))).Public()) }

func ownerID() holo.PrincipalID { return holo.PrincipalID(signer("owner").Public()) }

const (
	now     = 1_800_000_000 // seconds since 1970
	expires = now + 3600
)

// town is a catalogue under test.
type town struct {
	*testing.T
	*Catalog
	index uint64
	asks  uint64 // that were signed: each has a stamp of its own
}

func newTown(t *testing.T) *town {
	return &town{T: t, Catalog: New(cluster, ownerID(), claim.Reader{})}
}

// at applies a command at a time under a request's name; "" has none.
func (w *town) at(unix int64, request string, body wire.Message) (wire.Message, error) {
	w.Helper()
	if put, ok := body.(*wire.JobPut); ok { // with what the catalogue reads out of a client's request
		w.index++
		w.version = w.index
		w.table.Begin(w.index)
		return w.perform(put, put.Job.Coordinator, unix)
	}
	if procedure, q := requestOf(body); q != nil {
		ask := w.ask("maker", procedure, q) // as the client that does it in these tests
		if m, drains := body.(*wire.NodeDrain); drains {
			w.askedAt("owner", m.Node, ask)
		}
		body = ask
	}
	if wire.IsAttested(body) {
		body = w.attest(w.speaker(body), body)
	}
	return w.propose(unix, request, body)
}

// propose is at for what a node makes up itself: nobody signs for it.
func (w *town) propose(unix int64, request string, body wire.Message) (wire.Message, error) {
	w.Helper()
	cmd := &wire.Command{Time: unix, Body: body}
	if request != "" {
		h := sha256.Sum256([]byte(request))
		copy(cmd.Request[:], h[:])
	}
	again, err := wire.Decode(wire.Encode(cmd)) // as Raft would carry it
	if err != nil {
		w.Fatalf("%T does not survive the wire: %v", body, err)
	}
	w.index++
	return w.Apply(w.index, again)
}

func (w *town) do(body wire.Message) wire.Message {
	w.Helper()
	m, err := w.at(now, "", body)
	if err != nil {
		w.Fatalf("%T: %v", body, err)
	}
	return m
}

func (w *town) refused(reason string, body wire.Message) error {
	w.Helper()
	before := w.state()
	_, err := w.at(now, "", body)
	if err == nil || holo.ReasonOf(err) != reason {
		w.Fatalf("%T: %v, want a refusal with reason %q", body, err, reason)
	}
	if !bytes.Equal(before, w.state()) {
		w.Fatalf("%T was refused and left a trace", body)
	}
	return err
}

// state is the snapshot without the version, which every command raises, and
// the stamps, which a request uses up even if it is refused.
func (w *town) state() []byte {
	stamps, words := w.stamps, w.words
	w.stamps, w.words = newStamps(), newStamps()
	s := w.Snapshot()
	w.stamps, w.words = stamps, words
	head := 4 + 2 + 16 + 32
	at := head + 8 + 1 + 16 + 4 + 2 // and the shard table's
	clear(s[head : head+8])
	clear(s[at : at+8])
	return s
}

func genesis(name string) *wire.ClusterInit {
	g := wire.ChainRecord{Kind: wire.ChainGenesis, Time: now, Node: node(1), Name: name, Owner: ownerID()}
	copy(g.OwnerSig[:], signer("owner").Sign(wire.GenesisProof(cluster, g.Owner, g.Node, g.Name, g.Time)))
	return &wire.ClusterInit{Genesis: g, Place: place(256), Key: secret("cluster key 1")}
}

// secret is a key of 32 bytes, the same in every run.
func secret(name string) key.Secret {
	sum := sha256.Sum256([]byte(name))
	s, err := key.NewSecret(sum[:])
	if err != nil {
		panic(err)
	}
	return s
}

func place(mib uint64) wire.Place {
	return wire.Place{Addresses: []string{"127.0.0.1:7000"}, Capacity: mib << 20}
}

func invite(name string, until int64) *wire.InvitePut {
	m := &wire.InvitePut{InviteKey: signer(name).Public(), Expires: until}
	psk := sha256.Sum256([]byte("psk " + name))
	copy(m.PSKID[:], psk[8:])
	m.PSK, _ = key.NewSecret(psk[:])
	copy(m.OwnerSig[:], signer("owner").Sign(api.InviteProof(cluster, m.InviteKey[:], until)))
	return m
}

func admit(n int, by string) *wire.Admit {
	m := &wire.Admit{Node: node(n), Name: "box" + string(rune('0'+n)), Place: place(256), InviteKey: signer(by).Public()}
	m.HandshakeHash = sha256.Sum256([]byte{byte(n)})
	copy(m.InviteSig[:], signer(by).Sign(wire.AdmitProof(cluster, m.Node, m.HandshakeHash)))
	return m
}

// signEvict signs as the owner, for the end of the chain as it is.
func signEvict(w *town, m *wire.Evict) {
	copy(m.OwnerSig[:], signer("owner").Sign(api.EvictProof(cluster, w.chain.head, m.Node, m.Admission, m.LoseData)))
}

func evict(w *town, n int) *wire.Evict {
	member, _ := w.Member(node(n))
	m := &wire.Evict{Node: node(n), Admission: member.Admission}
	signEvict(w, m)
	return m
}

// settled is a town of n registered nodes of 256 MiB, with somebody who may make
// arrays.
func settled(t *testing.T, n int) *town {
	w := ungranted(t, n)
	w.grant("owner", give("maker", holo.RoleUser, holo.Scope{}))
	return w
}

// ungranted is one in which nothing is granted to anybody.
func ungranted(t *testing.T, n int) *town {
	w := newTown(t)
	w.do(genesis("box1"))
	for i := 2; i <= n; i++ {
		name := "invite " + string(rune('0'+i))
		w.do(invite(name, expires))
		w.do(admit(i, name))
	}
	for i := 1; i <= n; i++ {
		w.register(i, uint64(i))
	}
	return w
}

func (w *town) register(n int, inc uint64) {
	s, _ := w.Shards().Seat(node(n))
	w.do(&wire.NodeRegister{Node: node(n), Incarnation: holo.Incarnation(inc), Life: s.Life})
}

func (w *town) bury(n int) {
	s, _ := w.Shards().Seat(node(n))
	w.do(&wire.NodeDead{Node: node(n), Incarnation: s.Incarnation, Life: s.Life})
}

func bytesOf(mib uint64) holo.Shape {
	return holo.Shape{Type: holo.U8, Length: mib << 20, Extent: 4 << 20}
}

func create(name string, mib uint64, class holo.Class) *wire.ArrayCreate {
	return &wire.ArrayCreate{Owner: ownerID(), Name: name, Shape: bytesOf(mib), Class: class}
}

func (w *town) array(name string, mib uint64, class holo.Class) wire.ArrayRecord {
	w.Helper()
	return *w.do(create(name, mib, class)).(*wire.ArrayRecord)
}

// full is a town with something in every table.
func fullTown(t *testing.T) *town {
	w := settled(t, 3)
	w.do(invite("spare", expires))
	w.grant("owner", give("ada", holo.RoleAdmin, holo.Scope{Under: "flights"}))
	w.grant("owner", give("ada", holo.RoleUser, holo.Scope{Under: "flights", Nodes: []holo.NodeID{node(2)}, MaxBytes: 1 << 20, NotAfter: expires}))
	a := w.array("flights/delay", 8, 2)
	b := w.array("flights/hour", 8, 1)
	w.do(&wire.ArraySealing{Array: a.ID})
	w.do(&wire.ArraySealed{Array: a.ID, Root: holo.Digest{9}})
	w.do(&wire.ArrayDelete{Array: b.ID})
	w.do(&wire.KernelPut{Kernel: wire.KernelRecord{Owner: ownerID(), Name: "by_hour", Module: holo.ModuleID{7}, Size: 99, Functions: []string{"red_by_hour", "comb_by_hour"}}})
	job := wire.JobRecord{Owner: ownerID(), Coordinator: node(2), Kernel: "by_hour", Module: holo.ModuleID{7}, Function: "by_hour",
		Kind: wire.TaskReduce, Inputs: []holo.ArrayID{a.ID}, Params: []byte("p"), AccBytes: 64, Gas: 1000}
	j := w.do(&wire.JobPut{Job: job}).(*wire.JobRecord)
	w.do(&wire.JobState{Job: j.ID, Epoch: 1, End: wire.JobEnd{Phase: wire.JobDone, Result: []byte("sum"), Report: []byte("r")}})
	w.do(&wire.JobPut{Job: job})
	w.tokenKey("token key 1", wire.TokenKeyPrepared, wire.TokenKeyActive)
	w.tokenKey("token key 2", wire.TokenKeyPrepared)
	w.tokenKey("token key 3", wire.TokenKeyPrepared, wire.TokenKeyRevoked)
	w.do(issued("token key 1", 1, now, now+900))
	w.do(issued("token key 1", 2, now, now+900))
	w.do(revokeTokens(w, "owner", wire.RevokeToken, []byte{2}))
	w.do(revokeTokens(w, "owner", wire.RevokeSubject, bytes.Repeat([]byte{3}, 32)))
	for n := range 3 {
		w.do(&wire.NodeAddress{Node: node(n + 1), Place: place(256), Speaks: spoken})
	}
	w.do(&wire.NodeProgram{Node: node(2), Program: "holo 9"})
	w.bury(3)
	if _, err := w.at(now, "kept answer", create("kept", 1, 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.at(now, "kept refusal", create("kept", 1, 2)); err == nil {
		t.Fatal("a name given twice")
	}
	return w
}

func TestSnapshotRestoresToTheSameBytes(t *testing.T) {
	w := fullTown(t)
	s := w.Snapshot()
	again := New(cluster, ownerID(), claim.Reader{})
	if err := again.Restore(s); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Snapshot(), s) {
		t.Fatal("the restored catalogue gives another snapshot")
	}
	// And it goes on alike.
	other := &town{T: t, Catalog: again, index: w.index, asks: w.asks}
	for _, x := range []*town{w, other} {
		x.register(3, 33)
		x.array("next", 1, 3)
	}
	if !bytes.Equal(w.Snapshot(), other.Snapshot()) {
		t.Error("after the restore the two went apart")
	}
}

func TestDamagedSnapshotIsRefusedAndChangesNothing(t *testing.T) {
	w := fullTown(t)
	s := w.Snapshot()
	c := New(cluster, ownerID(), claim.Reader{})
	for i := 0; i < len(s); i += 1 + i/40 {
		for _, cut := range [][]byte{s[:i], append(bytes.Clone(s[:i]), s[min(i+1, len(s)):]...)} {
			if err := c.Restore(cut); err == nil {
				t.Fatalf("restored a snapshot cut at %d", i)
			}
		}
	}
	if err := New(holo.ClusterID{9}, ownerID(), claim.Reader{}).Restore(s); err == nil {
		t.Error("restored another cluster's snapshot")
	}
	if c.Version() != 0 || len(c.Members()) != 0 {
		t.Error("a refused snapshot left a trace")
	}
}

func TestSnapshotWithRecordsOutOfOrderIsRefused(t *testing.T) {
	s := fullTown(t).Snapshot()
	var records [][]byte
	for rest := s; len(rest) > 0; {
		n := 4 + int(binary.LittleEndian.Uint32(rest))
		records = append(records, rest[:n])
		rest = rest[n:]
	}
	for i := range records[:len(records)-2] { // the last two are answers, whose order is their age
		swapped := append([][]byte{}, records...)
		swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
		if err := New(cluster, ownerID(), claim.Reader{}).Restore(bytes.Join(swapped, nil)); err == nil {
			t.Errorf("restored with records %d and %d swapped", i, i+1)
		}
		doubled := append(append([][]byte{}, records[:i+1]...), records[i:]...)
		if err := New(cluster, ownerID(), claim.Reader{}).Restore(bytes.Join(doubled, nil)); err == nil {
			t.Errorf("restored with record %d twice", i)
		}
	}
}

func TestSnapshotWhoseTablesDisagreeIsRefused(t *testing.T) {
	for name, tamper := range map[string]func(*town){
		"a node that was never admitted": func(w *town) { w.nodes[node(7)] = wire.NodeRecord{Node: node(7), Name: "x"} },
		"a member without a record":      func(w *town) { delete(w.nodes, node(2)) },
		"a seat of a stranger":           func(w *town) { w.table.Admit(node(7), 1) },
		"a member without a seat":        func(w *town) { w.table.Evict(node(2)) },
		"an array of the future":         func(w *town) { w.lastArray = 1 },
		"a job of the future":            func(w *town) { w.lastJob = 1 },
		"two arrays of one name": func(w *town) {
			r := w.arrays[1]
			r.ID = 2
			w.arrays[2] = r
		},
		"token keys before any change": func(w *town) { w.access.epoch = 1 },
		"a table of another version":   func(w *town) { w.table.Begin(1 << 40) },
	} {
		w := fullTown(t)
		tamper(w)
		if err := New(cluster, ownerID(), claim.Reader{}).Restore(w.Snapshot()); holo.KindOf(err) != holo.Corrupt {
			t.Errorf("restored with %s: %v", name, err)
		}
	}
}

func TestRequestAskedTwiceTakesEffectOnce(t *testing.T) {
	w := settled(t, 2)
	first, err := w.at(now, "r1", create("a", 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.at(now, "r1", create("a", 1, 2))
	if err != nil || !bytes.Equal(wire.Encode(first), wire.Encode(second)) {
		t.Fatalf("asked again: %v %v", second, err)
	}
	if n := len(w.Arrays()); n != 1 {
		t.Errorf("%d arrays", n)
	}
	_, err = w.at(now, "r2", create("a", 1, 2))
	_, again := w.at(now, "r2", create("other name, and yet the same request", 1, 2))
	if holo.KindOf(err) != holo.Exists || holo.KindOf(again) != holo.Exists || again.Error() != err.Error() {
		t.Errorf("refusals %v and %v", err, again)
	}
}

func TestAnswersAreKeptInABoundedList(t *testing.T) {
	w := settled(t, 1)
	for i := range MaxAnswered + 10 {
		cmd := &wire.Command{Request: wire.RequestID{1, byte(i), byte(i >> 8)}, Time: now, Body: &wire.ArrayPurge{Array: 1}}
		w.index++
		w.Apply(w.index, cmd)
	}
	if len(w.answers.given) != MaxAnswered || len(w.answers.order) != MaxAnswered {
		t.Errorf("%d answers in %d places", len(w.answers.given), len(w.answers.order))
	}
	if _, kept := w.answers.given[wire.RequestID{1, 9}]; kept {
		t.Error("the oldest did not give way")
	}
	if _, kept := w.answers.given[wire.RequestID{1, 10}]; !kept {
		t.Error("a younger one did")
	}
}

func TestNothingHappensBeforeTheGenesis(t *testing.T) {
	w := newTown(t)
	w.refused(ReasonState, create("a", 1, 1))
	w.refused(ReasonState, invite("i", expires))
	bad := genesis("box1")
	bad.Genesis.Name = "other"
	w.refused(ReasonBadChain, bad)
	w.do(genesis("box1"))
	if _, err := w.at(now, "", genesis("box1")); holo.KindOf(err) != holo.Exists {
		t.Errorf("a second genesis: %v", err)
	}
}

func TestOldIndexIsRefused(t *testing.T) {
	w := settled(t, 1)
	if _, err := w.Apply(w.index, &wire.Command{Body: create("a", 1, 1)}); err == nil {
		t.Error("a command was applied at an index of the past")
	}
}

// Two catalogues with the same commands are the same bytes: nothing depends
// on the order of a map.
func TestEqualCommandsMakeEqualCatalogues(t *testing.T) {
	want := fullTown(t).Snapshot()
	for range 5 {
		if !bytes.Equal(fullTown(t).Snapshot(), want) {
			t.Fatal("two runs differ")
		}
	}
}
