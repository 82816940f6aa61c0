package catalog

import (
	"bytes"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/claim"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/protocol"
	"github.com/holocompute/holocompute/internal/wire"
)

// says has a node announce what it speaks.
func (w *town) says(n int, oldest, newest protocol.Version) error {
	w.Helper()
	_, err := w.at(now, "", &wire.NodeAddress{Node: node(n), Place: place(256), Speaks: protocol.Range{Oldest: oldest, Newest: newest}})
	return err
}

// wantVersion wants the cluster at a version.
func (w *town) wantVersion(want protocol.Version, when string) {
	w.Helper()
	if got := w.Protocol(); got != want {
		w.Fatalf("%s: the cluster is at version %d, want %d", when, got, want)
	}
}

// TestClusterRisesWhenEveryMemberSpeaksTheVersion, the ones that are off and the
// ones that have not said anything included.
func TestClusterRisesWhenEveryMemberSpeaksTheVersion(t *testing.T) {
	w := settled(t, 3)
	w.wantVersion(1, "at first")
	for _, n := range []int{1, 2} {
		if err := w.says(n, 1, 2); err != nil {
			t.Fatal(err)
		}
		w.wantVersion(1, "while node 3 has said nothing")
	}
	if err := w.says(3, 1, 1); err != nil {
		t.Fatal(err)
	}
	w.wantVersion(1, "while node 3 speaks 1")
	w.do(&wire.NodeDead{Node: node(3), Incarnation: 3, Life: 1})
	w.wantVersion(1, "while node 3 is off")
	if err := w.says(3, 1, 2); err != nil {
		t.Fatal(err)
	}
	w.wantVersion(2, "when all speak it")
	if r, _ := w.Node(node(3)); r.Speaks != (protocol.Range{Oldest: 1, Newest: 2}) {
		t.Errorf("node 3 is said to speak %v", r.Speaks)
	}
}

// TestClusterNeverFalls: a member whose program was put back is no part of it,
// and a newcomer that has said nothing yet does not take the version back.
func TestClusterNeverFalls(t *testing.T) {
	w := settled(t, 2)
	for _, n := range []int{1, 2} {
		if err := w.says(n, 1, 2); err != nil {
			t.Fatal(err)
		}
	}
	w.wantVersion(2, "when both speak it")
	if err := w.says(2, 1, 1); holo.ReasonOf(err) != ReasonVersion || !strings.Contains(err.Error(), "speaks version 1 of the protocol, and the cluster is at 2") {
		t.Errorf("a member that does not speak the cluster's version: %v", err)
	}
	w.wantVersion(2, "after a program was put back")
	w.do(invite("i", expires))
	w.do(admit(3, "i"))
	if err := w.says(1, 1, 2); err != nil { // which is counted while node 3 has said nothing
		t.Fatal(err)
	}
	w.wantVersion(2, "with a newcomer")
	if err := w.says(3, 3, 4); holo.ReasonOf(err) != ReasonVersion {
		t.Errorf("a member that is two versions ahead: %v", err)
	}
	if err := w.says(3, 2, 3); err != nil {
		t.Error("a member that is a version ahead: ", err)
	}
	w.wantVersion(2, "with a member that is ahead")
}

// TestEvictedNodeHoldsNoVersionBack: who is no member has no say.
func TestEvictedNodeHoldsNoVersionBack(t *testing.T) {
	w := settled(t, 3)
	for _, n := range []int{1, 2} {
		if err := w.says(n, 1, 2); err != nil {
			t.Fatal(err)
		}
	}
	w.wantVersion(1, "while node 3 has said nothing")
	w.do(evict(w, 3))
	w.wantVersion(2, "without it")
}

// TestLaterCommandsHaveNoEffectBefore: not even that they are remembered, because
// a voter that cannot read them does not remember them either.
func TestLaterCommandsHaveNoEffectBefore(t *testing.T) {
	w := settled(t, 2)
	if err := w.says(1, 1, 2); err != nil {
		t.Fatal(err)
	}
	program := func() wire.Message {
		return w.attest(1, &wire.NodeProgram{Node: node(1), Program: "holo 9 linux/amd64"})
	}
	word := program()
	if err := w.JudgeNode(word.(*wire.Attested)); holo.ReasonOf(err) != ReasonVersion {
		t.Errorf("a leader that asks before hears %v", err)
	}
	before, used := w.state(), wire.Encode(w.words.record(true))
	_, err := w.propose(now, "a request", word)
	if holo.ReasonOf(err) != ReasonVersion {
		t.Fatalf("a command of version 2 in a cluster at 1: %v", err)
	}
	if !bytes.Equal(before, w.state()) || !bytes.Equal(used, wire.Encode(w.words.record(true))) {
		t.Error("it left a trace")
	}
	if err := w.says(2, 1, 2); err != nil {
		t.Fatal(err)
	}
	if _, err := w.propose(now, "a request", program()); err != nil {
		t.Fatal("in a cluster at 2: ", err)
	}
	if ps := w.Programs(); len(ps) != 1 || ps[0].Program != "holo 9 linux/amd64" {
		t.Errorf("programs %v", ps)
	}
	w.said(ReasonNotTheirs, w.attest(2, &wire.NodeProgram{Node: node(1), Program: "another's"}))
	w.forged(ReasonUnsigned, &wire.NodeProgram{Node: node(1), Program: "nobody's"})
	w.do(evict(w, 1))
	if len(w.Programs()) != 0 {
		t.Error("an evicted node's program is kept")
	}
}

// TestSnapshotOfAVersionThatIsNotSpokenIsNotRead: the reason is told, and which
// side is to be upgraded.
func TestSnapshotOfAVersionThatIsNotSpokenIsNotRead(t *testing.T) {
	w := settled(t, 1)
	for _, at := range []protocol.Version{protocol.Newest + 1, 255} {
		w.speaks = at
		c := New(cluster, ownerID(), claim.Reader{})
		err := c.Restore(w.Snapshot())
		if holo.ReasonOf(err) != ReasonVersion || len(c.Chain()) > 0 {
			t.Errorf("a snapshot at version %d: %v", at, err)
		}
		if !strings.Contains(err.Error(), "upgrade the program of this machine") {
			t.Errorf("a snapshot at version %d: %v", at, err)
		}
	}
}
