package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/protocol"
	"github.com/holocompute/holocompute/internal/wire"
)

// ahead is a range that this program is behind.
var ahead = protocol.Range{Oldest: protocol.Newest, Newest: protocol.Newest + 1}

// founded is a command that begins a cluster at a version of the protocol, and a
// replica that has not applied it.
func founded(speaks protocol.Range) (*replica, []byte) {
	id, owner := holo.ClusterID{5}, key.GenerateSigner()
	h := &home{settings: &identity.Cluster{ID: id, Owner: owner.Public(), NodeName: "n"}, signer: key.GenerateSigner()}
	init := &wire.ClusterInit{Genesis: *h.genesis(owner, 100), Place: wire.Place{Capacity: 1 << 30}, Speaks: speaks, Key: key.Random()}
	return newReplica(id, owner.Public()), wire.Encode(&wire.Command{Time: 100, Body: init})
}

// TestReplicaStandsStillAtAVersionItDoesNotSpeak: it applies nothing after that,
// gives Raft no snapshot of where it is not, and says why, once.
func TestReplicaStandsStillAtAVersionItDoesNotSpeak(t *testing.T) {
	r, init := founded(ahead)
	var told []error
	r.stopped = func(err error) { told = append(told, err) }
	r.Apply(1, init)
	if holo.ReasonOf(r.halted()) != protocol.ReasonSkew || !strings.Contains(r.halted().Error(), "upgrade the program of this machine") {
		t.Fatalf("it goes on: %v", r.halted())
	}
	at := r.mu.Version()
	for index := at + 1; index < at+4; index++ {
		if a := r.Apply(index, init).(applied); holo.ReasonOf(a.err) != protocol.ReasonSkew {
			t.Errorf("entry %d: %v", index, a.err)
		}
	}
	if r.mu.Version() != at || len(told) != 1 {
		t.Errorf("it went on from %d to %d, told %d times", at, r.mu.Version(), len(told))
	}
	if b, err := r.Snapshot(); err == nil {
		t.Errorf("it gives a snapshot of %d bytes", len(b))
	}
	sound, init := founded(protocol.Spoken())
	sound.Apply(1, init)
	if _, err := sound.Snapshot(); err != nil || sound.halted() != nil {
		t.Errorf("control: %v, %v", err, sound.halted())
	}
}

// TestSnapshotOfALaterVersionStopsAReplica: Raft says of it only that there is
// none to load, so the reason is kept for whoever starts the node.
func TestSnapshotOfALaterVersionStopsAReplica(t *testing.T) {
	r, init := founded(ahead)
	msg, err := wire.Decode(init)
	must(t, err)
	_, err = r.mu.Apply(1, msg)
	must(t, err)
	again := newReplica(r.mu.Cluster(), r.mu.Owner())
	if err := again.Restore(r.mu.Catalog.Snapshot()); holo.ReasonOf(err) != protocol.ReasonSkew || holo.ReasonOf(again.halted()) != protocol.ReasonSkew {
		t.Errorf("it is restored: %v, %v", err, again.halted())
	}
}

// TestProgramBehindItsClusterDoesNotStart: its folder says what the cluster is at.
func TestProgramBehindItsClusterDoesNotStart(t *testing.T) {
	dir := t.TempDir()
	for at, want := range map[protocol.Version]protocol.Version{0: 0, protocol.Oldest: protocol.Oldest, protocol.Newest: protocol.Newest} {
		n := &Node{home: &home{dir: dir, settings: &identity.Cluster{Protocol: at}}}
		if err := n.openVersion(); err != nil || n.Protocol() != want {
			t.Errorf("in a cluster at %d: %v, at %d", at, err, n.Protocol())
		}
	}
	n := &Node{home: &home{dir: dir, settings: &identity.Cluster{Protocol: protocol.Newest + 1}}}
	if err := n.openVersion(); holo.ReasonOf(err) != protocol.ReasonSkew || !strings.Contains(err.Error(), "start node: the cluster is at version") {
		t.Errorf("it starts: %v", err)
	}
}

// TestStatusSaysWhatHoldsTheClusterBack, and nothing where nothing does.
func TestStatusSaysWhatHoldsTheClusterBack(t *testing.T) {
	nodes := []*wire.NodeRecord{
		{Name: "a", Alive: true, Speaks: protocol.Range{Oldest: 1, Newest: 2}}, {Name: "b", Alive: true, Speaks: protocol.Range{Oldest: 1, Newest: 1}},
		{Name: "c", Speaks: protocol.Range{Oldest: 1, Newest: 1}}, {Name: "d", Alive: true},
	}
	got := versionWarnings(1, nodes)
	if len(got) != 1 || !strings.Contains(got[0], "b (speaks 1), c (off, spoke 1 last), d (has not said what it speaks)") || strings.Contains(got[0], " a ") {
		t.Errorf("%q", got)
	}
	if got := versionWarnings(2, nodes[:1]); len(got) != 0 {
		t.Errorf("of a cluster that is not held back: %q", got)
	}
	if got := versionWarnings(1, nodes[1:3]); len(got) != 0 {
		t.Errorf("of a cluster where nobody speaks more: %q", got)
	}
}

// TestNodeKeepsTheClustersVersion in its folder, and ends where the cluster is at
// one that it does not speak.
func TestNodeKeepsTheClustersVersion(t *testing.T) {
	owner := key.GenerateSigner()
	h := &home{dir: t.TempDir(), settings: &identity.Cluster{ID: holo.ClusterID{5}, Name: "c", Owner: owner.Public(), NodeName: "n", Listen: anyLoopback}, signer: key.GenerateSigner(), clusterKey: key.Random()}
	h.records = []wire.ChainRecord{*h.genesis(owner, 1)}
	must(t, os.Chmod(h.dir, 0o700))
	n := assemble(Config{Dir: h.dir}, h)
	n.learnVersion(protocol.Oldest)
	n.learnVersion(protocol.Newest)
	n.learnVersion(protocol.Oldest) // an old word
	kept, err := identity.ReadCluster(filepath.Join(h.dir, identity.ClusterFile))
	if err != nil || kept.Protocol != protocol.Newest || n.Protocol() != protocol.Newest {
		t.Fatalf("%v, %+v, at %d", err, kept, n.Protocol())
	}
	if l := n.local(); l.Cluster != protocol.Newest {
		t.Errorf("its sessions say %d", l.Cluster)
	}
	select {
	case <-n.Over():
		t.Fatal("it ended: ", n.Cause())
	default:
	}
	n.learnVersion(protocol.Newest + 1)
	<-n.Over()
	if holo.ReasonOf(n.Cause()) != protocol.ReasonSkew || n.Protocol() != protocol.Newest {
		t.Errorf("%v, at %d", n.Cause(), n.Protocol())
	}
}
