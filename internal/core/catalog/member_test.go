package catalog

import (
	"slices"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/wire"
)

func TestInviteAdmitsOneNodeOnce(t *testing.T) {
	w := settled(t, 1)
	w.do(invite("i", expires))
	first := w.do(admit(2, "i")).(*wire.ChainRecord)
	if first.Kind != wire.ChainAdmit || first.Node != node(2) || first.Name != "box2" {
		t.Fatalf("admission %+v", first)
	}
	again := w.do(admit(2, "i")).(*wire.ChainRecord) // its session broke: it may resume
	if !sameRecord(*again, *first) {
		t.Error("the same node got another admission")
	}
	w.refused(ReasonInviteBound, admit(3, "i"))
	if n := len(w.Members()); n != 2 {
		t.Errorf("%d members", n)
	}
}

func TestInviteRefusals(t *testing.T) {
	w := settled(t, 1)
	w.refused(ReasonUnknownInvite, admit(2, "never put"))
	w.do(invite("i", expires))
	forged := admit(2, "i")
	forged.Node = node(3) // the signature is for node 2
	w.refused(ReasonInviteSig, forged)
	otherSession := admit(2, "i")
	otherSession.HandshakeHash[0]++
	w.refused(ReasonInviteSig, otherSession)
	for _, late := range []int64{expires + 1, 0} {
		if _, err := w.at(late, "", admit(2, "i")); holo.ReasonOf(err) != ReasonInviteExpired {
			t.Errorf("admitted at %d: %v", late, err)
		}
	}
	if _, err := w.at(expires, "", admit(2, "i")); err != nil {
		t.Errorf("refused at the last second: %v", err)
	}
	if _, err := w.at(expires+1, "", admit(2, "i")); holo.ReasonOf(err) != ReasonInviteExpired {
		t.Errorf("resumed after the invite expired: %v", err)
	}
	if r, _ := w.InviteByPSK(invite("i", expires).PSKID); r.Bound != node(2) {
		t.Errorf("the invite is bound to %s", r.Bound)
	}
}

func TestOnlyTheOwnerInvites(t *testing.T) {
	w := settled(t, 1)
	m := invite("i", expires)
	m.Expires++ // not what was signed
	w.refused(ReasonOwnerSig, m)
	m = invite("i", expires)
	copy(m.OwnerSig[:], signer("somebody").Sign([]byte("x")))
	w.refused(ReasonOwnerSig, m)
	w.refused(ReasonInviteExpired, invite("old", now-1))
	w.do(invite("i", expires))
	w.refused("", invite("i", expires))
	samePSK := invite("j", expires)
	samePSK.PSKID = invite("i", expires).PSKID
	w.refused("", samePSK)
}

func TestExpiredInvitesGiveWay(t *testing.T) {
	w := settled(t, 1)
	for i := range MaxInvites {
		w.do(invite("i"+string(rune('0'+i)), now+int64(i)))
	}
	w.refused(ReasonFull, invite("one more", expires))
	if _, err := w.at(now+10, "", invite("one more", expires)); err != nil {
		t.Fatal(err)
	}
	if n := len(w.Invites()); n != MaxInvites-9 {
		t.Errorf("%d invites", n)
	}
}

func TestUsedInviteCannotBePutAgain(t *testing.T) {
	w := settled(t, 1)
	w.do(invite("i", expires))
	w.do(admit(2, "i"))
	if _, err := w.at(expires+1, "", invite("j", expires+100)); err != nil { // takes the expired one away
		t.Fatal(err)
	}
	if _, known := w.invites[signer("i").Public()]; known {
		t.Fatal("the expired invite is still there")
	}
	w.refused("", invite("i", expires)) // by a leader whose clock is behind
}

func TestEvictedNodeIsGoneAndItsInviteStaysUsed(t *testing.T) {
	w := settled(t, 3)
	w.array("a", 8, 2)
	forged := evict(w, 3)
	forged.Node = node(2)
	w.refused(ReasonBadChain, forged)
	old := evict(w, 3)
	w.do(old)
	if _, ok := w.Node(node(3)); ok || len(w.Members()) != 2 {
		t.Error("the node is still there")
	}
	for c := range w.Shards().All() {
		if c.Has(node(3)) {
			t.Fatalf("shard %d is still held by it", c.Shard)
		}
	}
	w.refused(ReasonInviteBound, admit(3, "invite 3"))
	w.do(invite("second", expires))
	w.do(admit(3, "second"))
	w.refused(ReasonBadChain, old) // the old eviction does not end the new admission
	w.do(evict(w, 3))
}

