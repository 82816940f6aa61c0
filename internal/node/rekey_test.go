package node

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/api/holo/v1"
	"github.com/holocompute/holocompute/internal/core/handshake"
	"github.com/holocompute/holocompute/internal/door"
	"github.com/holocompute/holocompute/internal/holo"
	"github.com/holocompute/holocompute/internal/identity"
	"github.com/holocompute/holocompute/internal/key"
	"github.com/holocompute/holocompute/internal/transport"
	"github.com/holocompute/holocompute/internal/wait"
	"github.com/holocompute/holocompute/internal/wire"
)

// rekey has the owner replace the cluster's key, once it is at an epoch.
func (c *cluster) rekey(by *Node, epoch uint64) {
	c.t.Helper()
	c.awaitKey(epoch, by)
	sig := c.owner().Sign(api.RekeyProof(by.cluster, epoch))
	must(c.t, by.Rekey(context.Background(), door.Caller{}, &holov1.RekeyRequest{Epoch: epoch, OwnerSignature: sig}))
}

// awaitKey waits until nodes have a key and no other any more.
func (c *cluster) awaitKey(epoch uint64, nodes ...*Node) {
	c.t.Helper()
	await(c.t, "the cluster key is settled", func() bool {
		for _, n := range nodes {
			if e, settled := n.keys.at(); e != epoch || !settled {
				return false
			}
		}
		return true
	})
}

// onlyKey reports whether all sessions of a node are made with its key. A
// session that is replaced ends after a while; whatever is new uses the others.
func onlyKey(n *Node) bool {
	fresh := 0
	for _, id := range n.members.ids() {
		for _, s := range n.peers.Sessions(id) {
			if s.PSKID() == n.clusterPSK().ID {
				fresh++
			}
		}
	}
	return fresh > 0
}

func TestRotationUnderLoadLosesNoCall(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4) // one of them is no voter
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	a := c.create(c.nodes[0], "loaded", 4<<20)
	id := holo.ArrayID(a.Id)
	data := noise(31, 4<<20)
	must(t, c.nodes[0].WriteRange(ctx, id, 0, data))
	var old handshake.PSK // the one before the last

	var calls, failures atomic.Int64
	g := wait.NewGroup()
	defer g.Close()
	for i, n := range c.nodes {
		g.Run(func(context.Context) {
			got := make([]byte, 1<<20)
			for ctx.Err() == nil {
				part := data[i<<20 : (i+1)<<20]
				for _, err := range []error{n.WriteRange(ctx, id, uint64(i)<<20, part), n.ReadRange(ctx, id, uint64(i)<<20, got)} {
					if calls.Add(1); err != nil && ctx.Err() == nil {
						failures.Add(1)
						t.Errorf("node %d: %v", i, err)
					}
				}
				if ctx.Err() == nil && !bytes.Equal(got, part) {
					t.Errorf("node %d reads other bytes than it wrote", i)
				}
			}
		})
	}
	for epoch := uint64(1); epoch <= 3; epoch++ {
		before := calls.Load()
		c.awaitKey(epoch, c.nodes...)
		old = c.nodes[0].clusterPSK()
		c.rekey(c.nodes[3], epoch)
		c.awaitKey(epoch+1, c.nodes...)
		await(t, "calls go on", func() bool { return calls.Load() >= before+8 })
	}
	stop()
	g.Close()
	if failures.Load() > 0 || calls.Load() < 24 {
		t.Errorf("%d of %d calls failed", failures.Load(), calls.Load())
	}
	for _, n := range c.nodes {
		await(t, "sessions are made anew", func() bool { return onlyKey(n) })
		if _, found := n.keys.find(old.ID); found {
			t.Error("the key before still opens sessions")
		}
		onDisk, err := identity.ReadSecret(n.home.path(identity.ClusterKeyFile))
		must(t, err)
		if !onDisk.Equal(n.keys.secret()) {
			t.Error("another key is on the disk than in use")
		}
		if _, err := os.Stat(n.home.path(identity.FormerKeyFile)); err == nil {
			t.Error("the former key is still on the disk")
		}
	}
}