// What the owner signed is for one moment of the chain, and for one answer to
// the question whether data may be lost.
func TestEvictionIsRefusedWhereItWasNotSigned(t *testing.T) {
	w := settled(t, 3)
	late := evict(w, 3)
	w.do(evict(w, 2))
	w.refused(ReasonOwnerSig, late) // the chain has grown since
	bold := evict(w, 3)
	bold.LoseData = true
	w.refused(ReasonOwnerSig, bold)
	other := evict(w, 3)
	copy(other.OwnerSig[:], signer("node 1").Sign(api.EvictProof(cluster, w.chain.head, other.Node, other.Admission, false)))
	w.refused(ReasonOwnerSig, other)
	w.do(evict(w, 3))
}

func TestLastCopyIsLostOnlyAtTheOwnersWord(t *testing.T) {
	w := settled(t, 3)
	w.array("kept", 8, 2)
	w.do(evict(w, 3)) // of two copies one remains
	w.array("single", holo.ShardCount, 1)
	cautious := evict(w, 2)
	w.refused(ReasonDataLoss, cautious)
	if err := w.CheckEvict(cautious); !strings.Contains(err.Error(), "1 arrays: single") {
		t.Errorf("what would be lost is not said: %v", err)
	}
	bold := evict(w, 2)
	bold.LoseData = true
	signEvict(w, bold)
	w.do(bold)
	if a, _ := w.ArrayByName("single"); a.Lost == ([4]uint64{}) {
		t.Error("the array does not say that it lost something")
	}
	if a, _ := w.ArrayByName("kept"); a.Lost != ([4]uint64{}) {
		t.Error("an array with another copy counts as lost")
	}
}

func TestNameOfAMemberIsNotGivenTwice(t *testing.T) {
	w := settled(t, 2)
	w.do(invite("i", expires))
	taken := admit(3, "i")
	taken.Name = "box2"
	w.refused(ReasonNameTaken, taken)
	if r, _ := w.InviteByPSK(invite("i", expires).PSKID); r.Bound != [32]byte{} {
		t.Error("the invite was used up")
	}
	w.do(evict(w, 2))
	w.do(taken)
	forged := slices.Clone(w.Chain())
	forged[3].Name = "box1" // by a leader that lies: the name is not what the record's hash is about alone
	if _, err := VerifyChain(cluster, ownerID(), forged); holo.ReasonOf(err) != ReasonBadChain {
		t.Errorf("a chain with a name twice: %v", err)
	}
}

func TestLastMemberCannotBeEvicted(t *testing.T) {
	w := settled(t, 1)
	w.refused(ReasonBadChain, evict(w, 1))
}

func TestChainVerifiesForEverybody(t *testing.T) {
	w := settled(t, 3)
	w.do(evict(w, 2))
	records := w.Chain()
	members, err := VerifyChain(cluster, ownerID(), records)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(members, w.Members()) || len(members) != 2 || members[0].Node != node(1) || members[1].Node != node(3) {
		t.Errorf("members %v", members)
	}
	for name, change := range map[string]func([]wire.ChainRecord) []wire.ChainRecord{
		"empty":                   func(r []wire.ChainRecord) []wire.ChainRecord { return nil },
		"without its genesis":     func(r []wire.ChainRecord) []wire.ChainRecord { return r[1:] },
		"with a record left out":  func(r []wire.ChainRecord) []wire.ChainRecord { return append(r[:1], r[2:]...) },
		"with records swapped":    func(r []wire.ChainRecord) []wire.ChainRecord { r[1], r[2] = r[2], r[1]; return r },
		"with a record twice":     func(r []wire.ChainRecord) []wire.ChainRecord { return append(r, r[2]) },
		"with another node":       func(r []wire.ChainRecord) []wire.ChainRecord { r[1].Node = node(5); return r },
		"with another time":       func(r []wire.ChainRecord) []wire.ChainRecord { r[1].Time++; return r },
		"with an invite extended": func(r []wire.ChainRecord) []wire.ChainRecord { r[1].Expires++; return r },
		"with another genesis":    func(r []wire.ChainRecord) []wire.ChainRecord { r[0].Name = "x"; return r },
	} {
		if _, err := VerifyChain(cluster, ownerID(), change(slices.Clone(records))); holo.ReasonOf(err) != ReasonBadChain {
			t.Errorf("a chain %s: %v", name, err)
		}
	}
	if _, err := VerifyChain(holo.ClusterID{9}, ownerID(), records); err == nil {
		t.Error("another cluster's chain verified")
	}
	if _, err := VerifyChain(cluster, holo.PrincipalID(signer("somebody").Public()), records); err == nil {
		t.Error("another owner's chain verified")
	}
}

// A member that rewrites the end of the chain can link it correctly, but it
// has neither the owner's nor an invite's key.
func TestRelinkedForgeryIsRefused(t *testing.T) {
	w := settled(t, 2)
	forge := func(change func(*wire.ChainRecord)) error {
		records := slices.Clone(w.Chain())
		change(&records[1])
		_, err := VerifyChain(cluster, ownerID(), records)
		return err
	}
	third := wire.ChainRecord{Prev: RecordHash(&w.Chain()[1]), Kind: wire.ChainAdmit, Time: now, Node: node(3), Name: "mallory"}
	third.InviteKey, third.Expires, third.OwnerSig = w.Chain()[1].InviteKey, w.Chain()[1].Expires, w.Chain()[1].OwnerSig
	copy(third.InviteSig[:], signer("invite 2").Sign(wire.AdmitProof(cluster, node(3), third.HandshakeHash)))
	for name, err := range map[string]error{
		"late":           forge(func(r *wire.ChainRecord) { r.Time = expires + 1 }),
		"for another":    forge(func(r *wire.ChainRecord) { r.Node = node(3) }),
		"other session":  forge(func(r *wire.ChainRecord) { r.HandshakeHash[0]++ }),
		"other invite":   forge(func(r *wire.ChainRecord) { r.InviteKey = signer("x").Public() }),
		"unsigned":       forge(func(r *wire.ChainRecord) { r.OwnerSig = [64]byte{} }),
		"small order":    forge(func(r *wire.ChainRecord) { r.Node = holo.NodeID{1} }),
		"invite reused":  second(VerifyChain(cluster, ownerID(), append(slices.Clone(w.Chain()), third))),
		"genesis within": forge(func(r *wire.ChainRecord) { *r = genesis("box1").Genesis; r.Prev = RecordHash(&w.Chain()[0]) }),
	} {
		if holo.ReasonOf(err) != ReasonBadChain {
			t.Errorf("a forged record, %s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestMembershipIsProvedByOneRecord(t *testing.T) {
	w := settled(t, 2)
	for n := 1; n <= 2; n++ {
		r, ok := w.Admission(node(n))
		if !ok || VerifyMembership(cluster, ownerID(), node(n), r) != nil {
			t.Errorf("node %d cannot prove its membership", n)
		}
		if VerifyMembership(cluster, ownerID(), node(3), r) == nil {
			t.Errorf("node %d's record proves another's membership", n)
		}
		if VerifyMembership(cluster, holo.PrincipalID(signer("x").Public()), node(n), r) == nil {
			t.Errorf("node %d's record proves membership of another owner's cluster", n)
		}
	}
}

func TestSplicedChainNeverRewritesThePast(t *testing.T) {
	w := settled(t, 3)
	all := w.Chain()
	for first := range 3 {
		got, err := SpliceChain(all[:2], first, all[first:])
		if err != nil || !slices.EqualFunc(got, all, sameRecord) {
			t.Errorf("spliced at %d: %v", first, err)
		}
	}
	other := slices.Clone(all)
	other[1].Name = "x"
	for name, err := range map[string]error{
		"a gap":        second(SpliceChain(all[:1], 2, all[2:])),
		"a shorter":    second(SpliceChain(all, 0, all[:2])),
		"another past": second(SpliceChain(all[:2], 1, other[1:])),
		"before all":   second(SpliceChain(all, -1, all)),
	} {
		if holo.ReasonOf(err) != ReasonBadChain {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFeedTellsChainAndNodesSinceAVersion(t *testing.T) {
	w := settled(t, 2)
	version := w.Version()
	w.do(invite("i", expires))
	w.do(admit(3, "i"))
	w.do(&wire.NodeAddress{Node: node(1), Place: place(512), Speaks: spoken})
	f := w.ChangesSince(version, 2)
	if f.First != 2 || len(f.Chain) != 1 || f.Chain[0].Node != node(3) || len(f.Nodes) != 2 || f.Version != w.Version() {
		t.Errorf("feed %+v", f)
	}
	if f := w.ChangesSince(w.Version(), 99); len(f.Chain) != 0 || len(f.Nodes) != 0 {
		t.Errorf("feed of nothing %+v", f)
	}
	if r, _ := w.Node(node(1)); r.Place.Capacity != 512<<20 || !r.Alive || r.Incarnation != 1 {
		t.Errorf("node %+v", r)
	}
	if s, _ := w.Shards().Seat(node(1)); s.Weight != 512 {
		t.Errorf("weight %d", s.Weight)
	}
}

func TestOnlyTheOwnerEvicts(t *testing.T) {
	w := settled(t, 3)
	forged := evict(w, 3)
	forged.OwnerSig[7] ^= 1
	w.refused(ReasonOwnerSig, forged)
	if _, ok := w.Node(node(3)); !ok {
		t.Error("the node is gone")
	}
	w.do(evict(w, 3))
}