// In an overlap one has the new key and the other does not: they meet all the
// same, whoever dials.
func TestMembersMeetWhileOnlyOneHasTheNewKey(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	n, other := c.nodes[0], c.nodes[1]
	c.awaitKey(1, n, other)
	old := n.clusterPSK()
	must(t, n.keys.take(&wire.ClusterKey{Epoch: 2, Key: key.Random()}))
	for _, dial := range []struct{ from, to *Node }{{n, other}, {other, n}} {
		for _, s := range dial.from.peers.Sessions(dial.to.self) {
			s.Close("test")
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		st, err := dial.from.peers.Open(ctx, dial.to.self, transport.Data)
		must(t, err)
		if st.Session().PSKID() != old.ID {
			t.Error("they met with another key than the one that both have")
		}
		st.Close()
	}
}

func TestRekeyNeedsTheOwner(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n := c.nodes[0]
	c.awaitKey(1, n)
	before := n.refusals.all()["bad_owner_signature"]
	forged := &holov1.RekeyRequest{Epoch: 1, OwnerSignature: n.home.signer.Sign(api.RekeyProof(n.cluster, 1))}
	wantRefused(t, n.Rekey(context.Background(), door.Caller{}, forged), holo.Denied, "bad_owner_signature")
	refused(t, n, "bad_owner_signature", before)
	c.rekey(n, 1)
	c.awaitKey(2, n)
	again := &holov1.RekeyRequest{Epoch: 1, OwnerSignature: c.owner().Sign(api.RekeyProof(n.cluster, 1))}
	wantRefused(t, n.Rekey(context.Background(), door.Caller{}, again), holo.Stale, "stale_key_epoch")
}

// copyDir is what a thief, or a backup, has of a node's folder.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	must(t, os.CopyFS(to, os.DirFS(from)))
	must(t, filepath.Walk(to, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if info.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, 0o600)
	}))
	return to
}

// The attack of E2-3: the evicted node's folder, as it was while it was a
// member, comes back to life.
func TestEvictedFolderComesBackAndLearnsNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	i := (c.leads() + 1) % 3
	out := c.nodes[i]
	must(t, out.Close())
	c.nodes[i] = nil
	stolen := copyDir(t, c.dirs[i])
	oldKey := out.keys.secret()
	c.evict(c.live()[0], out.self)
	c.awaitKey(2, c.live()...)
	for _, n := range c.live() {
		if n.keys.secret().Equal(oldKey) {
			t.Fatal("the cluster's key is the one that the evicted node has")
		}
	}
	c.create(c.live()[0], "secret-name", 1<<20)
	before := sum(c.live(), handshake.ReasonUnknownPSK)
	back, err := Start(context.Background(), Config{Dir: stolen, Listen: anyLoopback, MemoryBytes: 64 << 20, Logger: testLogger(t)})
	must(t, err)
	defer back.Close()
	await(t, "its handshakes are refused before anything is said to it", func() bool {
		return sum(c.live(), handshake.ReasonUnknownPSK) >= before+4
	})
	await(t, "one of them has it on record", func() bool {
		return slices.ContainsFunc(c.live(), func(n *Node) bool { return len(recordsOf(t, n, "auth.failed")) > 0 })
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := back.ListArrays(ctx, door.Caller{}); err == nil {
		t.Error("the evicted node was told the arrays")
	}
	if back.holdsLease() || back.keys.secret().Equal(c.live()[0].keys.secret()) {
		t.Error("the evicted node has a lease, or the new key")
	}
	for _, n := range c.live() {
		if len(n.peers.Sessions(out.self)) > 0 {
			t.Error("there is a session with the evicted node")
		}
	}
	c.answers(c.live()[0])
}

// A member that was off while the key changed, twice, comes back with the one
// that it has, is given the new one, and the old ones are gone then.
func TestNodeThatWasOffDuringRotationsComesBack(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	i := (c.leads() + 1) % 3
	off := c.nodes[i]
	c.awaitKey(1, c.nodes...)
	must(t, off.Close())
	c.nodes[i] = nil
	for epoch := uint64(1); epoch <= 2; epoch++ {
		c.rekey(c.live()[0], epoch)
		c.awaitKey(epoch+1, c.live()...)
	}
	// The old key opens nothing to somebody else, though a laggard has it.
	n, thief := c.live()[0], newStranger(t)
	before := n.refusals.all()[reasonMembership]
	if s, err := thief.dial(n, thief.local(n.cluster, handshake.KindNode, off.clusterPSK())); err == nil {
		s.Close("test")
		t.Error("the old key let a stranger in")
	}
	refused(t, n, reasonMembership, before)
	// Nor to a member that is known to have a later one.
	member := c.live()[1]
	late := &stranger{t: t, signer: member.home.signer, link: thief.link}
	before = n.refusals.all()[reasonOldKey]
	if s, err := late.dial(n, late.local(n.cluster, handshake.KindNode, off.clusterPSK())); err == nil {
		s.Close("test")
		t.Error("a member came back with a key that it had replaced")
	}
	refused(t, n, reasonOldKey, before)

	c.start(i)
	c.settle()
	c.awaitKey(3, c.nodes...)
	await(t, "nobody's key is kept any more", func() bool {
		_, _, found := n.latecomer(off.clusterPSK().ID)
		return !found
	})
	before = n.refusals.all()[handshake.ReasonUnknownPSK]
	if s, err := thief.dial(n, thief.local(n.cluster, handshake.KindNode, off.clusterPSK())); err == nil {
		s.Close("test")
		t.Error("the old key let a stranger in")
	}
	refused(t, n, handshake.ReasonUnknownPSK, before)
}

// A node that was put out while it was off is told so by the owner's word, though
// its key opens nothing any more: it says why, ends, and has learned nothing else.
func TestNodeThatWasPutOutWhileItWasOffLearnsWhy(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	i := (c.leads() + 1) % 3
	out := c.nodes[i]
	must(t, out.Close())
	c.nodes[i] = nil
	c.evict(c.live()[0], out.self)
	c.awaitKey(2, c.live()...)
	records, _ := out.members.state()
	before := sum(c.live(), handshake.ReasonParted)
	back, err := Start(context.Background(), c.config(i))
	must(t, err)
	defer back.Close()
	overSoon(t, back)
	wantRefused(t, back.Cause(), holo.Denied, reasonEvicted)
	if why := back.Cause().Error(); !strings.Contains(why, "by its owner at 2") || !strings.Contains(why, "while it was off") {
		t.Errorf("the reason is %q", why)
	}
	if now, _ := back.members.state(); len(now) != len(records) || back.holdsLease() || back.keys.secret().Equal(c.live()[0].keys.secret()) {
		t.Error("it learned of the chain, or has a lease or the new key")
	}
	await(t, "it is counted that it asked", func() bool { return sum(c.live(), handshake.ReasonParted) > before })
	for _, n := range c.live() {
		if len(n.peers.Sessions(out.self)) > 0 {
			t.Error("there is a session with the evicted node")
		}
	}
	c.answers(c.live()[0])
	must(t, back.Close())

	// It remembers, and asks nobody any more. What is not the owner's word counts for nothing.
	asked := sum(c.live(), handshake.ReasonParted)
	_, err = Start(context.Background(), c.config(i))
	wantRefused(t, err, holo.Denied, reasonEvicted)
	if sum(c.live(), handshake.ReasonParted) != asked {
		t.Error("it asked again")
	}
	word, err := os.ReadFile(filepath.Join(c.dirs[i], partingFile))
	must(t, err)
	for _, at := range []int{0, len(word) / 2, len(word) - 1} {
		forged := slices.Clone(word)
		forged[at] ^= 1
		must(t, os.WriteFile(filepath.Join(c.dirs[i], partingFile), forged, 0o644))
		again, err := Start(context.Background(), c.config(i))
		if err != nil {
			t.Fatalf("with byte %d of the word changed: %v", at, err)
		}
		must(t, again.Close())
	}
}

// What a node keeps to tell those who were put out is bounded, and a member that
// asks under its own key is told nothing.
func TestPartingsAreBoundedAndOfNobodyElse(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	n := c.nodes[0]
	for k := range maxPartings + 3 {
		n.partings.note(n.cluster, wire.ChainRecord{Kind: wire.ChainEvict, Node: holo.NodeID{byte(k), 1}}, n.keys.secrets())
	}
	key := func(id holo.NodeID) [8]byte { return handshake.PartingKey(n.keys.secret(), n.cluster, id).ID }
	if len(n.partings.mu.list) != maxPartings {
		t.Errorf("%d are kept", len(n.partings.mu.list))
	}
	_, newest := n.partings.find(key(holo.NodeID{maxPartings + 2, 1}))
	_, oldest := n.partings.find(key(holo.NodeID{0, 1}))
	_, member := n.partings.find(key(n.self))
	if !newest || oldest || member {
		t.Errorf("the newest is kept %v, the oldest %v, a member is told %v", newest, oldest, member)
	}
}
